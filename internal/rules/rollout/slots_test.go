package rollout_test

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func TestSlotsBackOf(t *testing.T) {
	const bad, other = fleet.Digest("bad"), fleet.Digest("other")
	for _, c := range []struct {
		mode                  string
		candidate, stable     fleet.Digest
		onCandidate, onStable string
	}{
		{rollout.BackUninstall, bad, "", rollout.SlotRemoves, rollout.SlotKept},
		{rollout.BackUninstall, bad, other, rollout.SlotRemoves, rollout.SlotKept},
		{rollout.BackUninstall, bad, bad, rollout.SlotEmptied, rollout.SlotRemoves},
		{rollout.BackUninstall, other, bad, rollout.SlotKept, rollout.SlotRemoves},
		{rollout.BackUninstall, "", bad, rollout.SlotKept, rollout.SlotRemoves},
		{rollout.BackUninstall, other, other, rollout.SlotKept, rollout.SlotKept},
		{rollout.BackNone, bad, "", rollout.SlotEmptied, rollout.SlotKept},
		{rollout.BackNone, bad, other, rollout.SlotEmptied, rollout.SlotKept},
		{rollout.BackNone, bad, bad, rollout.SlotEmptied, rollout.SlotEmptied},
		{rollout.BackNone, other, bad, rollout.SlotKept, rollout.SlotEmptied},
		{rollout.BackNone, other, other, rollout.SlotKept, rollout.SlotKept},
		{rollout.BackPrevious, bad, bad, rollout.SlotEmptied, rollout.SlotFilled},
		{rollout.BackPrevious, bad, other, rollout.SlotEmptied, rollout.SlotFilled},
		{rollout.BackPrevious, other, bad, rollout.SlotKept, rollout.SlotFilled},
	} {
		want := rollout.SlotsBack{Candidate: c.onCandidate, Stable: c.onStable}
		if got := rollout.SlotsBackOf(c.mode, bad, c.candidate, c.stable); got != want {
			t.Errorf("%s with %q and %q: %+v, want %+v", c.mode, c.candidate, c.stable, got, want)
		}
	}
}
