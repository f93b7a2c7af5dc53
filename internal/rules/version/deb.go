package version

import (
	"cmp"
	"strings"
)

// parseDeb reads [epoch:]upstream[-revision] (Debian Policy, section 5.6.12)
// and returns why it is none.
func (v *Version) parseDeb() string {
	rest := v.text
	if epoch, after, found := strings.Cut(rest, ":"); found {
		if !digits(epoch) || len(trimZeros(epoch)) > 9 {
			return "its epoch is not a small number"
		}
		v.epoch, rest = trimZeros(epoch), after
	}
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		v.upstream, v.revision = rest[:i], rest[i+1:]
		if v.revision == "" || !debChars(v.revision, "+.~") {
			return "its revision is malformed"
		}
	} else {
		v.upstream = rest
	}
	if v.upstream == "" || v.upstream[0] < '0' || v.upstream[0] > '9' {
		return "it does not start with a digit"
	}
	if !debChars(v.upstream, "+.~-:") {
		return "it holds a character that has no place in a version"
	}
	if !strings.ContainsAny(v.upstream, "123456789") {
		return "it is zero"
	}
	v.numbers = leadingNumbers(v.upstream)
	return ""
}

func debChars(s, also string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune(also, rune(c)) {
			return false
		}
	}
	return true
}

// leadingNumbers are the dotted numbers that s starts with, for Class.
func leadingNumbers(s string) []string {
	var out []string
	for {
		n := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if n == 0 {
			return out
		}
		out = append(out, trimZeros(s[:n]))
		if s = s[n:]; !strings.HasPrefix(s, ".") {
			return out
		}
		s = s[1:]
	}
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

func compareDebVersions(a, b Version) int {
	return cmp.Or(
		compareDecimal(a.epoch, b.epoch),
		compareDebPart(a.upstream, b.upstream),
		compareDebPart(a.revision, b.revision),
	)
}

// compareDebPart takes turns between the longest prefix without digits, in
// which "~" sorts before the end and letters before everything else, and the
// longest prefix of digits, by value.
func compareDebPart(a, b string) int {
	for a != "" || b != "" {
		textA, restA := split(a, false)
		textB, restB := split(b, false)
		if c := compareDebText(textA, textB); c != 0 {
			return c
		}
		numA, afterA := split(restA, true)
		numB, afterB := split(restB, true)
		if c := compareDecimal(trimZeros(numA), trimZeros(numB)); c != 0 {
			return c
		}
		a, b = afterA, afterB
	}
	return 0
}

// split cuts off the longest prefix of digits, or of anything else.
func split(s string, wantDigits bool) (prefix, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == wantDigits {
		i++
	}
	return s[:i], s[i:]
}

func compareDebText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// weight orders the i-th character of s: tilde, end, letters, others.
func weight(s string, i int) int {
	if i >= len(s) {
		return 0
	}
	c := s[i]
	switch {
	case c == '~':
		return -1
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		return int(c)
	default:
		return int(c) + 256
	}
}
