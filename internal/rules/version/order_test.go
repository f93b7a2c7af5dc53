package version

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

// schemes are all schemes, with a pattern for the one that needs it.
func schemes() []Scheme {
	var out []Scheme
	for _, name := range Schemes() {
		s := Scheme{Name: name}
		if name == Regex {
			s.Pattern = `([0-9]+)([a-z]*)(?:[.]([0-9a-z]+))?(?:-(?P<pre>[0-9a-z]+))?`
		}
		out = append(out, s)
	}
	return out
}

// randomVersion draws texts that collide and nearly collide often.
func randomVersion(r *rand.Rand, scheme string) string {
	alphabet := map[string][]string{
		Semver:     {"0.0.1", "1.0.0", "1.0.1", "1.10.0", "-", "-a", "-1", ".1", ".a", ".10", "-rc", "+b"},
		Windows:    {"1", "0", "2", "10", ".", ".0", "01"},
		Integer:    {"1", "0", "2", "10"},
		Deb:        {"1", "0", "a", "~", "+", ".", "-", "10", "1:", "Z", "rc"},
		RPM:        {"1", "0", "a", "~", "^", ".", "_", "-", "10", "1:", "Z", "rc"},
		Loose:      {"1", "0", "a", "~", ".", "-", "10", "rc", "patch", "Alpha", "b", "pl", "01"},
		Composite:  {"1", "0", "a", ",", ".", "-", "10", "rc", ",1", "2,2"},
		Calver:     {"24", "2024", "20240501", "1", "0", "a", "b", ".", ".05", "-01", "rc", "-dev", "post", "_10"},
		PEP440:     {"1", "0", "a", "b2", "rc1", ".post1", ".dev1", "1!", "+", "+a", ".1", "10", "-1", "c"},
		OpenSSL:    {"1.1.1", "1.1.0", "3.0.0", "3.0.10", "a", "w", "z", "-beta1", "-pre2", "-dev", "-alpha"},
		Java:       {"1.8.0", "8u5", "17", "9", "_5", "_05", "-ea", "+8", "-b07", ".1", ".0", "jdk", "-2", "-LTS", "-10"},
		GitWindows: {"2.55.0", "v2.55.0", "2.9.1", "-rc1", "-rc10", ".windows.1", ".windows.5", ".5", "(5)", ".10"},
		Regex:      {"1", "0", "10", "a", "b", ".", "-", "-rc", "-1", "a1", "01"},
	}[scheme]
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// TestTotalOrder checks reflexivity, antisymmetry and transitivity on drawn
// triples, and that equal versions are equal to all others alike.
func TestTotalOrder(t *testing.T) {
	for _, scheme := range schemes() {
		r := rand.New(rand.NewPCG(7, 11))
		var versions []Version
		for drawn := 0; len(versions) < 120; drawn++ {
			if drawn > 100_000 {
				t.Fatalf("%s: only %d of %d drawn texts can be read", scheme.Name, len(versions), drawn)
			}
			if v, err := scheme.Parse(randomVersion(r, scheme.Name)); err == nil {
				versions = append(versions, v)
			}
		}
		different := map[int]bool{}
		for _, a := range versions {
			if Compare(a, a) != 0 {
				t.Errorf("%s: %s differs from itself", scheme.Name, a)
			}
			for _, b := range versions {
				ab := Compare(a, b)
				different[ab] = true
				if ab != -Compare(b, a) {
					t.Errorf("%s: %s and %s compare to %d both ways", scheme.Name, a, b, ab)
				}
				for _, c := range versions {
					if ab <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
						t.Fatalf("%s: %s <= %s <= %s, but not the first and the last", scheme.Name, a, b, c)
					}
					if ab == 0 && Compare(a, c) != Compare(b, c) {
						t.Fatalf("%s: %s and %s are equal, but not to %s", scheme.Name, a, b, c)
					}
				}
			}
		}
		if len(different) != 3 {
			t.Errorf("%s: Compare gives %v alone", scheme.Name, different)
		}
	}
}

// TestDpkgAgrees compares with the Debian package manager itself.
func TestDpkgAgrees(t *testing.T) {
	dpkg := testreq.Program(t, "dpkg")
	r := rand.New(rand.NewPCG(3, 5))
	for n := 0; n < 60; {
		a, errA := Parse(Deb, randomVersion(r, Deb))
		b, errB := Parse(Deb, randomVersion(r, Deb))
		if errA != nil || errB != nil {
			continue
		}
		n++
		op := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[Compare(a, b)]
		if out, err := exec.CommandContext(t.Context(), dpkg, "--compare-versions", a.String(), op, b.String()).CombinedOutput(); err != nil {
			t.Errorf("dpkg does not find %s %s %s: %v %s", a, op, b, err, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"1.2.3", "24.09", "1:7.88.1-10+deb12u8", "1.0.0-alpha.1+b", "Latest", "0.0.0.0", "~", ":", "-", "1.0~~", "\xff", "１.２",
		"2024.05-rc1", "20240501", "1.2,3", "1!1.0rc1.post2.dev3+u.1", "1.1.1w", "8u342-b07", "jdk-17.0.2+8-LTS", "v2.55.0-rc1.windows.5", "1.0^git1~2", "1.0patch1",
	} {
		f.Add(s, "1.0.0", "([0-9]+)[.]([a-z0-9]+)(?P<pre>-.*)?")
	}
	f.Fuzz(func(t *testing.T, s, other, pattern string) {
		for _, scheme := range schemes() {
			if scheme.Name == Regex && PatternFault(pattern) == "" {
				scheme.Pattern = pattern
			}
			a, err := scheme.Parse(s)
			if err != nil {
				if len(err.Error()) > 2000 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			if a.String() != s || Compare(a, a) != 0 {
				t.Errorf("%s: %q reads as %q", scheme.Name, s, a)
			}
			a.Prerelease()
			if b, err := scheme.Parse(other); err == nil {
				if Compare(a, b) != -Compare(b, a) {
					t.Errorf("%s: %q and %q have no order", scheme.Name, s, other)
				}
				if c := Class(a, b); c != "major" && c != "minor" && c != "patch" {
					t.Errorf("class %q", c)
				}
			}
			Fill("{version}{major}{minor}{digits}", s)
		}
	})
}
