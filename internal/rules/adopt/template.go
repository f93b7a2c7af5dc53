package adopt

import "strings"

// places are where a version stands in a text, as a whole: "1.2" does not stand
// in "1.2.3" or "11.2".
func places(text, v string) []int {
	if v == "" {
		return nil
	}
	digit := func(i int) bool { return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9' }
	dotted := func(i, step int) bool { return i >= 0 && i < len(text) && text[i] == '.' && digit(i+step) }
	var out []int
	for from := 0; ; {
		i := strings.Index(text[from:], v)
		if i < 0 {
			return out
		}
		at := from + i
		end := at + len(v)
		if !digit(at-1) && !dotted(at-1, -1) && !digit(end) && !dotted(end, 1) {
			out = append(out, at)
			from = end
		} else {
			from = at + 1
		}
	}
}

// fill puts placeholders into a text that holds a version: {version}, or {digits}
// for its digits alone. held is false when it holds neither.
func fill(text, v string) (template string, held bool) {
	template, held = replaceAll(text, v, "{version}")
	if held {
		return template, true
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, v)
	if len(digits) < 3 || digits == v {
		return text, false // too short to be more than a coincidence
	}
	return replaceAll(text, digits, "{digits}")
}

func replaceAll(text, v, with string) (string, bool) {
	at := places(text, v)
	for i := len(at) - 1; i >= 0; i-- {
		text = text[:at[i]] + with + text[at[i]+len(v):]
	}
	return text, len(at) > 0
}

// within is the version as it stands in a text: as it is, or with zeros at its
// end left away, which catalogs add ("7.4.6.0" of the tag "v7.4.6").
func within(text, v string) (string, bool) {
	for {
		if len(places(text, v)) > 0 {
			return v, true
		}
		shorter, zero := strings.CutSuffix(v, ".0")
		if !zero || !strings.Contains(shorter, ".") {
			return "", false
		}
		v = shorter
	}
}
