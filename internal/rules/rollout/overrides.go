package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// overridePersons is how many must approve that a cycle goes on through
// freezes.
const overridePersons = 2

// backed reports whether enough persons stand behind the freezes that a cycle
// passes: the last merge that touched the cycle's file brought the bytes on main,
// and two approvers of the policy before had seen it. That a wave was approved
// before, or by two, says nothing of what the file was made to say later.
//
// Where the cycle's file was last touched by a merge whose record, being older,
// names no cycles, the approvals of all waves that have started must count: they
// take two as well. A cycle that passes no freeze is backed.
func backed(f Facts, id fleet.CycleID, now time.Time) bool {
	cycle := f.Repo.Cycles[id]
	if cycle.Overrides == nil {
		return true
	}
	file := fleet.CyclePath(id)
	for i := range slices.Backward(f.Record.Merges) {
		m := &f.Record.Merges[i]
		if blob, touched := m.CycleBlobs[file]; touched {
			return blob != "" && blob == f.Repo.Blobs[file] && m.Fault == "" && len(m.Approvers) >= overridePersons
		}
	}
	return !slices.ContainsFunc(cycle.Waves, func(wave string) bool {
		if startOf(f.Record, id, wave) == nil {
			return false // it cannot start without an approval of two
		}
		a, _, _ := approved(f, id, wave, now, true)
		return a == nil
	})
}
