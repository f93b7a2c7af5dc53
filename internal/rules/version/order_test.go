package version

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

// randomVersion draws texts that collide and nearly collide often.
func randomVersion(r *rand.Rand, scheme string) string {
	alphabet := map[string][]string{
		Semver:  {"0.0.1", "1.0.0", "1.0.1", "1.10.0", "-", "-a", "-1", ".1", ".a", ".10", "-rc", "+b"},
		Windows: {"1", "0", "2", "10", ".", ".0", "01"},
		Deb:     {"1", "0", "a", "~", "+", ".", "-", "10", "1:", "Z", "rc"},
	}[scheme]
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// TestTotalOrder checks reflexivity, antisymmetry and transitivity on drawn
// triples.
func TestTotalOrder(t *testing.T) {
	for _, scheme := range Schemes() {
		r := rand.New(rand.NewPCG(7, 11))
		var versions []Version
		for len(versions) < 120 {
			if v, err := Parse(scheme, randomVersion(r, scheme)); err == nil {
				versions = append(versions, v)
			}
		}
		for _, a := range versions {
			if Compare(a, a) != 0 {
				t.Errorf("%s: %s differs from itself", scheme, a)
			}
			for _, b := range versions {
				ab := Compare(a, b)
				if ab != -Compare(b, a) {
					t.Errorf("%s: %s and %s compare to %d both ways", scheme, a, b, ab)
				}
				for _, c := range versions {
					if ab <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
						t.Fatalf("%s: %s <= %s <= %s, but not the first and the last", scheme, a, b, c)
					}
				}
			}
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
	for _, s := range []string{"1.2.3", "24.09", "1:7.88.1-10+deb12u8", "1.0.0-alpha.1+b", "Latest", "0.0.0.0", "~", ":", "-", "1.0~~", "\xff", "１.２"} {
		f.Add(s, "1.0.0")
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		for _, scheme := range Schemes() {
			a, err := Parse(scheme, s)
			if err != nil {
				if len(err.Error()) > 1000 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			if a.String() != s || Compare(a, a) != 0 {
				t.Errorf("%s: %q reads as %q", scheme, s, a)
			}
			if b, err := Parse(scheme, other); err == nil {
				if Compare(a, b) != -Compare(b, a) {
					t.Errorf("%s: %q and %q have no order", scheme, s, other)
				}
				if c := Class(a, b); c != "major" && c != "minor" && c != "patch" {
					t.Errorf("class %q", c)
				}
			}
			Fill("{version}{major}{minor}{digits}", s)
		}
	})
}
