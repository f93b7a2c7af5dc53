package version

import (
	"regexp"
	"strings"
)

// pep440Form is PEP 440 in lower case: epoch, release, pre-release, post-release
// (with or without its word), development release, local version.
var pep440Form = regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
	`(?:[._-]?(alpha|a|beta|b|preview|pre|rc|c)[._-]?([0-9]*))?` +
	`(?:-([0-9]+)|[._-]?(post|rev|r)[._-]?([0-9]*))?` +
	`(?:[._-]?(dev)[._-]?([0-9]*))?` +
	`(?:\+([a-z0-9]+(?:[._-][a-z0-9]+)*))?$`)

// parsePEP440 reads a Python version with the spellings that PEP 440 asks tools
// to normalise ("1.0-RC.1" is "1.0rc1"), except for blanks around it. Alpha,
// beta, candidate and development releases are pre-releases; an epoch is major.
func (v *Version) parsePEP440() string {
	m := pep440Form.FindStringSubmatch(strings.ToLower(v.text))
	if m == nil {
		return "it is none that PEP 440 describes"
	}
	epoch, release, pre, preNumber := m[1], m[2], m[3], m[4]
	isPost, isDev := m[5] != "" || m[6] != "", m[8] != ""
	key, class := numerics(release)
	v.keys = [][]part{{numeric(epoch)}, key, {pep440Pre(pre, preNumber, isDev && !isPost)}, nil, {{rank: 1}}, pep440Local(m[10])}
	if isPost {
		v.keys[3] = []part{{rank: 1, number: trimZeros(m[5] + m[7])}}
	}
	if isDev {
		v.keys[4] = []part{{number: trimZeros(m[9])}}
	}
	v.class, v.prerelease = withEpoch(epoch, class), pre != "" || isDev
	return ""
}

// pep440Pre orders development releases of a release before its alphas, and
// these before the release itself.
func pep440Pre(word, number string, devOnly bool) part {
	ranks := map[string]int{"a": 2, "alpha": 2, "b": 3, "beta": 3}
	switch {
	case word == "" && devOnly:
		return part{rank: 1}
	case word == "":
		return part{rank: 5}
	case ranks[word] != 0:
		return part{rank: ranks[word], number: trimZeros(number)}
	default:
		return part{rank: 4, number: trimZeros(number)}
	}
}

// pep440Local orders local versions: none first, words before numbers, more
// segments later.
func pep440Local(s string) []part {
	var key []part
	for _, segment := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("._-", r) }) {
		if digits(segment) {
			key = append(key, part{rank: 2, number: trimZeros(segment)})
		} else {
			key = append(key, part{rank: 1, text: segment})
		}
	}
	return key
}
