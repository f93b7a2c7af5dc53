package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
)

// An endState is what a week leaves behind, without what may differ when
// processes died on the way: instants, ids, how evidence was cut into batches.
type endState struct {
	Summary  demoSummary
	Receipts []string          // tenant package action outcome
	Open     []string          // intents whose effect is not known
	Disputed []string          // intents that one runner carried out and another could not
	Apps     []string          // in every tenant: slot, artifact, content, assignments
	Groups   map[string]string // tenant and group → members
	Devices  []string          // tenant, package, version: how many devices
	Mail     []string
	Audit    fleet.Audit
}

// endOf reads what a finished week left.
func endOf(t *testing.T, dir string) endState {
	t.Helper()
	ctx := context.Background()
	dir = copied(t, dir)
	d, err := openDemo(ctx, packmillProgram(t), dir, 1, neverKill)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	steps := demoSteps()
	d.world.SetTime(steps[len(steps)-1].at)
	if len(d.journal.Done) != len(steps) {
		t.Fatalf("the week is not at its end: %v are done", d.journal.Done)
	}
	var end endState
	if end.Summary, err = d.summary(ctx); err != nil {
		t.Fatal(err)
	}
	end.Summary.Repository, end.Summary.Events = "", nil
	end.effects(t, d)
	end.tenants(t, dir)
	end.devices(t, d)
	mails, err := os.ReadDir(filepath.Join(dir, "mailbox"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		end.Mail = append(end.Mail, m.Name())
	}
	end.Audit = auditOf(t, filepath.Join(dir, "audited"))
	return end
}

// effects reads every change on a tenant: those that have a receipt, and those
// that do not.
func (end *endState) effects(t *testing.T, d *demo) {
	t.Helper()
	facts, _, err := d.facts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	outcome := map[string]string{}
	for _, r := range facts.Record.Receipts {
		old, twice := outcome[r.Intent]
		if twice && old != r.Outcome {
			end.Disputed = append(end.Disputed, fmt.Sprintf("%s %s %s: %s and %s", r.Tenant, r.Package, r.Intent, old, r.Outcome))
		}
		if old != "done" {
			outcome[r.Intent] = r.Outcome
		}
	}
	done := map[string]bool{}
	for _, i := range facts.Record.Intents {
		line := fmt.Sprintf("%s %s %s %s", i.Tenant, i.Package, i.Action, i.Artifact.Short())
		switch outcome[i.ID] {
		case "":
			end.Open = append(end.Open, line)
		case "done":
			done[line] = true
		}
	}
	end.Receipts = slices.Sorted(maps.Keys(done))
}

// tenants reads what the simulated service has on disk for each tenant: the
// app objects with their slots, contents and assignments, and the groups.
func (end *endState) tenants(t *testing.T, dir string) {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(dir, "graph", "*", "journal.jsonl"))
	if err != nil || len(journals) == 0 {
		t.Fatalf("no journals below %s: %v", dir, err)
	}
	end.Groups = map[string]string{}
	for _, file := range journals {
		tenant := filepath.Base(filepath.Dir(file))[:8]
		apps, groups := readJournal(t, file)
		named := map[string]string{}
		for id, g := range groups {
			named[id] = g.name
			members := slices.Sorted(maps.Keys(g.members))
			end.Groups[tenant+" "+g.name] = strings.Join(members, " ")
		}
		for _, a := range apps {
			end.Apps = append(end.Apps, tenant+" "+a.String(named))
		}
	}
	slices.Sort(end.Apps)
}

type journalGroup struct {
	name    string
	members map[string]bool
}

// A journalApp is the last state of an app object in a journal.
type journalApp struct {
	Props       map[string]json.RawMessage
	Committed   string
	State       string
	Assignments []struct{ Body json.RawMessage }
}

// String tells everything that matters about the object; groups by name.
func (a journalApp) String(groups map[string]string) string {
	var notes, version string
	_ = json.Unmarshal(a.Props["notes"], &notes)
	_ = json.Unmarshal(a.Props["displayVersion"], &version)
	m, _ := intune.ParseMarker(notes)
	var targets []string
	for _, x := range a.Assignments {
		text := string(x.Body)
		for id, name := range groups {
			text = strings.ReplaceAll(text, id, name)
		}
		targets = append(targets, text)
	}
	slices.Sort(targets)
	return fmt.Sprintf("%s %s %s %s %s committed=%t %s pending=%q %s", m.Package, m.Slot, version, m.Version, m.Artifact.Short(), a.Committed != "", a.State, m.Pending, targets)
}

