package releases

import (
	"errors"
	"fmt"
	"regexp"
)

// errNothing is a document that tells no version.
var errNothing = errors.New("the document tells no version")

// Cut applies a pattern to a text. The version is the group of that name, else
// the first group, else all that matched; values are the named groups.
func Cut(pattern *regexp.Regexp, text string) (version string, values map[string]string, ok bool) {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return "", nil, false
	}
	version, values = cut(pattern, m)
	return version, values, version != ""
}

func cut(pattern *regexp.Regexp, m []string) (version string, values map[string]string) {
	values = map[string]string{}
	for i, name := range pattern.SubexpNames() {
		if name != "" && m[i] != "" {
			values[name] = m[i]
		}
	}
	switch {
	case values["version"] != "":
		version = values["version"]
	case len(m) > 1:
		version = m[1]
	default:
		version = m[0]
	}
	return version, values
}

// Text finds every match of a pattern in a text, in its order, each version
// once. A malformed pattern is of kind Invalid.
func Text(data []byte, pattern string) ([]Entry, error) {
	p, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	if data, _, err = plain(data); err != nil {
		return nil, err
	}
	var out []Entry
	known := map[string]bool{}
	for _, m := range p.FindAllSubmatch(data, maxEntries) {
		texts := make([]string, len(m))
		for i, b := range m {
			if len(b) > maxText {
				return nil, fmt.Errorf("the pattern matches %d bytes at once: it is too wide", len(b))
			}
			texts[i] = string(b)
		}
		v, values := cut(p, texts)
		if v != "" && !known[v] {
			known[v] = true
			out = append(out, Entry{Version: v, Values: values})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nothing matches %s", errNothing, pattern)
	}
	return listed(out)
}
