package factory_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestOverlappingCyclesMoveNoDevices: while a wave of one cycle is judged, the wave
// of that name of a second cycle starts with other devices, which are not given what
// the first one still has out, nor are those of the first taken from it.
func TestOverlappingCyclesMoveNoDevices(t *testing.T) {
	const cycle2 = fleet.CycleID("2026-W49")
	s := scale{tenants: 1, packages: 2, devices: 6}
	w := newScaleWorld(t, s)
	dir := w.directory(w.tenants[0])
	deploy := func(cycle fleet.CycleID, pkg fleet.PackageID, kind string) {
		t.Helper()
		actions := slices.DeleteFunc(w.actions(kind, cycle, theWave), func(a rollout.Action) bool { return a.Packages[0] != pkg })
		if n, _, err := w.carry(t.Context(), actions); err != nil || n != 1 {
			t.Fatalf("%s of %s: %d, %v", kind, pkg, n, err)
		}
	}
	has := func(pkg fleet.PackageID) (out []string) {
		for id, version := range w.server.Installed(dir, pkg, w.clock.Now()) {
			if version != "" {
				out = append(out, id)
			}
		}
		return slices.Sorted(slices.Values(out))
	}
	first, second := w.packages[0], w.packages[1]
	all := slices.Sorted(maps.Keys(w.server.Installed(dir, first, w.clock.Now())))
	members := &w.rec.Members[len(w.rec.Members)-1]
	whole := slices.Clone(members.Devices)
	members.Devices = whole[:3]
	deploy(theCycle, first, rollout.Deploy)
	w.wave(cycle2, theWave, s)
	w.rec.Members[len(w.rec.Members)-1].Devices = whole[3:]
	w.rec.Starts[len(w.rec.Starts)-1].At = w.clock.Now().Add(1)
	deploy(cycle2, second, rollout.Deploy)
	w.later(4 * day)
	a, b := has(first), has(second)
	if len(a) != 3 || len(b) != 3 || !slices.Equal(slices.Sorted(slices.Values(append(slices.Clone(a), b...))), all) {
		t.Fatalf("the first cycle's has %d devices, the second's %d: %v, %v of %v", len(a), len(b), a, b, all)
	}
}
