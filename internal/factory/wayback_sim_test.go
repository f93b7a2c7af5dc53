package factory_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// release adds a release to the world's package and builds it; the newest build
// is what actions are about.
func (w *scaleWorld) release(version string) {
	w.t.Helper()
	pkg := w.repo.Packages[w.packages[0]]
	r := pkg.Releases["24.09"]
	r.Counter = len(pkg.Releases) + 1
	pkg.Releases = mapsWith(pkg.Releases, version, r)
	w.repo.Packages[pkg.ID] = pkg
	built, err := w.Build(w.t.Context(), w.repo, pkg.ID, version)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rec.Builds = append(w.rec.Builds, built)
}

func mapsWith(m map[string]fleet.Release, key string, value fleet.Release) map[string]fleet.Release {
	out := map[string]fleet.Release{key: value}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// newest are the actions of a kind about the newest build.
func (w *scaleWorld) newest(kind string, cycle fleet.CycleID) []rollout.Action {
	var out []rollout.Action
	built := w.rec.Builds[len(w.rec.Builds)-1]
	for _, t := range w.tenants {
		out = append(out, rollout.Action{Kind: kind, Cycle: cycle, Wave: theWave, Tenant: t, Packages: []fleet.PackageID{built.Package}, Version: built.Version, Artifact: built.Artifact})
	}
	return out
}

func (w *scaleWorld) must(kind string, cycle fleet.CycleID) {
	w.t.Helper()
	w.dial()
	made, again, err := w.carry(w.t.Context(), w.newest(kind, cycle))
	if made != len(w.tenants) || len(again) > 0 || err != nil {
		w.t.Fatalf("%s: made %d, %d again: %v", kind, made, len(again), err)
	}
}

// makes makes one change of the newest build of a package on the first tenant.
func (w *scaleWorld) makes(kind string, cycle fleet.CycleID, id fleet.PackageID) {
	w.t.Helper()
	var built fleet.Built
	for _, b := range w.rec.Builds {
		if b.Package == id {
			built = b
		}
	}
	action := rollout.Action{Kind: kind, Cycle: cycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{id}, Version: built.Version, Artifact: built.Artifact}
	w.dial()
	if made, again, err := w.carry(w.t.Context(), []rollout.Action{action}); made != 1 || len(again) > 0 || err != nil {
		w.t.Fatalf("%s of %s: made %d, %d again: %v", kind, id, made, len(again), err)
	}
}

func (w *scaleWorld) later(d time.Duration) { w.clock.Set(w.clock.Now().Add(d)) }

// expect compares what devices of the first tenant really have: those of the
// wave, the one of them that slept, and the others.
func (w *scaleWorld) expect(when string, ids []string, sleeper, wave, others string) {
	w.t.Helper()
	has := w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now())
	for i, id := range ids {
		want := others
		switch {
		case i == 0:
			want = sleeper
		case i < 3:
			want = wave
		}
		if has[id] != want {
			w.t.Errorf("%s: device %d has %q, want %q", when, i, has[id], want)
		}
	}
}

// TestWayBackConverges: devices that took a bad release end with what the package
// declares, those that did not are untouched, and one that was off follows when
// it wakes. Of six devices three are in the wave, and the first is off from when
// it took the release.
func TestWayBackConverges(t *testing.T) {
	const cycle2 = fleet.CycleID("2026-W49")
	for _, c := range []struct {
		way      string
		promoted bool   // the bad release had become stable
		operator string // of the detection rule
		wave     string // what devices of the wave have in the end
		others   string // and those outside of it
	}{
		{rollout.BackPrevious, false, ">=", "24.09", "24.09"},
		{rollout.BackPrevious, true, ">=", "24.09", "24.09"},
		{rollout.BackPrevious, false, "=", "24.09", "24.09"},
		{rollout.BackPrevious, true, "=", "24.09", "24.09"},
		{rollout.BackUninstall, false, ">=", "", "24.09"},
		{rollout.BackUninstall, true, ">=", "", ""},
		{rollout.BackNone, false, ">=", "24.10", "24.09"},
		{rollout.BackNone, true, ">=", "24.10", "24.10"},
	} {
		t.Run(fmt.Sprintf("%s, promoted %v, %s", c.way, c.promoted, c.operator), func(t *testing.T) {
			var sleeper string
			var sleeps, wakes time.Time
			s := scale{tenants: 1, packages: 1, devices: 6, change: func(o *graph.Options) {
				o.Luck.Off = func(_, object string, at time.Time) bool {
					return object == sleeper && at.After(sleeps) && at.Before(wakes)
				}
			}}
			w := newScaleWorld(t, s)
			ids := slices.Sorted(maps.Keys(w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now())))
			pkg := w.repo.Packages[w.packages[0]]
			pkg.Rollback = c.way
			pkg.Installers["x64"].Detect[0].Operator = c.operator
			w.repo.Packages[pkg.ID] = pkg
			w.must(rollout.Deploy, theCycle)
			w.must(rollout.Promote, theCycle)
			w.later(14 * day)
			w.expect("before", ids, "24.09", "24.09", "24.09")

			w.release("24.10")
			w.wave(cycle2, theWave, s)
			members := &w.rec.Members[len(w.rec.Members)-1]
			members.Devices = nil
			for _, id := range ids[:3] {
				members.Devices = append(members.Devices, factory.HashDevice([]byte("key"), id))
			}
			w.must(rollout.Deploy, cycle2)
			w.later(4 * day)
			w.expect("in the wave", ids, "24.10", "24.10", "24.09")
			if c.promoted {
				w.must(rollout.Promote, cycle2)
				w.later(4 * day)
				w.expect("promoted", ids, "24.10", "24.10", "24.10")
			}
			sleeper, sleeps, wakes = ids[0], w.clock.Now(), w.clock.Now().Add(20*day)
			w.later(time.Hour)
			w.must(rollout.RollBack, cycle2)
			w.later(10 * day)
			w.expect("taken back", ids, "24.10", c.wave, c.others)
			w.later(20 * day)
			w.expect("awake again", ids, c.wave, c.wave, c.others)
		})
	}
}

const day = 24 * time.Hour

// TestAgainWritesNothing: a runner that was killed after its last call and before
// its receipts is followed by one that finds everything made.
func TestAgainWritesNothing(t *testing.T) {
	w := newScaleWorld(t, scale{tenants: 3, packages: 2, devices: 2})
	w.dial()
	batch := w.actions(rollout.Deploy, theCycle, theWave)
	made, _, err := w.carry(t.Context(), batch)
	if made != 6 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	first := w.counts[w.tenants[0]].writes.Load()
	w.rec.Receipts = nil
	w.dial()
	if made, again, err := w.carry(t.Context(), batch); made != 6 || len(again) > 0 || err != nil {
		t.Fatalf("made %d, %d again: %v", made, len(again), err)
	}
	for id, c := range w.counts {
		if c.writes.Load()+c.blobs.Load() > 0 || first < 10 {
			t.Errorf("%s: %d writes, %d of content; the first time %d", id, c.writes.Load(), c.blobs.Load(), first)
		}
	}
	if len(w.rec.Intents) != 6 || len(w.rec.Receipts) != 6 {
		t.Errorf("%d intents, %d receipts", len(w.rec.Intents), len(w.rec.Receipts))
	}
}
