package factory_test

import (
	"strings"
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

// TestWayBackReachesTheStableSlot: after a promotion the stable slot speaks for
// all devices, so the way back must change it, and a newer release that the
// candidate slot holds by then keeps its groups.
func TestWayBackReachesTheStableSlot(t *testing.T) {
	newer := fleet.DigestOf([]byte("newer"))
	pilot := fleet.Target{Intent: "required", Group: "group pilot"}
	all := fleet.Target{Intent: "required", Group: "all devices"}
	but := fleet.Target{Intent: "required", Group: "group pilot", Exclude: true}
	for _, c := range []struct {
		name, way         string
		newer             bool // the candidate slot holds a newer release
		stable            string
		candidate, behind string // what the slots do afterwards
	}{
		{"uninstall after a promotion", rollout.BackUninstall, false, "bad", "", "uninstall all devices"},
		{"uninstall before one", rollout.BackUninstall, false, "other", "uninstall group everyone", "required all devices, required not group pilot"},
		{"uninstall under a newer one", rollout.BackUninstall, true, "bad", "required group pilot", "uninstall all devices, uninstall not group pilot"},
		{"uninstall where neither slot has it", rollout.BackUninstall, true, "other", "required group pilot", "required all devices, required not group pilot"},
		{"no way after a promotion", rollout.BackNone, false, "bad", "", ""},
		{"no way before one", rollout.BackNone, false, "other", "", "required all devices, required not group pilot"},
		{"no way under a newer one", rollout.BackNone, true, "bad", "required group pilot", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newEffectWorld(t, 1)
			bad := w.ledger.rec.Builds[0]
			pkg := w.repo.Packages[thePkg]
			pkg.Rollback = c.way
			w.repo.Packages[thePkg] = pkg
			artifact := map[string]fleet.Digest{"bad": bad.Artifact, "other": fleet.DigestOf([]byte("other"))}
			candidate := &fleet.AppState{ID: "c", Artifact: bad.Artifact, Targets: []fleet.Target{{Intent: "required", Group: "group " + theWave}}}
			if c.newer {
				candidate = &fleet.AppState{ID: "c", Artifact: newer, Targets: []fleet.Target{pilot}}
			}
			stable := &fleet.AppState{ID: "s", Version: bad.Version, Artifact: artifact[c.stable], Targets: []fleet.Target{all, but}}
			slots := w.consoles[w.tenants[0]].slots
			slots[string(thePkg)+"/"+fleet.Candidate], slots[string(thePkg)+"/"+fleet.Stable] = candidate, stable
			w.carry(t, rollout.RollBack)
			if got := said(candidate.Targets); got != c.candidate {
				t.Errorf("the candidate slot does %q, want %q", got, c.candidate)
			}
			if got := said(stable.Targets); got != c.behind {
				t.Errorf("the stable slot does %q, want %q", got, c.behind)
			}
			w.assignAfter(t, stable, c.behind)
		})
	}
}

// assignAfter makes one more assignment after a way back: what the stable slot
// stopped doing must not come back with it.
func (w *effectWorld) assignAfter(t *testing.T, stable *fleet.AppState, before string) {
	t.Helper()
	w.carry(t, rollout.Deploy)
	want := before
	switch before {
	case "uninstall all devices":
		want = "uninstall all devices, uninstall not group everyone"
	case "uninstall all devices, uninstall not group pilot":
		want = "uninstall all devices, uninstall not group everyone, uninstall not group pilot"
	case "required all devices, required not group pilot":
		want = "required all devices, required not group everyone, required not group pilot"
	}
	if got := said(stable.Targets); got != want {
		t.Errorf("after the next assignment the stable slot does %q, want %q", got, want)
	}
}

// TestPromoteAfterARemoval: a slot that removes what it holds must not get a
// release while it still does.
func TestPromoteAfterARemoval(t *testing.T) {
	w := newEffectWorld(t, 1)
	console := w.consoles[w.tenants[0]]
	stable := &fleet.AppState{ID: "s", Artifact: fleet.DigestOf([]byte("bad")), Targets: []fleet.Target{{Intent: "uninstall", Group: "all devices"}}}
	console.slots[string(thePkg)+"/"+fleet.Stable] = stable
	console.onUpload = func() {
		if len(stable.Targets) > 0 {
			t.Errorf("the content changes under %s", said(stable.Targets))
		}
	}
	w.carry(t, rollout.Promote)
	if got := said(stable.Targets); got != "required all devices" {
		t.Errorf("the stable slot does %q", got)
	}
}

// said is what a slot does, in words.
func said(targets []fleet.Target) string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.Intent + " " + t.Group
		if t.Exclude {
			out[i] = t.Intent + " not " + t.Group
		}
	}
	return strings.Join(out, ", ")
}
