package factory_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// carry makes one change on the first tenant.
func (w *effectWorld) carry(t *testing.T, kind string) {
	t.Helper()
	built := w.ledger.rec.Builds[0]
	a := rollout.Action{Kind: kind, Cycle: theCycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact}
	then := *w.ledger.rec
	if made, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{a}); made != 1 || err != nil {
		t.Fatalf("%s: made %d, %v", kind, made, err)
	}
}

// TestPromoteWaitsForTheWindow: devices that were in no wave take the release
// in the tenant's next window, and not a moment after the promotion. The wave's
// exclusions that come before that leave the start alone.
func TestPromoteWaitsForTheWindow(t *testing.T) {
	for name, windows := range map[string]map[string]fleet.Window{
		"without windows": nil,
		"with a window":   {"w": {On: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: "22:00", Until: "23:00", For: []string{"install"}}},
	} {
		w := newEffectWorld(t, 1)
		tenant := w.repo.Tenants[w.tenants[0]]
		tenant.Zone, tenant.Windows = "UTC", windows
		w.repo.Tenants[w.tenants[0]] = tenant
		w.carry(t, rollout.Promote)
		stable := w.consoles[w.tenants[0]].slots[string(thePkg)+"/"+fleet.Stable]
		var want time.Time
		if windows != nil {
			want = time.Date(buildTime.Year(), buildTime.Month(), buildTime.Day(), 22, 0, 0, 0, time.UTC)
		}
		if len(stable.Targets) != 1 || !stable.Targets[0].Opens.Equal(want) {
			t.Errorf("%s: %+v, want a start at %s", name, stable.Targets, want)
		}
		for _, rows := range w.ledger.rec.PlanRows {
			rows[0].NotBefore = time.Date(buildTime.Year(), buildTime.Month(), buildTime.Day()+1, 22, 0, 0, 0, time.UTC)
		}
		w.carry(t, rollout.Deploy)
		if !stable.Targets[0].Opens.Equal(want) || len(stable.Targets) != 2 {
			t.Errorf("%s, after an exclusion: %+v", name, stable.Targets)
		}
	}
}

// TestVacatedBeforeItChanges: the groups of an earlier cycle's waves do not get
// what the slot holds next.
func TestVacatedBeforeItChanges(t *testing.T) {
	w := newEffectWorld(t, 1)
	console := w.consoles[w.tenants[0]]
	candidate := &fleet.AppState{ID: "app", Artifact: fleet.DigestOf([]byte("older")), Targets: []fleet.Target{{Intent: "required", Group: "group pilot"}}}
	console.slots[string(thePkg)+"/"+fleet.Candidate] = candidate
	console.onUpload = func() {
		if len(candidate.Targets) > 0 {
			t.Errorf("the content changes under %+v", candidate.Targets)
		}
	}
	w.carry(t, rollout.Deploy)
	if len(candidate.Targets) != 1 || candidate.Targets[0].Group != "group "+theWave || candidate.Artifact != w.ledger.rec.Builds[0].Artifact {
		t.Errorf("%+v", candidate)
	}
}
