package version

import (
	"regexp"
	"strings"
)

// calverForm is numbers, and behind them a single letter, or a word that may
// have a number.
var calverForm = regexp.MustCompile(`^([0-9]+(?:[._-][0-9]+)*)(?:([a-z])|[._-]?([a-z]+)[._-]?([0-9]*))?$`)

// parseCalver reads a version that starts with a year (calver.org): YYYY or YY,
// by dots, dashes or underscores from what follows, or YYYYMM and YYYYMMDD in
// one. Two digits are a year of this century, leading zeros mean nothing and
// missing numbers are zero: "24.5", "2024.05" and "202405" are the same.
//
// A modifier is a single letter, newer than the version without it ("2024a"), or
// one of the words dev, nightly, snapshot, canary, alpha, beta, preview and rc,
// which make a pre-release, and post, patch and hotfix, which are newer.
//
// A new year is major and a new month minor, whatever has changed.
func (v *Version) parseCalver() string {
	m := calverForm.FindStringSubmatch(strings.ToLower(v.text))
	if m == nil {
		return "it is not numbers with a modifier"
	}
	numbers := strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune("._-", r) })
	if len(numbers) > maxParts {
		return "it has more than eight parts"
	}
	date, why := calverDate(numbers[0])
	if why != "" {
		return why
	}
	key, class := numerics(strings.Join(append(date, numbers[1:]...), "."))
	switch {
	case m[2] != "":
		key = append(key, part{rank: rankLetter, text: m[2]})
	case m[3] != "":
		word, ok := stage(m[3])
		if !ok {
			return "the word " + m[3] + " has no place in the order"
		}
		key = append(key, word, numeric(m[4]))
	}
	v.keys, v.class, v.prerelease = [][]part{key}, class, hasPre(key)
	return ""
}

// calverDate is the first number of a version as year, or year and month, or
// year, month and day.
func calverDate(s string) (date []string, why string) {
	switch len(s) {
	case 1, 2:
		return []string{"20" + strings.Repeat("0", 2-len(s)) + s}, ""
	case 4:
		date = []string{s}
	case 6:
		date = []string{s[:4], s[4:]}
	case 8:
		date = []string{s[:4], s[4:6], s[6:]}
	default:
		return nil, "it does not start with a year"
	}
	if s < "1970" || s >= "2200" {
		return nil, "it does not start with a year between 1970 and 2199"
	}
	if len(date) > 1 && (date[1] < "01" || date[1] > "12") || len(date) > 2 && (date[2] < "01" || date[2] > "31") {
		return nil, "it starts with no date"
	}
	return date, ""
}
