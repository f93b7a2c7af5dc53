package factory_test

import (
	"strings"
	"testing"

	forgeedge "github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// withRecord has runs of a mill keep commands and detections, and gives what
// runs it.
func withRecord(t *testing.T, m *mill) (*fleet.Record, func() []factory.Proposed) {
	t.Helper()
	rec := &fleet.Record{}
	m.Ledger = commandLedger{rec: rec}
	return rec, func() []factory.Proposed {
		t.Helper()
		look := m.run(t)
		look.Record, look.Seen, look.Fixed = rec, factory.Seen(rec.Detections), factory.Fixed(rec.Detections)
		list, err := m.Propose(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			rec.Detections = append(rec.Detections, p.Detection)
		}
		return list
	}
}

// packagesIssue is the number of the issue of all packages.
func packagesIssue(t *testing.T, m *mill) int {
	t.Helper()
	issue, found, err := m.Forge.(*forgeedge.Client).Issue(t.Context(), "packages")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	return issue.Number
}

// TestGroupSigner has an installer that is no longer signed: people look at it
// by itself.
func TestGroupSigner(t *testing.T) {
	files := released("proposals: "+desk, "acme/github", "acme/json", "acme/npm")
	file := desired.ReleasePath("acme/json", "1.0.0")
	signed := strings.Replace(string(files[file]), "unsigned: true", `kind: "authenticode", subject: "CN=Acme"`, 1)
	if signed == string(files[file]) {
		t.Fatalf("the release is %s", signed)
	}
	files[file] = []byte(signed)
	const publisher = "catalog/acme/publisher.cue"
	files[publisher] = []byte(strings.Replace(string(vendorFiles()[publisher]), "unsigned:", "signers: acme: {kind: \"authenticode\", subject: \"CN=Acme\"}\n\tunsigned:", 1))
	m := newMill(t, vendorData(), files)
	propose(t, m)
	if got := m.releasesOn(t, deskBranch); got != "github/1.1.0 npm/1.1.0" {
		t.Errorf("proposes %s", got)
	}
	if p := openPulls(t, m)["bump/acme/json/1.1.0"]; !strings.Contains(p.Body, "⛔ | **Publisher certificate**") {
		t.Errorf("json: %s", p.Body)
	}
	m.quiet(t)
}

// TestGroupCommands lets a version pass its hold, which then has its own pull
// request, and ignores another, which leaves the group.
func TestGroupCommands(t *testing.T) {
	data := vendorData()
	data.GitHub[0].Releases = []vendors.Release{{
		Shown: shown(-1), Tag: "v1.2.0", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 5000)},
	}}
	m := newMill(t, data, released("proposals: "+desk, "acme/github", "acme/json", "acme/npm"))
	_, run := withRecord(t, m)
	run()
	if got := m.releasesOn(t, deskBranch); got != "json/1.1.0 npm/1.1.0" {
		t.Fatalf("proposes %s", got)
	}
	number := openPulls(t, m)[deskBranch].Number
	m.say(t, "ann", packagesIssue(t, m), "packmill unhold acme/github 1.2.0: it fixes what we wait for")
	m.say(t, "ann", packagesIssue(t, m), "packmill ignore acme/json 1.1.0: it breaks our add-in")
	run()
	if got := m.releasesOn(t, deskBranch); got != "npm/1.1.0" || openPulls(t, m)[deskBranch].Number != number {
		t.Errorf("proposes %s", got)
	}
	if p := openPulls(t, m)["bump/acme/github/1.2.0"]; !strings.Contains(p.Body, "**held as too-young**") {
		t.Errorf("github: %s", p.Body)
	}
	run()
	if n := m.writes.Load() + m.listed.Load(); n != 0 {
		t.Errorf("the run after sent %d writes", n)
	}
	m.say(t, "ann", packagesIssue(t, m), "packmill ignore acme/npm 1.1.0: it breaks our add-in too")
	run()
	if got := branches(t, m); strings.Contains(got, deskBranch) {
		t.Errorf("open are %s", got)
	}
}
