// Package version orders the versions that vendors publish.
//
// There is no order that fits all of them, so a package names its scheme, and a
// text that the scheme cannot read is refused, never guessed at: vendors' feeds
// do say "Latest", "Unknown", "null", "RateLimited" and "0.0.0.0", and a mill
// that sorts such a word somewhere ships it. A refused version is a hold for
// people to look at.
//
// Within a scheme Compare is a total preorder: texts that mean the same version
// ("1.2" and "1.2.0.0" on Windows) compare equal and keep their spelling. Every
// scheme reads a text into the same kind of sort key, and keys have one order,
// so that this holds by construction.
package version

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// The schemes, as schema and package files spell them.
const (
	Calver     = "calver"      // date-like (calver.org): 2024.05.01, 24.04, 20240501, 2024a
	Composite  = "composite"   // "short,build": parts behind commas, each loose
	Deb        = "deb"         // Debian Policy, section 5.6.12
	GitWindows = "git-windows" // Git for Windows: 2.55.0.windows.5
	Integer    = "integer"     // one whole number
	Java       = "java"        // 1.8.0_503, 8u342-b07, and JEP 223 and 322
	Loose      = "loose"       // libversion's rules: nearly anything
	OpenSSL    = "openssl"     // 1.1.1w, 3.0.0-beta1
	PEP440     = "pep440"      // Python packages
	Regex      = "regex"       // by the groups of the package's own pattern
	RPM        = "rpm"         // rpm-version(7)
	Semver     = "semver"      // Semantic Versioning 2.0.0, three parts
	Windows    = "windows"     // one to eight numeric parts, as file and product versions
)

// Schemes are the schemes that Parse knows, sorted.
func Schemes() []string {
	return []string{Calver, Composite, Deb, GitWindows, Integer, Java, Loose, OpenSSL, PEP440, Regex, RPM, Semver, Windows}
}

// maxLength is past every real version; longer text is an attack or a page.
const maxLength = 128

// A Scheme is how the versions of one package are read and ordered.
type Scheme struct {
	Name    string // one of Schemes
	Pattern string // of Regex: RE2 with groups
}

// SchemeOf is the scheme of an upstream.
func SchemeOf(u fleet.Upstream) Scheme { return Scheme{Name: u.Scheme, Pattern: u.Pattern} }

// A Version is a parsed version. The zero value is none.
type Version struct {
	scheme     Scheme
	text       string
	keys       [][]part // what is compared, most significant first
	class      []string // what is major when it differs, and what is minor
	prerelease bool
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

// Parse reads s by a scheme that needs no pattern. Its errors are *ParseError.
func Parse(scheme, s string) (Version, error) { return Scheme{Name: scheme}.Parse(s) }

// Parse reads text by the scheme. Its errors are *ParseError.
func (s Scheme) Parse(text string) (Version, error) {
	refuse := func(why string) (Version, error) {
		return Version{}, &ParseError{Scheme: s.Name, Text: strings.ToValidUTF8(text[:min(len(text), maxLength)], ""), Why: why}
	}
	if text == "" {
		return refuse("it is empty")
	}
	if len(text) > maxLength {
		return refuse("it is too long")
	}
	if word := noise(text); word != "" {
		return refuse(fmt.Sprintf("%q is what a feed says when it knows none", word))
	}
	read := s.reader()
	if read == nil {
		return refuse("there is no such scheme")
	}
	v := Version{scheme: s, text: text}
	if why := read(&v); why != "" {
		return refuse(why)
	}
	return v, nil
}

// reader reads a version's text by the scheme and returns why it is none. It is
// nil for a scheme that does not exist.
func (s Scheme) reader() func(*Version) string {
	return map[string]func(*Version) string{
		Calver: (*Version).parseCalver, Composite: (*Version).parseComposite, Deb: (*Version).parseDeb,
		GitWindows: (*Version).parseGitWindows, Integer: (*Version).parseInteger, Java: (*Version).parseJava,
		Loose: (*Version).parseLoose, OpenSSL: (*Version).parseOpenSSL, PEP440: (*Version).parsePEP440,
		Regex: (*Version).parseRegex, RPM: (*Version).parseRPM, Semver: (*Version).parseSemver, Windows: (*Version).parseWindows,
	}[s.Name]
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
func (v Version) Scheme() Scheme { return v.scheme }

// Prerelease reports whether the version says of itself that it is not final.
// How each scheme says so stands at its parse method; windows and integer have
// no way to.
func (v Version) Prerelease() bool { return v.prerelease }

// Compare is -1, 0 or 1 as a is older than, the same as, or newer than b.
// Versions of different schemes have no order: comparing them is a programming
// error and panics.
func Compare(a, b Version) int {
	if a.scheme != b.scheme {
		panic("version: " + a.scheme.Name + " and " + b.scheme.Name + " versions have no order")
	}
	return compareKeys(a.keys, b.keys)
}

// Class is how far apart two versions are: "major", "minor" or "patch" by the
// first of their leading numbers that differs, the first being major and the
// second minor, unless the scheme's parse method says otherwise. A new epoch, in
// schemes that have them, is major.
func Class(older, newer Version) string {
	for i, class := range []string{"major", "minor"} {
		if classPart(older.class, i) != classPart(newer.class, i) {
			return class
		}
	}
	return "patch"
}

// Newest is the greatest of the texts that the scheme can read, the first of
// equals; ok is false when it can read none.
func (s Scheme) Newest(texts []string) (newest Version, ok bool) {
	for _, text := range texts {
		v, err := s.Parse(text)
		if err == nil && (!ok || Compare(v, newest) > 0) {
			newest, ok = v, true
		}
	}
	return newest, ok
}
