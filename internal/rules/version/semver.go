package version

import "strings"

// parseSemver reads MAJOR.MINOR.PATCH[-prerelease][+build] (semver.org, 2.0.0)
// and returns why it is none. Build metadata has no part in the order. A version
// with a pre-release part is a pre-release.
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
	}
	key, class := numerics(core)
	v.class, v.prerelease = class, hasPre
	v.keys = [][]part{key, {{rank: 1}}} // item 11.3: none is newer than any
	if hasPre {
		ids := strings.Split(pre, ".")
		for _, id := range ids {
			if !identifier(id) {
				return "its pre-release part is malformed"
			}
			if digits(id) && len(id) > 1 && id[0] == '0' {
				return "a number of its pre-release part has a leading zero"
			}
		}
		v.keys[1] = prereleaseKey(ids)
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

func identifier(s string) bool { return s != "" && only(s, "-") }

// prereleaseKey follows semver.org, item 11.4: numbers by value, words by bytes,
// numbers before words, more fields later.
func prereleaseKey(ids []string) []part {
	key := []part{{}}
	for _, id := range ids {
		if digits(id) {
			key = append(key, part{rank: 1, number: trimZeros(id)})
		} else {
			key = append(key, part{rank: 2, text: id})
		}
	}
	return key
}
