package desired

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/format"

	"github.com/packmill/packmill/internal/fleet"
)

func TestPackageFile(t *testing.T) {
	p := fleet.Package{
		ID: "acme/tool", Name: "Tool \\(x)\n", Kind: "application", Sources: []string{"a", strings.Repeat("b", 120)}, Updater: "none", Rollback: "uninstall",
		Upstream: &fleet.Upstream{From: fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: "acme/tool"}}, Scheme: "windows"},
		Installers: map[string]fleet.Installer{"x64": {
			Platform: "windows", Arch: "x64", Type: "exe", Source: &fleet.Source{Asset: "tool.exe"},
			Detect:    []fleet.Detect{{Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\Acme`, Value: "Version", View: 32}}},
			ExitCodes: map[string]string{"3010": "softReboot"},
		}},
		Identity: &fleet.PackageIdentity{Winget: "Acme.Tool"},
	}
	notes := Notes{
		"":                         {"QUESTION: of the whole?"},
		"upstream.from":            {"QUESTION: of the feed?", "A second one."},
		"installers.x64":           {"Of the installer."},
		"installers.x64.detect":    {"QUESTION: hostile\n}\npkg: evil: true // \x1b[31m \u2028 end"},
		"installers.x64.arguments": {"QUESTION: of what is not there?"},
		"nowhere":                  {"Of nothing."},
	}
	data, err := PackageFile(p, notes)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := format.Source(data); err != nil || string(again) != string(data) {
		t.Errorf("cue fmt would change it (%v):\n%s", err, data)
	}
	text := string(data)
	for _, list := range notes {
		for _, note := range list {
			words := strings.FieldsFunc(note, func(r rune) bool { return r <= ' ' || r == '\u2028' })
			if first := words[0] + " " + words[1]; !strings.Contains(text, "// "+first) {
				t.Errorf("%q is missing:\n%s", first, text)
			}
		}
	}
	for _, want := range []string{
		"\t\t// QUESTION: of the feed?\n\t\t// A second one.\n\t\tfrom: githubReleases: repository: \"acme/tool\"\n",
		"\t// Of the installer.\n\tinstallers: x64: {\n",
		"evil: true // [31m end\n\t\tdetect: [{",
		`key: "HKLM\\SOFTWARE\\Acme", value: "Version", view: 32`,
		`exitCodes: "3010": "softReboot"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\npkg: evil") || strings.Contains(text, "minutes") {
		t.Errorf("what should not be there:\n%s", text)
	}
	publisher, err := PublisherFile(fleet.Publisher{Name: "Acme"}, Notes{"signers": {"QUESTION: who?"}})
	if err != nil {
		t.Fatal(err)
	}
	tree := with(bare(), map[string]string{PackagePath(p.ID): text, PublisherPath("acme"): string(publisher)})
	repo, err := Load(t.Context(), tree, Options{Evaluator: InProcess{}, Now: now, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := repo.Packages[p.ID]
	if in := got.Installers["x64"]; got.Name != p.Name || in.Detect[0].Registry.View != 32 || in.Source.Asset != "tool.exe" || got.Updater != "none" {
		t.Errorf("it reads as %+v", got)
	}
}
