package version

import "strings"

// parseRPM reads [epoch:]version[-release] (rpm-version(7)). A tilde in the
// version makes a pre-release; a new release of the same version is patch.
// Versions that start with no digit are refused, although rpm takes them.
func (v *Version) parseRPM() string {
	epoch, rest, why := smallEpoch(v.text)
	if why != "" {
		return why
	}
	upstream, release, hasRelease := strings.Cut(rest, "-")
	if hasRelease && (release == "" || !only(release, "._+~^")) {
		return "its release is malformed"
	}
	if upstream == "" || !isDigit(upstream[0]) {
		return "it does not start with a digit"
	}
	if !only(upstream, "._+~^") {
		return "it holds a character that has no place in a version"
	}
	if !strings.ContainsAny(upstream, "123456789") {
		return "it is zero"
	}
	v.keys = [][]part{{numeric(epoch)}, rpmKey(upstream), nil}
	if hasRelease { // more components are newer, whatever is in them
		v.keys[2] = append([]part{{rank: rpmNumber}}, rpmKey(release)...)
	}
	v.class, v.prerelease = withEpoch(epoch, leadingNumbers(upstream)), strings.Contains(upstream, "~")
	return ""
}

// Ranks of the segments of an rpm version; its end is at zero.
const (
	rpmTilde  = -1
	rpmCaret  = 1
	rpmLetter = 2
	rpmNumber = 3
)

// rpmKey are the segments of a version: runs of letters and of digits, with the
// operators tilde and caret between them. Other characters only separate.
func rpmKey(s string) []part {
	var key []part
	for i := 0; i < len(s); {
		start := i
		switch {
		case s[i] == '~':
			key, i = append(key, part{rank: rpmTilde}), i+1
		case s[i] == '^':
			key, i = append(key, part{rank: rpmCaret}), i+1
		case isDigit(s[i]):
			for i < len(s) && isDigit(s[i]) {
				i++
			}
			key = append(key, part{rank: rpmNumber, number: trimZeros(s[start:i])})
		case isLetter(s[i]):
			for i < len(s) && isLetter(s[i]) {
				i++
			}
			key = append(key, part{rank: rpmLetter, text: s[start:i]})
		default:
			i++
		}
	}
	return key
}
