package version

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, scheme, s string) Version {
	t.Helper()
	v, err := Parse(scheme, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestOrder holds ascending lists; entries of one inner list are equal.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		scheme string
		name   string
		list   [][]string
	}{
		// semver.org, item 11.4
		{Semver, "specification", [][]string{{"1.0.0-alpha"}, {"1.0.0-alpha.1"}, {"1.0.0-alpha.beta"}, {"1.0.0-beta"}, {"1.0.0-beta.2"}, {"1.0.0-beta.11"}, {"1.0.0-rc.1"}, {"1.0.0", "1.0.0+build.7"}, {"2.0.0"}, {"2.1.0"}, {"2.1.1"}}},
		{Semver, "numbers past 64 bits", [][]string{{"1.0.9"}, {"1.0.10"}, {"1.0.99999999999999999998"}, {"1.0.99999999999999999999"}}},
		{Windows, "padding and zeros", [][]string{{"1"}, {"1.0.1"}, {"1.2", "1.2.0", "1.2.0.0", "01.02"}, {"1.10"}, {"9.20"}, {"24.8", "24.08"}, {"24.9", "24.09"}, {"24.10"}, {"26.001.21771", "26.1.21771.0"}}},
		// Debian Policy, section 5.6.12.2: "~~", "~~a", "~", "", "a"
		{Deb, "policy's tildes", [][]string{{"1~~"}, {"1~~a"}, {"1~"}, {"1", "01"}, {"1a"}}},
		{Deb, "policy's 1.0~beta1~svn1245", [][]string{{"1.0~beta1~svn1245"}, {"1.0~beta1"}, {"1.0"}}},
		{Deb, "epochs, revisions, letters before others", [][]string{{"1.9"}, {"1.10-1"}, {"1.10-1+deb12u1"}, {"1.10-1.1"}, {"1.10-2"}, {"1.10a-1"}, {"1.10+dfsg-1"}, {"1.10.1-1"}, {"1:0.1"}, {"2:0.1", "2:0.1-0", "02:0.1"}}},
		{Deb, "real packages", [][]string{{"7.88.1-10+deb12u1"}, {"7.88.1-10+deb12u8"}, {"7.88.1-10+deb12u12"}, {"8.14.1-2~bpo12+1"}, {"8.14.1-2"}}},
	} {
		t.Run(tt.scheme+"/"+tt.name, func(t *testing.T) {
			for i, low := range tt.list {
				for j, high := range tt.list {
					want := min(max(i-j, -1), 1)
					for _, a := range low {
						for _, b := range high {
							if got := Compare(parse(t, tt.scheme, a), parse(t, tt.scheme, b)); got != want {
								t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
							}
						}
					}
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	everywhere := []string{
		"", "Latest", "latest", "Unknown", "RateLimited", "null", "undefined", "0.0.0.0", "0", "0.0.0", "none", "N/A",
		"1.2.3-RateLimited", "1.2.3-latest", " 1.2.3", "1.2.3 ", "1..2", "v1.2.3", "<html>", "1.2.3\n", "-1.2.3", strings.Repeat("1.", 200) + "1",
	}
	single := map[string][]string{
		Semver:  {"1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3+a_b", "1.2.x"},
		Windows: {"1.2.3-rc1", "1.2a", "1.2.3.4.5.6.7.8.9", ".1", "1."},
		Deb:     {"a1", "1.2_3", "1:", ":1", "x:1", "1234567890:1", "1-", "1-a_b", "~1", "0-1"},
		"loose": {"1.2.3"},
	}
	for scheme, texts := range single {
		for _, s := range slices.Concat(texts, everywhere) {
			if scheme == Deb && s == "1..2" {
				continue // odd, and a legal Debian version
			}
			v, err := Parse(scheme, s)
			var refused *ParseError
			if !errors.As(err, &refused) {
				t.Errorf("Parse(%s, %q) = %q, %v; want a ParseError", scheme, s, v, err)
			}
		}
	}
}

func TestPrerelease(t *testing.T) {
	for _, tt := range []struct {
		scheme, s string
		want      bool
	}{
		{Semver, "1.0.0", false}, {Semver, "1.0.0-rc.1", true}, {Semver, "1.0.0+rc.1", false},
		{Windows, "1.0.0", false},
		{Deb, "1.0~rc1-1", true}, {Deb, "1.0~beta2", true}, {Deb, "1.0-1~bpo12+1", false}, {Deb, "1.0~dfsg-1", false},
	} {
		if got := parse(t, tt.scheme, tt.s).Prerelease(); got != tt.want {
			t.Errorf("%s %s is a pre-release: %v, want %v", tt.scheme, tt.s, got, tt.want)
		}
	}
}

func TestClass(t *testing.T) {
	for _, tt := range []struct{ scheme, older, newer, want string }{
		{Semver, "1.2.3", "2.0.0", "major"}, {Semver, "1.2.3", "1.3.0", "minor"}, {Semver, "1.2.3", "1.2.4", "patch"}, {Semver, "1.2.3-rc.1", "1.2.3", "patch"},
		{Windows, "24.8", "24.09", "minor"}, {Windows, "24.9", "25.01", "major"}, {Windows, "1.2", "1.2.0.1", "patch"},
		{Deb, "7.88.1-10", "7.88.1-10+deb12u1", "patch"}, {Deb, "7.88.1-10", "8.0.0-1", "major"}, {Deb, "7.88.1-10", "7.89.0-1", "minor"},
		{Deb, "7.88.1-10", "1:7.88.1-10", "major"}, {Deb, "0:1.0", "1.0.1", "patch"},
	} {
		if got := Class(parse(t, tt.scheme, tt.older), parse(t, tt.scheme, tt.newer)); got != tt.want {
			t.Errorf("Class(%s, %s) = %s, want %s", tt.older, tt.newer, got, tt.want)
		}
	}
}

func TestNewestAndAllowed(t *testing.T) {
	if v, ok := Newest(Semver, []string{"nonsense", "1.9.0", "1.10.0", "1.2.0", "Latest"}); !ok || v.String() != "1.10.0" {
		t.Errorf("Newest = %v, %v", v, ok)
	}
	if v, ok := Newest(Semver, []string{"nonsense"}); ok {
		t.Errorf("Newest of nothing readable = %v", v)
	}
	for glob, want := range map[string]bool{"": true, "24.*": true, "25.*": false, "24.09": true} {
		if got, err := Allowed(glob, "24.09"); err != nil || got != want {
			t.Errorf("Allowed(%q) = %v, %v", glob, got, err)
		}
	}
	if _, err := Allowed("[", "1"); err == nil {
		t.Error("a malformed glob passed")
	}
}

func TestTemplates(t *testing.T) {
	for _, tt := range []struct{ template, version, want string }{
		{"7z{digits}-x64.msi", "24.09", "7z2409-x64.msi"},
		{"npp.{version}.Installer.x64.exe", "8.7.1", "npp.8.7.1.Installer.x64.exe"},
		{"{major}.{minor}/x-{version}.deb", "1:7.88.1-10", "7.88/x-1:7.88.1-10.deb"},
		{"plain", "1", "plain"}, {"{major}-{minor}", "7", "7-"},
	} {
		if got := Fill(tt.template, tt.version); got != tt.want {
			t.Errorf("Fill(%q, %q) = %q, want %q", tt.template, tt.version, got, tt.want)
		}
	}
	for template, want := range map[string]string{
		"{version}{major}{minor}{digits}": "", "a": "", "{Version}/{major}/{arch}": "{Version} {arch}", "{version": "{version", "{{version}}": "", "{": "{",
	} {
		if got := strings.Join(Unknown(template, Placeholders()), " "); got != want {
			t.Errorf("Unknown(%q) = %q, want %q", template, got, want)
		}
		if filled := Fill(template, "1.2"); want == "" && template[0] == '{' && strings.Contains(filled, "version") {
			t.Errorf("Fill(%q) leaves %q", template, filled)
		}
	}
	for _, tt := range []struct {
		template, text, want string
		ok                   bool
	}{
		{"v{version}", "v1.2.3", "1.2.3", true}, {"{version}", "24.09", "24.09", true}, {"v{version}.windows.1", "v2.47.0.windows.1", "2.47.0", true},
		{"v{version}.windows.1", "v2.47.0.windows.2", "", false}, {"v{version}", "nightly", "", false}, {"v{version}", "vnext", "next", false}, {"fixed", "fixed", "", false}, {"ab{version}ba", "aba", "", false},
	} {
		if got, ok := Extract(tt.template, tt.text); ok != tt.ok || ok && got != tt.want {
			t.Errorf("Extract(%q, %q) = %q, %v", tt.template, tt.text, got, ok)
		}
	}
}

func TestDifferentSchemesHaveNoOrder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("comparing a deb with a semver version did not panic")
		}
	}()
	Compare(parse(t, Deb, "1.2.3"), parse(t, Semver, "1.2.3"))
}
