package upstream

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// TestListed chooses among files by what is told of them.
func TestListed(t *testing.T) {
	file := func(name, arch, kind, scope, language string) releases.File {
		return releases.File{Name: name, URL: "https://vendor.example/" + name, Arch: arch, Type: kind, Scope: scope, Language: language}
	}
	x64 := fleet.Installer{Arch: "x64", Type: "exe", Scope: "machine"}
	german := x64
	german.Language = "de-DE"
	plain, de, user := file("app.exe", "x64", "exe", "", ""), file("app-de.exe", "x64", "exe", "", "de-DE"), file("user.exe", "x64", "exe", "user", "")
	for name, tt := range map[string]struct {
		files []releases.File
		in    fleet.Installer
		want  string // file, or a part of the hold
	}{
		"the one that fits":              {[]releases.File{file("a.msi", "x64", "msi", "", ""), plain}, x64, "app.exe"},
		"without a language":             {[]releases.File{de, plain}, x64, "app.exe"},
		"the language that is asked for": {[]releases.File{plain, de}, german, "app-de.exe"},
		"no such language":               {[]releases.File{plain, file("app-fi.exe", "x64", "exe", "", "fi-FI")}, german, "app.exe"},
		"the scope that is told":         {[]releases.File{user, plain, file("m.exe", "x64", "exe", "machine", "")}, x64, "m.exe"},
		"two of the same":                {[]releases.File{plain, file("other.exe", "x64", "exe", "", "")}, x64, "more than one"},
		"one address twice":              {[]releases.File{plain, plain}, x64, "app.exe"},
		"none":                           {[]releases.File{user, file("arm.exe", "arm64", "exe", "", "")}, x64, "it has user.exe, arm.exe"},
	} {
		told := told{entries: map[string]releases.Entry{"1.0": {Files: tt.files}}}
		got, err := told.listed(tt.in, "1.0")
		if err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && got.Name != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got.Name, err, tt.want)
		}
	}
}
