package version

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func parse(t *testing.T, scheme, s string) Version {
	t.Helper()
	v, err := Parse(scheme, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPrerelease(t *testing.T) {
	for _, tt := range []struct {
		scheme, s string
		want      bool
	}{
		{Semver, "1.0.0", false}, {Semver, "1.0.0-rc.1", true}, {Semver, "1.0.0+rc.1", false},
		{Windows, "1.0.0", false}, {Integer, "99", false},
		{Deb, "1.0~rc1-1", true}, {Deb, "1.0~beta2", true}, {Deb, "1.0-1~bpo12+1", false}, {Deb, "1.0~dfsg-1", false},
		{RPM, "1.0~rc1-1", true}, {RPM, "1.0-1~bp", false}, {RPM, "1.0^git1", false},
		{Loose, "1.0rc1", true}, {Loose, "1.0-windows", true}, {Loose, "1.0a", false}, {Loose, "1.0a1", true}, {Loose, "1.0-patch1", false},
		{Composite, "1.0,99", false}, {Composite, "1.0beta1,99", true}, {Composite, "1.0,99rc1", true},
		{Calver, "2024.05", false}, {Calver, "2024.05-rc1", true}, {Calver, "2024a", false}, {Calver, "2024.05-post1", false},
		{PEP440, "1.0", false}, {PEP440, "1.0rc1", true}, {PEP440, "1.0.post1", false}, {PEP440, "1.0.post1.dev2", true}, {PEP440, "1.0+local", false},
		{OpenSSL, "1.1.1w", false}, {OpenSSL, "3.0.0-beta1", true}, {OpenSSL, "1.1.1w-dev", true},
		{Java, "17.0.2+8-LTS", false}, {Java, "17-ea+5", true}, {Java, "8u20-ea", true}, {Java, "1.8.0_342-b07", false},
		{GitWindows, "2.55.0.windows.5", false}, {GitWindows, "2.55.0-rc1.windows.1", true},
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
		{Integer, "1", "2", "minor"}, {Integer, "2", "02", "patch"},
		{Deb, "7.88.1-10", "7.88.1-10+deb12u1", "patch"}, {Deb, "7.88.1-10", "8.0.0-1", "major"}, {Deb, "7.88.1-10", "7.89.0-1", "minor"},
		{Deb, "7.88.1-10", "1:7.88.1-10", "major"}, {Deb, "0:1.0", "1.0.1", "patch"},
		{RPM, "1.0-1", "1.0-2", "patch"}, {RPM, "1.0-1", "1.1-1", "minor"}, {RPM, "1.0-1", "1:1.0-1", "major"},
		{Loose, "1.2", "1.2a", "patch"}, {Loose, "1.2-1", "1.3", "minor"}, {Loose, "1", "2", "major"},
		{Composite, "1.2,3", "1.2,4", "patch"}, {Composite, "1.2,3", "1.3,4", "minor"}, {Composite, "1.2,3", "2.0,4", "major"},
		{Calver, "24.04", "24.10", "minor"}, {Calver, "2024.12", "25.01", "major"}, {Calver, "20240501", "2024.05.02", "patch"},
		{PEP440, "1.0", "1.0.post1", "patch"}, {PEP440, "1.0", "1.1", "minor"}, {PEP440, "1.0", "1!1.0", "major"},
		{OpenSSL, "1.1.1v", "1.1.1w", "patch"}, {OpenSSL, "1.1.0l", "1.1.1", "minor"}, {OpenSSL, "1.0.2u", "1.1.0", "major"}, {OpenSSL, "1.1.1w", "3.0.0", "major"}, {OpenSSL, "3.0.1", "3.0.2", "patch"}, {OpenSSL, "3.0.9", "3.1.0", "minor"},
		{Java, "1.8.0_342", "8u345-b01", "patch"}, {Java, "17.0.2", "21", "major"}, {Java, "17.0.2", "17.0.3", "patch"}, {Java, "8u412", "11.0.1", "major"},
		{GitWindows, "2.55.0.windows.1", "2.55.0.windows.5", "patch"}, {GitWindows, "2.54.0", "2.55.0", "minor"}, {GitWindows, "2.54.0", "3.0.0", "major"},
	} {
		if got := Class(parse(t, tt.scheme, tt.older), parse(t, tt.scheme, tt.newer)); got != tt.want {
			t.Errorf("Class(%s, %s) = %s, want %s", tt.older, tt.newer, got, tt.want)
		}
	}
}

// TestRegex reads by a pattern: what is a pre-release, and how far apart two are.
func TestRegex(t *testing.T) {
	s := Scheme{Name: Regex, Pattern: `R([0-9]{4})([ab])(?:_Update_([0-9]+))?(?:_(?P<pre>Prerelease))?`}
	read := func(text string) Version {
		v, err := s.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if read("R2024a").Prerelease() || !read("R2024a_Prerelease").Prerelease() {
		t.Error("the group pre does not tell pre-releases")
	}
	for newer, want := range map[string]string{"R2025a": "major", "R2024b": "minor", "R2024a_Update_2": "patch"} {
		if got := Class(read("R2024a"), read(newer)); got != want {
			t.Errorf("R2024a to %s is %s, want %s", newer, got, want)
		}
	}
	for pattern, want := range map[string]string{
		`([0-9]+)`: "", `(?P<n2>a)(?P<n1>b)(?P<pre>c)?`: "", `(?:x)(a)`: "",
		"": "empty", `[0-9]+`: "0 groups", `(`: "missing closing", `a)(b`: "unexpected", `(?P<n2>a)`: "no group n1", `(?P<n1>a)(b)`: "some have none",
		`(?P<year>a)`: `"year"`, `(?P<pre>a)`: "0 groups", `(?P<n1>a)(?P<n1>b)`: "two groups", `(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)`: "10 groups", `(a{1000}){1000}`: "repeat", `(?=a)(b)`: "invalid",
		`(` + strings.Repeat("a", maxPattern) + `)`: "longer",
	} {
		if got := PatternFault(pattern); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("PatternFault(%q) = %q, want %q", pattern, got, want)
		}
	}
}

func TestUnwanted(t *testing.T) {
	for _, tt := range []struct {
		u    fleet.Upstream
		text string
		want string // part of it, "" when it is wanted
	}{
		{fleet.Upstream{}, "1.2.3", ""}, {fleet.Upstream{}, "1.2.3-rc.1", "pre-release"}, {fleet.Upstream{Prerelease: true}, "1.2.3-rc.1", ""}, {fleet.Upstream{}, "nonsense", ""},
		{fleet.Upstream{Allowed: "1.*"}, "1.2.3", ""}, {fleet.Upstream{Allowed: "1.*"}, "2.0.0", `"1.*"`}, {fleet.Upstream{Allowed: "["}, "2.0.0", "malformed"},
		{fleet.Upstream{Ignore: []string{"9.*", "1.2.3"}}, "1.2.3", "ignore"}, {fleet.Upstream{Ignore: []string{"1.2.*"}}, "1.3.0", ""}, {fleet.Upstream{Ignore: []string{"["}}, "1.3.0", "malformed"},
		{fleet.Upstream{Ignore: []string{"non*"}}, "nonsense", "ignore"},
	} {
		tt.u.Scheme = Semver
		if got := Unwanted(tt.u, tt.text); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Unwanted(%+v, %s) = %q, want %q", tt.u, tt.text, got, tt.want)
		}
	}
}

func TestNewestAndAllowed(t *testing.T) {
	if v, ok := (Scheme{Name: Semver}).Newest([]string{"nonsense", "1.9.0", "1.10.0", "1.2.0", "Latest"}); !ok || v.String() != "1.10.0" {
		t.Errorf("Newest = %v, %v", v, ok)
	}
	if v, ok := (Scheme{Name: Semver}).Newest([]string{"nonsense"}); ok {
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
