package factory_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const secondCycle = fleet.CycleID("2026-W49")

// A succession is a tenant of six devices whose second package takes the place of
// its first.
type succession struct {
	*scaleWorld
	devices []string
	s       scale
}

// newSuccession has as many of the packages on all devices, the first one at
// least; the second one's way back is given.
func newSuccession(t *testing.T, way string, packages int) *succession {
	t.Helper()
	s := scale{tenants: 1, packages: 2, devices: 6}
	w := &succession{scaleWorld: newScaleWorld(t, s), s: s}
	w.devices = slices.Sorted(maps.Keys(w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now())))
	next := w.repo.Packages[w.packages[1]]
	next.Rollback = way
	w.repo.Packages[next.ID] = next
	for i := range packages {
		w.does(rollout.Deploy, theCycle, i)
		w.does(rollout.Promote, theCycle, i)
	}
	w.later(14 * day)
	w.have("before", 0, "24.09", "24.09")
	return w
}

// supersede has the second package take the first one's place from now on.
func (w *succession) supersede() {
	pkg := w.repo.Packages[w.packages[1]]
	pkg.Supersedes = map[fleet.PackageID]string{w.packages[0]: "replace"}
	w.repo.Packages[pkg.ID] = pkg
}

// does makes one change of the newest build of a package on the tenant.
func (w *succession) does(kind string, cycle fleet.CycleID, pkg int) {
	w.t.Helper()
	w.makes(kind, cycle, w.packages[pkg])
}

// begin starts a wave of the first three devices, and deploys the second package
// to them.
func (w *succession) begin() {
	w.t.Helper()
	w.wave(secondCycle, theWave, w.s)
	members := &w.rec.Members[len(w.rec.Members)-1]
	members.Devices = nil
	for _, id := range w.devices[:3] {
		members.Devices = append(members.Devices, factory.HashDevice([]byte("key"), id))
	}
	w.does(rollout.Deploy, secondCycle, 1)
	w.later(4 * day)
}

// have compares what devices of the wave and the others have of a package.
func (w *succession) have(when string, pkg int, wave, others string) {
	w.t.Helper()
	has := w.server.Installed(w.directory(w.tenants[0]), w.packages[pkg], w.clock.Now())
	for i, id := range w.devices {
		if want := map[bool]string{true: wave, false: others}[i < 3]; has[id] != want {
			w.t.Errorf("%s: device %d has %q of %s, want %q", when, i, has[id], w.packages[pkg], want)
		}
	}
}

// TestSuccession: devices of a wave lose the old package and get the new one; a
// halt changes nothing on them, and the way back gives them the old one again.
func TestSuccession(t *testing.T) {
	for name, promoted := range map[string]bool{"in the wave": false, "promoted": true} {
		t.Run(name, func(t *testing.T) {
			w := newSuccession(t, rollout.BackUninstall, 1)
			w.supersede()
			w.begin()
			w.have("in the wave", 0, "", "24.09")
			w.have("in the wave", 1, "24.09", "")
			others, old := "", "24.09"
			if promoted {
				w.does(rollout.Promote, secondCycle, 1)
				w.later(4 * day)
				others, old = "24.09", ""
				w.have("promoted", 0, "", old)
				w.have("promoted", 1, "24.09", others)
			} else {
				w.does(rollout.Withdraw, secondCycle, 1)
				w.later(4 * day)
				w.have("halted", 0, "", old)
				w.have("halted", 1, "24.09", others)
			}
			w.does(rollout.RollBack, secondCycle, 1)
			w.later(4 * day)
			w.have("taken back", 0, "24.09", "24.09")
			w.have("taken back", 1, "", "")
			if state := w.observed(1); state.Supersedes {
				t.Errorf("it still supersedes: %+v", state)
			}
			w.rec.Receipts = nil // a run that was killed before it told
			w.does(rollout.RollBack, secondCycle, 1)
			if n := w.counts[w.tenants[0]].writes.Load(); n != 0 {
				t.Errorf("again: %d writes", n)
			}
		})
	}
}

// observed is the slot that held the release last: the candidate one, unless the
// stable one removes it.
func (w *succession) observed(pkg int) (out fleet.AppState) {
	w.t.Helper()
	console, err := w.Consoles(w.t.Context(), w.repo.Tenants[w.tenants[0]])
	if err != nil {
		w.t.Fatal(err)
	}
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		state, err := console.Observe(w.t.Context(), w.packages[pkg], slot)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, target := range state.Targets {
			if target.Intent == "uninstall" {
				out = state
			}
		}
	}
	return out
}

// TestSuccessionGoesBackToBoth: where a package took another one's place with the
// release that is taken back, the release before comes again beside the other one.
func TestSuccessionGoesBackToBoth(t *testing.T) {
	w := newSuccession(t, rollout.BackPrevious, 2)
	w.have("side by side", 1, "24.09", "24.09")
	w.packages[0], w.packages[1] = w.packages[1], w.packages[0]
	w.release("24.10") // of the one that is first
	w.packages[0], w.packages[1] = w.packages[1], w.packages[0]
	w.supersede()
	w.begin()
	w.have("in the wave", 0, "", "24.09")
	w.have("in the wave", 1, "24.10", "24.09")
	w.does(rollout.RollBack, secondCycle, 1)
	w.later(10 * day)
	w.have("taken back", 0, "24.09", "24.09")
	w.have("taken back", 1, "24.09", "24.09")
}

// TestRestoreSupersedesNothingNew: main may say by now that a package takes another
// one's place. Restoring what was given of it brings nothing of that.
func TestRestoreSupersedesNothingNew(t *testing.T) {
	w := newSuccession(t, rollout.BackPrevious, 1)
	w.begin()
	w.have("in the wave", 1, "24.09", "")
	w.supersede()
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Restore = map[fleet.PackageID]fleet.Because{w.packages[1]: {Reason: "agreed", Expires: w.clock.Now().Add(30 * day)}}
	w.repo.Tenants[tenant.ID] = tenant
	w.does(rollout.Restore, secondCycle, 1)
	w.later(4 * day)
	w.have("restored", 0, "24.09", "24.09")
	w.have("restored", 1, "24.09", "")
}
