package version

import (
	"cmp"
	"strings"
)

// parseSemver reads MAJOR.MINOR.PATCH[-prerelease][+build] (semver.org, 2.0.0)
// and returns why it is none. Build metadata has no part in the order.
func (v *Version) parseSemver() string {
	rest, build, hasBuild := strings.Cut(v.text, "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return "it has not three parts"
	}
	for _, p := range parts {
		if !digits(p) {
			return "a part is not a number"
		}
		if len(p) > 1 && p[0] == '0' {
			return "a part has a leading zero"
		}
		v.numbers = append(v.numbers, trimZeros(p))
	}
	if hasPre {
		v.prerelease = strings.Split(pre, ".")
		for _, id := range v.prerelease {
			if !identifier(id) {
				return "its pre-release part is malformed"
			}
			if digits(id) && len(id) > 1 && id[0] == '0' {
				return "a number of its pre-release part has a leading zero"
			}
		}
	}
	if hasBuild {
		for id := range strings.SplitSeq(build, ".") {
			if !identifier(id) {
				return "its build part is malformed"
			}
		}
	}
	return ""
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return s != ""
}

// comparePrerelease follows semver.org, item 11: none is newer than any;
// numbers by value, words by bytes, numbers before words, more fields later.
func comparePrerelease(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return cmp.Compare(min(len(b), 1), min(len(a), 1))
	}
	for i := range min(len(a), len(b)) {
		numA, numB := digits(a[i]), digits(b[i])
		var c int
		switch {
		case numA && numB:
			c = compareDecimal(trimZeros(a[i]), trimZeros(b[i]))
		case numA:
			c = -1
		case numB:
			c = 1
		default:
			c = cmp.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
