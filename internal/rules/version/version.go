// Package version orders the versions that vendors publish.
//
// There is no order that fits all of them, so a package names its scheme, and a
// text that the scheme cannot read is refused, never guessed at: vendors' feeds
// do say "Latest", "Unknown", "null", "RateLimited" and "0.0.0.0", and a mill
// that sorts such a word somewhere ships it. A refused version is a hold for
// people to look at.
//
// Within a scheme Compare is a total preorder: texts that mean the same version
// ("1.2" and "1.2.0.0" on Windows) compare equal and keep their spelling.
package version

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// The schemes, as schema and package files spell them.
const (
	Semver  = "semver"  // Semantic Versioning 2.0.0, three parts
	Windows = "windows" // one to eight numeric parts, as file and product versions
	Deb     = "deb"     // Debian Policy, section 5.6.12
)

// Schemes are the schemes that Parse knows, sorted.
func Schemes() []string { return []string{Deb, Semver, Windows} }

// maxLength is past every real version; longer text is an attack or a page.
const maxLength = 128

// A Version is a parsed version. The zero value is none.
type Version struct {
	scheme     string
	text       string
	numbers    []string // the leading dotted numbers, without leading zeros ("" is zero)
	prerelease []string // semver identifiers after "-"
	epoch      string   // deb
	upstream   string   // deb
	revision   string   // deb
}

// A ParseError says why a text is no version of a scheme.
type ParseError struct {
	Scheme string
	Text   string // cut to a length fit for a message
	Why    string
}

// Error quotes the text.
func (e *ParseError) Error() string {
	return fmt.Sprintf("%q is not a %s version: %s", e.Text, e.Scheme, e.Why)
}

// Parse reads s by the scheme. Its errors are *ParseError.
func Parse(scheme, s string) (Version, error) {
	refuse := func(why string) (Version, error) {
		return Version{}, &ParseError{Scheme: scheme, Text: strings.ToValidUTF8(s[:min(len(s), maxLength)], ""), Why: why}
	}
	if s == "" {
		return refuse("it is empty")
	}
	if len(s) > maxLength {
		return refuse("it is too long")
	}
	if word := noise(s); word != "" {
		return refuse(fmt.Sprintf("%q is what a feed says when it knows none", word))
	}
	v := Version{scheme: scheme, text: s}
	var why string
	switch scheme {
	case Semver:
		why = v.parseSemver()
	case Windows:
		why = v.parseWindows()
	case Deb:
		why = v.parseDeb()
	default:
		why = "there is no such scheme"
	}
	if why != "" {
		return refuse(why)
	}
	return v, nil
}

// noiseWords are what feeds publish in place of a version.
var noiseWords = []string{"latest", "unknown", "ratelimited", "null", "undefined", "none", "nan", "error"}

// noise is the word in s that stands for no version, "" if there is none.
func noise(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	for _, w := range words {
		if slices.Contains(noiseWords, w) {
			return w
		}
	}
	if !strings.ContainsAny(s, "123456789") {
		return s
	}
	return ""
}

// String is the version as it was written.
func (v Version) String() string { return v.text }

// Scheme is the scheme the version was read by.
func (v Version) Scheme() string { return v.scheme }

// Prerelease reports whether the version says of itself that it is not final.
// Windows versions have no way to say so.
func (v Version) Prerelease() bool {
	if v.scheme == Deb {
		return debPrerelease(v.upstream)
	}
	return len(v.prerelease) > 0
}

// Compare is -1, 0 or 1 as a is older than, the same as, or newer than b.
// Versions of different schemes have no order: comparing them is a programming
// error and panics.
func Compare(a, b Version) int {
	if a.scheme != b.scheme {
		panic("version: " + a.scheme + " and " + b.scheme + " versions have no order")
	}
	switch a.scheme {
	case Deb:
		return compareDebVersions(a, b)
	default:
		return cmp.Or(compareNumbers(a.numbers, b.numbers), comparePrerelease(a.prerelease, b.prerelease))
	}
}

// Class is how far apart two versions are: "major", "minor" or "patch" by the
// first of the leading numbers that differs. In deb a new epoch is major, and a
// new revision of the same upstream version is patch.
func Class(older, newer Version) string {
	if older.epoch != newer.epoch {
		return "major"
	}
	for i, class := range []string{"major", "minor"} {
		if number(older.numbers, i) != number(newer.numbers, i) {
			return class
		}
	}
	return "patch"
}

// Newest is the greatest of the texts that the scheme can read, the first of
// equals; ok is false when it can read none.
func Newest(scheme string, texts []string) (newest Version, ok bool) {
	for _, s := range texts {
		v, err := Parse(scheme, s)
		if err == nil && (!ok || Compare(v, newest) > 0) {
			newest, ok = v, true
		}
	}
	return newest, ok
}

// Allowed reports whether version matches the glob, "24.*" for example; the
// empty glob allows everything. A malformed glob is Invalid.
func Allowed(glob, version string) (bool, error) {
	if glob == "" {
		return true, nil
	}
	ok, err := path.Match(glob, version)
	if err != nil {
		return false, fleet.Errorf(fleet.Invalid, "version.allowed", "", "malformed pattern %q", glob)
	}
	return ok, nil
}

// compareNumbers pads the shorter list with zeros.
func compareNumbers(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if c := compareDecimal(number(a, i), number(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// number is the i-th number, zero past the end.
func number(numbers []string, i int) string {
	if i < len(numbers) {
		return numbers[i]
	}
	return ""
}

// compareDecimal compares natural numbers of any size, written without leading
// zeros.
func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func trimZeros(s string) string { return strings.TrimLeft(s, "0") }
