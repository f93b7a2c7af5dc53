package desired

import (
	"fmt"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// requiresZip is where the ledger's package says more.
const requiresZip = `requires: ["igor-pavlov/7-zip"]`

func superseding(what string) edit { return edit{ledger, requiresZip, "supersedes: " + what} }

// older is a package that another one can take the place of, by a number.
func older(n int, more string) edit {
	return edit{fmt.Sprintf("catalog/acme/old%d/package.cue", n), "", fmt.Sprintf(`package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id:   "acme/old%d"
	name: "Old"
	kind: "application"
	sources: ["x"]
	installers: x64: {platform: "windows", arch: "x64", type: "exe", detect: [{registry: key: "HKLM\\SOFTWARE\\Old"}]}
	tests: matrix: []
	rollback: "previous"
	%s
}
`, n, more)}
}

// TestSupersedes: what a package takes the place of comes through, up to as many
// apps as a console takes.
func TestSupersedes(t *testing.T) {
	edits := []edit{superseding(`{"acme/old1": "replace", "acme/old2": "update", "acme/old3": "replace"}`)}
	for n := 1; n < 4; n++ {
		edits = append(edits, older(n, ""))
	}
	edits = append(edits, older(4, `supersedes: "acme/old3": "update"`)) // five packages
	repo, err := load(t, edited(t, edits...))
	if err != nil {
		t.Fatal(err)
	}
	if got := repo.Packages["acme/ledger-client"].Supersedes; len(got) != 3 || got[fleet.PackageID("acme/old2")] != "update" {
		t.Errorf("%v", got)
	}
}

func TestSupersedesRules(t *testing.T) {
	six := []edit{superseding(`{"acme/old1": "replace", "acme/old2": "replace"}`)}
	for n, more := range []string{"", `supersedes: "acme/old3": "update"`, "", "", `supersedes: {"acme/old4": "replace", "acme/old2": "replace"}`} {
		six = append(six, older(n+1, more))
	}
	six = append(six, edit{"catalog/acme/old2/package.cue", `rollback: "previous"`, "rollback: \"previous\"\n\tsupersedes: \"acme/old3\": \"update\""})
	checkRules(t, []rule{
		{"an unknown package", []edit{superseding(`"igor-pavlov/7zip": "replace"`)}},
		{"itself", []edit{superseding(`"acme/ledger-client": "replace"`)}},
		{"in a way that is none", []edit{superseding(`"igor-pavlov/7-zip": "remove"`)}},
		{"what it requires", []edit{{ledger, requiresZip, requiresZip + "\n\tsupersedes: \"igor-pavlov/7-zip\": \"replace\""}}},
		{"what it requires by way of another", []edit{
			{ledger, requiresZip, "requires: [\"acme/old1\"]\n\tsupersedes: \"igor-pavlov/7-zip\": \"replace\""}, older(1, requiresZip)}},
		{"each other", []edit{superseding(`"acme/old1": "replace"`), older(1, `supersedes: "acme/ledger-client": "replace"`)}},
		{"in a circle of three", []edit{superseding(`"acme/old1": "replace"`), older(1, `supersedes: "acme/old2": "update"`), older(2, `supersedes: "acme/ledger-client": "replace"`)}},
		{"a configuration", []edit{superseding(`"example-msp/browser-policy": "replace"`)}},
		{"by an app of the store", []edit{superseding(`"igor-pavlov/7-zip": "replace"`), {ledger, `type:     "msi"`, `type:     "store"`}}},
		{"six packages", six},
	})
}

// macEdits are a package for macOS with scripts around its installation.
func macEdits(scripts, file string, edits ...[2]string) []edit {
	all := playerEdits(append([][2]string{{`type: "pkg", managed: true,`, `type: "pkg", scripts: ` + scripts + `,`}, {`rollback: "uninstall"`, `rollback: "forwardOnly"`}}, edits...)...)
	return append(all, edit{"catalog/igor-pavlov/player/files/before.sh", "", file})
}

func TestInstallScripts(t *testing.T) {
	repo, err := load(t, edited(t, macEdits(`{before: "files/before.sh", after: "files/before.sh"}`, "#!/bin/sh\nexit 0\n")...))
	if err != nil {
		t.Fatal(err)
	}
	if s := repo.Packages["igor-pavlov/player"].Installers["mac"].Scripts; s == nil || s.Before != "files/before.sh" || s.After != s.Before {
		t.Errorf("%+v", s)
	}
}

func TestInstallScriptRules(t *testing.T) {
	const good = "#!/bin/sh\nexit 0\n"
	checkRules(t, []rule{
		{"of a managed package", macEdits(`{before: "files/before.sh"}, managed: true`, good)},
		{"of an installer for Windows", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", scripts: before: "files/a.sh"`}, {"catalog/igor-pavlov/7-zip/files/a.sh", "", good}}},
		{"a script that is not there", macEdits(`{after: "files/after.sh"}`, good)},
		{"none", macEdits(`{}`, good)},
		{"without an interpreter", macEdits(`{before: "files/before.sh"}`, "exit 0\n")},
		{"with lines as on Windows", macEdits(`{before: "files/before.sh"}`, "#!/bin/sh\r\nexit 0\r\n")},
	})
}
