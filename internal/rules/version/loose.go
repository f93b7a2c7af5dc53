package version

import "strings"

// separators are the characters between the components of a loose version.
const separators = "._-+~:^()"

// parseLoose reads nearly any version by libversion's rules
// (github.com/repology/libversion, doc/ALGORITHM.md): runs of letters and of
// digits, compared one by one, by rank and then by value. What the rules order
// before the same version without it is a pre-release: known words ("alpha",
// "rc"), and unknown ones, "1.0custom1" for example, which they order there
// because nobody can know.
//
// A text that starts with no digit is refused: the rules order "v1.2" before
// "1.2", and a page's first word before everything.
func (v *Version) parseLoose() string {
	key, why := looseKey(v.text)
	if why != "" {
		return why
	}
	v.keys, v.class, v.prerelease = [][]part{key}, leadingNumbers(v.text), hasPre(key)
	return ""
}

// maxElements is how many parts with commas between them a composite version
// may have; casks have two, a few three.
const maxElements = 4

// parseComposite reads parts behind commas, as casks and Sparkle write a short
// version and a build: "4.2,4218". Each is a loose version; they are compared in
// turn, and one more is newer. A part that is a pre-release makes the whole one;
// Class looks at the first part.
func (v *Version) parseComposite() string {
	elements := strings.Split(v.text, ",")
	if len(elements) > maxElements {
		return "it has more than four parts"
	}
	for _, element := range elements {
		key, why := looseKey(element)
		if why != "" {
			return "the part " + element + ": " + why
		}
		v.keys = append(v.keys, append([]part{{rank: 1}}, key...))
		v.prerelease = v.prerelease || hasPre(key)
	}
	v.class = leadingNumbers(elements[0])
	return ""
}

func looseKey(s string) (key []part, why string) {
	if s == "" || !isDigit(s[0]) {
		return nil, "it does not start with a digit"
	}
	if !only(s, separators) {
		return nil, "it holds a character that has no place in a version"
	}
	for i := 0; i < len(s); {
		start := i
		switch {
		case isDigit(s[i]):
			for i < len(s) && isDigit(s[i]) {
				i++
			}
			key = append(key, numeric(s[start:i]))
			if i < len(s) && isLetter(s[i]) && (i+1 == len(s) || strings.IndexByte(separators, s[i+1]) >= 0) {
				key, i = append(key, part{rank: rankLetter, text: strings.ToLower(s[i : i+1])}), i+1
			}
		case isLetter(s[i]):
			for i < len(s) && isLetter(s[i]) {
				i++
			}
			key = append(key, looseWord(strings.ToLower(s[start:i])))
		default:
			i++
		}
	}
	return key, ""
}

// looseWord ranks a word; words of one rank differ by their first letter alone,
// so that "a" and "alpha" are the same.
func looseWord(word string) part {
	p := part{rank: rankPre, text: word[:1]}
	if strings.HasPrefix(word, "post") || strings.HasPrefix(word, "patch") || word == "pl" || word == "errata" {
		p.rank = rankPost
	}
	return p
}