func readJournal(t *testing.T, file string) (apps map[string]journalApp, groups map[string]*journalGroup) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	apps, groups = map[string]journalApp{}, map[string]*journalGroup{}
	for line := range bytes.Lines(data) {
		var c struct {
			K, ID  string
			App    *journalApp
			Group  *struct{ Props map[string]json.RawMessage }
			Member *struct {
				Object string
				Out    bool
			}
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch {
		case c.App != nil:
			apps[c.ID] = *c.App
		case c.Group != nil:
			g := cmp.Or(groups[c.ID], &journalGroup{members: map[string]bool{}})
			_ = json.Unmarshal(c.Group.Props["displayName"], &g.name)
			groups[c.ID] = g
		case c.Member != nil && c.Member.Out:
			delete(groups[c.ID].members, c.Member.Object)
		case c.Member != nil:
			groups[c.ID].members[c.Member.Object] = true
		case c.K == "app":
			delete(apps, c.ID)
		case c.K == "group":
			delete(groups, c.ID)
		}
	}
	return apps, groups
}

// devices asks every tenant which version its devices have.
func (end *endState) devices(t *testing.T, d *demo) {
	t.Helper()
	ctx := context.Background()
	facts, mill, err := d.facts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range facts.Repo.TenantIDs() {
		console, err := mill.Consoles(ctx, facts.Repo.Tenants[id])
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range facts.Repo.PackageIDs() {
			for _, slot := range []string{fleet.Stable, fleet.Candidate} {
				statuses, err := console.Statuses(ctx, pkg, slot)
				if err != nil {
					t.Fatal(err)
				}
				count := map[string]int{}
				for _, s := range statuses {
					count[s.State+" "+s.Version+" "+s.Error]++
				}
				for _, what := range slices.Sorted(maps.Keys(count)) {
					end.Devices = append(end.Devices, fmt.Sprintf("%s %s %s %s: %d", id, pkg, slot, what, count[what]))
				}
			}
		}
	}
}

// auditOf audits a clone in this process.
func auditOf(t *testing.T, clone string) fleet.Audit {
	t.Helper()
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, repo: clone, now: "2026-11-24T13:05:00Z", getenv: func(string) string { return "" }}
	mill, err := a.reader()
	if err != nil {
		t.Fatal(err)
	}
	audit, err := a.audit(context.Background(), mill)
	if err != nil {
		t.Fatal(err)
	}
	return audit
}

// same compares two ends, and says what differs.
func (end endState) same(t *testing.T, want endState) {
	t.Helper()
	if got, want := asText(t, end.Summary), asText(t, want.Summary); got != want {
		t.Errorf("summary:\n%s", differing(got, want))
	}
	lines := func(what string, got, want []string) {
		for _, line := range got {
			if !slices.Contains(want, line) {
				t.Errorf("%s: too much: %s", what, line)
			}
		}
		for _, line := range want {
			if !slices.Contains(got, line) {
				t.Errorf("%s: missing: %s", what, line)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d, want %d", what, len(got), len(want))
		}
	}
	lines("receipts", end.Receipts, want.Receipts)
	lines("intents without a receipt", end.Open, nil)
	lines("intents with two outcomes", end.Disputed, nil)
	lines("apps", end.Apps, want.Apps)
	lines("devices", end.Devices, want.Devices)
	lines("mail", end.Mail, want.Mail)
	if !maps.Equal(end.Groups, want.Groups) {
		t.Errorf("groups: %s\nwant: %s", asText(t, end.Groups), asText(t, want.Groups))
	}
	if !end.Audit.Passed() || len(end.Audit.Rows) != len(want.Audit.Rows) {
		t.Errorf("audit: passed %t with %d rows, want %d; findings %v", end.Audit.Passed(), len(end.Audit.Rows), len(want.Audit.Rows), end.Audit.Findings)
	}
}

func asText(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// differing are the lines that only one of two texts has.
func differing(got, want string) string {
	var b strings.Builder
	only := func(mark string, these, those []string) {
		for _, line := range these {
			if !slices.Contains(those, line) {
				b.WriteString(mark + line + "\n")
			}
		}
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	only("- ", w, g)
	only("+ ", g, w)
	return b.String()
}
