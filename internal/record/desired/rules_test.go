package desired

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// An edit replaces text in one file of the test repository; an empty old text
// replaces the whole file, and an empty new one then removes it.
type edit struct{ file, old, new string }

func edited(t *testing.T, edits ...edit) MapTree {
	t.Helper()
	tree := msp(t)
	for _, e := range edits {
		if e.old == "" {
			tree = with(tree, map[string]string{e.file: e.new})
			continue
		}
		text := string(tree[e.file])
		if !strings.Contains(text, e.old) {
			t.Fatalf("%s does not contain %q", e.file, e.old)
		}
		tree = with(tree, map[string]string{e.file: strings.Replace(text, e.old, e.new, 1)})
	}
	return tree
}

const (
	sevenZip  = "catalog/igor-pavlov/7-zip/package.cue"
	sevenZip8 = "catalog/igor-pavlov/7-zip/24.08.cue"
	sevenZip9 = "catalog/igor-pavlov/7-zip/24.09.cue"
	ledger    = "catalog/acme/ledger-client/package.cue"
	ledger31  = "catalog/acme/ledger-client/3.1.cue"
	browser   = "catalog/example-msp/browser-policy/package.cue"
	browser1  = "catalog/example-msp/browser-policy/1.cue"
	cycleFile = "schedules/cycles/2026-W47/cycle.cue"
	planFile  = "schedules/cycles/2026-W47/plan.cue"
	approval  = "schedules/cycles/2026-W47/approvals/dogfood.cue"
	holdFile  = "schedules/holds/7-zip-24.09.cue"
	freeze    = "schedules/freezes/2026-year-end.cue"
	partner   = "tenants/nordic/partner.cue"
	tenant    = "tenants/nordic/acme/tenant.cue"
	group     = "tenants/nordic/acme/groups/finance/group.cue"
)

// A rule is one thing done wrong. What Load says about it stands in a golden
// file: every line, with its position.
type rule struct {
	name  string
	edits []edit
}

// checkRules compares what Load says about each rule with the golden file of
// the test; UPDATE=1 writes it.
func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	var got strings.Builder
	for _, r := range rules {
		repo, err := load(t, edited(t, r.edits...))
		if err == nil {
			t.Errorf("%s: accepted", r.name)
			continue
		}
		if repo != nil {
			t.Errorf("%s: a repository came with the error", r.name)
		}
		if kind := fleet.KindOf(err); kind != fleet.Invalid {
			t.Errorf("%s: kind %v, want invalid", r.name, kind)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", r.name, err)
	}
	golden(t, "testdata/rules/"+t.Name()+".txt", got.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(a), len(b)) {
		x, y := lineAt(a, i), lineAt(b, i)
		if x != y {
			t.Fatalf("%s:%d: got\n%s\nwant\n%s", path, i+1, x, y)
		}
	}
}

func lineAt(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(end)"
}
