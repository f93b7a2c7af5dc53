package version

import (
	"strings"
)

// parseDeb reads [epoch:]upstream[-revision] (Debian Policy, section 5.6.12)
// and returns why it is none. A tilde with a word such as "rc" behind it makes a
// pre-release; a new revision of the same upstream version is patch.
func (v *Version) parseDeb() string {
	epoch, rest, why := smallEpoch(v.text)
	if why != "" {
		return why
	}
	upstream, revision := rest, ""
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		upstream, revision = rest[:i], rest[i+1:]
		if revision == "" || !only(revision, "+.~") {
			return "its revision is malformed"
		}
	}
	if upstream == "" || !isDigit(upstream[0]) {
		return "it does not start with a digit"
	}
	if !only(upstream, "+.~-:") {
		return "it holds a character that has no place in a version"
	}
	if !strings.ContainsAny(upstream, "123456789") {
		return "it is zero"
	}
	v.keys = [][]part{{numeric(epoch)}, debKey(upstream), debKey(revision)}
	v.class, v.prerelease = withEpoch(epoch, leadingNumbers(upstream)), debPrerelease(upstream)
	return ""
}

// smallEpoch takes the number before a colon off, as deb and rpm write it.
func smallEpoch(s string) (epoch, rest, why string) {
	epoch, rest, found := strings.Cut(s, ":")
	if !found {
		return "", s, ""
	}
	if !digits(epoch) || len(trimZeros(epoch)) > 9 {
		return "", "", "its epoch is not a small number"
	}
	return epoch, rest, ""
}

// debPrerelease looks for what Debian's packagers write behind a tilde for
// versions before the final one; other tildes ("~dfsg", "~bpo12") mean nothing
// of the kind.
func debPrerelease(upstream string) bool {
	for _, part := range strings.Split(upstream, "~")[1:] {
		word := strings.ToLower(strings.TrimLeft(part, "."))
		for _, mark := range []string{"alpha", "beta", "rc", "pre", "dev", "git"} {
			if strings.HasPrefix(word, mark) {
				return true
			}
		}
	}
	return false
}

// debKey takes turns between the longest prefix without digits, in which "~"
// sorts before the end and letters before everything else, and the longest
// prefix of digits, by value. A number stands where a text ends, so it has the
// rank of the end.
func debKey(s string) []part {
	var key []part
	for s != "" {
		text, rest := split(s, false)
		for i := range len(text) {
			key = append(key, part{rank: weight(text[i])})
		}
		number, after := split(rest, true)
		if number != "" {
			key = append(key, part{number: trimZeros(number)})
		}
		s = after
	}
	return key
}

// weight orders characters: tilde, the end at zero, letters, others.
func weight(c byte) int {
	switch {
	case c == '~':
		return -1
	case isLetter(c):
		return int(c)
	default:
		return int(c) + 256
	}
}
