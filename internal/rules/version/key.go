package version

import (
	"cmp"
	"regexp"
	"strings"
)

// A part is one component of a sort key: ordered by rank, then by number, then
// by text. The zero part stands for what a shorter key lacks.
type part struct {
	rank   int
	number string // of any size, without leading zeros: "" is zero
	text   string
}

// Ranks of the components of versions that are numbers first, in libversion's
// order: what is missing counts as zero.
const (
	rankPre     = -1 // a stage before the final release
	rankZero    = 0
	rankPost    = 1 // a fix behind it
	rankNonzero = 2
	rankLetter  = 3 // "1.0a"
)

// compareKeys compares key by key; a missing key is an empty one.
func compareKeys(a, b [][]part) int {
	for i := range max(len(a), len(b)) {
		var x, y []part
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := compareParts(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareParts pads the shorter key with zero parts.
func compareParts(a, b []part) int {
	for i := range max(len(a), len(b)) {
		var x, y part
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := cmp.Or(cmp.Compare(x.rank, y.rank), compareDecimal(x.number, y.number), cmp.Compare(x.text, y.text)); c != 0 {
			return c
		}
	}
	return 0
}

// compareDecimal compares natural numbers of any size, written without leading
// zeros.
func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// numeric is the part of a number, written with or without leading zeros.
func numeric(s string) part {
	if s = trimZeros(s); s != "" {
		return part{rank: rankNonzero, number: s}
	}
	return part{rank: rankZero}
}

// numerics are the parts of dotted numbers, and what Class looks at.
func numerics(dotted string) (key []part, class []string) {
	for p := range strings.SplitSeq(dotted, ".") {
		key, class = append(key, numeric(p)), append(class, trimZeros(p))
	}
	return key, class
}

// classPart is the i-th of what Class looks at, zero past the end.
func classPart(class []string, i int) string {
	if i < len(class) {
		return class[i]
	}
	return ""
}

// withEpoch makes an epoch part of what is major.
func withEpoch(epoch string, class []string) []string {
	if epoch = trimZeros(epoch); epoch == "" {
		return class
	}
	out := []string{epoch + ":" + classPart(class, 0)}
	return append(out, class[min(1, len(class)):]...)
}

// stage is the part of a word for a version before the final one, in the order
// dev, alpha, beta, pre, rc, or for a fix behind it; ok is false for other words.
func stage(word string) (p part, ok bool) {
	switch word {
	case "dev", "nightly", "snapshot", "canary":
		return part{rank: rankPre, number: "1"}, true
	case "alpha", "a":
		return part{rank: rankPre, number: "2"}, true
	case "beta", "b":
		return part{rank: rankPre, number: "3"}, true
	case "preview", "pre":
		return part{rank: rankPre, number: "4"}, true
	case "rc", "c":
		return part{rank: rankPre, number: "5"}, true
	case "post", "patch", "hotfix":
		return part{rank: rankPost}, true
	}
	return part{}, false
}

// hasPre reports whether a part of the key is a stage before the final release.
func hasPre(key []part) bool {
	for _, p := range key {
		if p.rank == rankPre {
			return true
		}
	}
	return false
}

// leadingNumbers are the dotted numbers that s starts with, for Class.
func leadingNumbers(s string) []string {
	_, class := numerics(leading.FindString(s))
	return class
}

var leading = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*`)

// split cuts off the longest prefix of digits, or of anything else.
func split(s string, wantDigits bool) (prefix, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) == wantDigits {
		i++
	}
	return s[:i], s[i:]
}

// only reports whether s holds nothing but ASCII letters, digits and also.
func only(s, also string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && !isLetter(s[i]) && strings.IndexByte(also, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func trimZeros(s string) string { return strings.TrimLeft(s, "0") }
