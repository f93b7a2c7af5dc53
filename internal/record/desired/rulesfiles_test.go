package desired

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// What a file may be, before anything in it is read.
func TestFileRules(t *testing.T) {
	const empty = "package catalog\n"
	checkRules(t, []rule{
		{"CUE in a strange place", []edit{{"catalog/igor-pavlov/7-zip/old/24.07.cue", "", empty}}},
		{"CUE at the top", []edit{{"schedules/common.cue", "", "package schedules\n"}}},
		{"tool file", []edit{{"tenants/deploy_tool.cue", "", "package tenants\n"}}},
		{"tool file among releases", []edit{{"catalog/igor-pavlov/7-zip/1_tool.cue", "", empty}}},
		{"ignored by CUE", []edit{{"catalog/igor-pavlov/7-zip/_24.10.cue", "", empty}}},
		{"name that speaks to the terminal", []edit{{"catalog/x\n::error file=y::z\x1b[2J.cue", "", empty}}},
		{"hidden folder", []edit{{"catalog/.hidden/package.cue", "", empty}}},
		{"capital publisher", []edit{{"catalog/Igor/publisher.cue", "", empty}}},
		{"capital package", []edit{{"catalog/igor-pavlov/Zip/package.cue", "", empty}}},
		{"version spelt otherwise", []edit{{"catalog/igor-pavlov/7-zip/24%2E10.cue", "", empty}}},
		{"cycle of no week", []edit{{"schedules/cycles/2026-W54/cycle.cue", "", "package schedules\n"}}},
		{"catalog file too large", []edit{{sevenZip, "", "package catalog\n// " + strings.Repeat("x", MaxCatalogFile)}}},
		{"policy file too large", []edit{{tenant, "", "package tenants\n// " + strings.Repeat("x", MaxPolicyFile)}}},
		{"payload too large", []edit{{"catalog/acme/ledger-client/files/acme.mst", "", strings.Repeat("x", MaxPayload+1)}}},
		{"file without package clause", []edit{{sevenZip9, "package catalog\n", ""}}},
		{"another package", []edit{{tenant, "package tenants", "package catalog"}}},
		{"another package in the catalog", []edit{{sevenZip9, "package catalog", "package main"}}},
		{"schema changed", []edit{{"cue.mod/pkg/github.com/packmill/packmill/schema/ids.cue", "package schema", "package schema // ours"}}},
		{"schema file gone", []edit{{"cue.mod/pkg/github.com/packmill/packmill/schema/ids.cue", "", ""}}},
		{"schema file added", []edit{{"cue.mod/pkg/github.com/packmill/packmill/schema/more.cue", "", "package schema\n"}}},
		{"another vendored module", []edit{{"cue.mod/pkg/evil.example/x/x.cue", "", "package x\n"}}},
		{"local replacement", []edit{{"cue.mod/local-module.cue", "", "module: \"x\"\n"}}},
		{"module with dependencies", []edit{{modulePath, "", "module: \"example.com/packages\"\nlanguage: version: \"v0.17.0\"\ndeps: \"evil.example/x@v0\": v: \"v0.0.1\"\n"}}},
		{"module without language", []edit{{modulePath, "", "module: \"example.com/packages\"\n"}}},
		{"module of a name stock cue refuses", []edit{{modulePath, "", "module: \"bad module\"\nlanguage: version: \"v0.17.0\"\n"}}},
		{"module without a dot", []edit{{modulePath, "", "module: \"packages\"\nlanguage: version: \"v0.17.0\"\n"}}},
		{"module that is no text", []edit{{modulePath, "", "module: 7\nlanguage: version: \"v0.17.0\"\n"}}},
		{"no module", []edit{{modulePath, "", ""}}},
		{"import of another package", []edit{{tenant, `import "github.com/packmill/packmill/schema"`, "import \"github.com/packmill/packmill/schema\"\nimport \"evil.example/x@v0:x\""}}},
		{"import that runs commands", []edit{{tenant, `import "github.com/packmill/packmill/schema"`, "import \"github.com/packmill/packmill/schema\"\nimport \"tool/exec\""}}},
		{"embed", []edit{{tenant, "package tenants", "@extern(embed)\n\npackage tenants"}, {tenant, `policy:`, "_secret: _ @embed(file=\"../../../.git/config\",type=text)\npolicy:"}}},
		{"build attribute", []edit{{tenant, "package tenants", "@if(windows)\n\npackage tenants"}}},
	})
}

// The schema's findings come with the command that mends them.
func TestSchemaHint(t *testing.T) {
	_, err := load(t, edited(t, edit{"cue.mod/pkg/github.com/packmill/packmill/schema/ids.cue", "", ""}))
	list, ok := err.(fleet.Errors)
	if !ok || len(list) != 1 || !strings.Contains(list[0].Hint, "packmill init --update-schema") {
		t.Errorf("got %#v", err)
	}
}

// A linkTree says that some of its files are something else.
type linkTree struct {
	MapTree
	modes map[string]Mode
}

func (l linkTree) Files(prefix string) ([]File, error) {
	files, err := l.MapTree.Files(prefix)
	for i := range files {
		files[i].Mode = l.modes[files[i].Path]
	}
	return files, err
}

func TestOtherModes(t *testing.T) {
	tree := linkTree{msp(t), map[string]Mode{
		sevenZip: Symlink, "catalog/acme/ledger-client/files/acme.mst": Symlink, tenant: Submodule,
		"cue.mod/pkg/github.com/packmill/packmill/schema/ids.cue": Symlink, freeze: Other,
	}}
	_, err := load(t, tree)
	if err == nil {
		t.Fatal("accepted")
	}
	for path, want := range map[string]string{
		sevenZip: "symbolic link", "catalog/acme/ledger-client/files/acme.mst": "symbolic link", tenant: "submodule",
		"cue.mod/pkg/github.com/packmill/packmill/schema/ids.cue": "symbolic link", freeze: "no regular file",
	} {
		found := false
		for _, line := range strings.Split(err.Error(), "\n") {
			found = found || strings.HasPrefix(line, path+": ") && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("nothing about %s (%s) in\n%s", path, want, err)
		}
	}
}

func TestFileOfVersion(t *testing.T) {
	for version, want := range map[string]string{
		"24.09": "24.09.cue", "1:2.0-3~bpo+1": "1%3A2.0-3~bpo+1.cue", "v1_tool": "v1%5Ftool.cue", ".1": "%2E1.cue",
		"package": "%70ackage.cue", "a b": "a%20b.cue", "50%": "50%25.cue", "../x": "%2E.%2Fx.cue",
	} {
		if got := fleet.FileOfVersion(version); got != want {
			t.Errorf("fleet.FileOfVersion(%q) = %q, want %q", version, got, want)
		}
		if got := fleet.VersionOfFile(strings.TrimSuffix(want, ".cue")); got != version {
			t.Errorf("fleet.VersionOfFile(%q) = %q, want %q", want, got, version)
		}
	}
}

func FuzzFileOfVersion(f *testing.F) {
	for _, seed := range []string{"24.09", "1:2~3", "_x_test", "package", "%41", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, version string) {
		name := fleet.FileOfVersion(version)
		if strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".cue") && version != "" || name == "package.cue" {
			t.Errorf("fleet.FileOfVersion(%q) = %q", version, name)
		}
		if got := fleet.VersionOfFile(strings.TrimSuffix(name, ".cue")); got != version {
			t.Errorf("%q → %q → %q", version, name, got)
		}
	})
}
