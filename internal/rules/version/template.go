package version

import (
	"maps"
	"slices"
	"strings"
)

// Fill puts a version into a template: {version} as it is, {major} and {minor}
// its first two dotted parts, {digits} its digits alone ("24.09" is "2409").
func Fill(template, version string) string {
	_, rest := cutEpoch(version)
	major, after, _ := strings.Cut(rest, ".")
	minor, _, _ := strings.Cut(after, ".")
	only := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, version)
	return strings.NewReplacer("{version}", version, "{major}", major, "{minor}", minor, "{digits}", only).Replace(template)
}

// FillAll is Fill with more words: {name} for each of the values.
func FillAll(template, version string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, "{"+name+"}", values[name])
	}
	return strings.NewReplacer(pairs...).Replace(Fill(template, version))
}

// Placeholders are what Fill fills in.
func Placeholders() []string { return []string{"{version}", "{major}", "{minor}", "{digits}"} }

// Unknown are the words in braces in a template that are none of the known
// ones, as they stand: what would be left there when it is filled.
func Unknown(template string, known []string) []string {
	var out []string
	for {
		_, after, found := strings.Cut(template, "{")
		if !found {
			return out
		}
		word, rest, closed := strings.Cut(after, "}")
		if !closed {
			return append(out, "{"+after)
		}
		if i := strings.LastIndexByte(word, '{'); i >= 0 {
			word = word[i+1:]
		}
		if braced := "{" + word + "}"; !slices.Contains(known, braced) {
			out = append(out, braced)
		}
		template = rest
	}
}

// cutEpoch takes a Debian epoch off, which is no part of file names.
func cutEpoch(version string) (epoch, rest string) {
	if epoch, rest, found := strings.Cut(version, ":"); found && digits(epoch) {
		return epoch, rest
	}
	return "", version
}

// Extract is the version in a text that follows the template, {version} being
// anything that holds a digit; ok is false when the text does not follow it.
func Extract(template, text string) (version string, ok bool) {
	before, after, found := strings.Cut(template, "{version}")
	if !found || len(text) < len(before)+len(after) ||
		!strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
		return "", false
	}
	version = text[len(before) : len(text)-len(after)]
	return version, strings.ContainsAny(version, "0123456789")
}
