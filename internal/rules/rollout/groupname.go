package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// GroupName is what the console's group of a wave of a cycle is made for on a
// tenant: the wave, and for a wave that overlaps with one of other devices the cycle
// too. One group of both would move when the second starts: devices would be given
// what the first cycle still has there, and its gate would go on looking at others.
//
// A wave has a group of its own if, when it started, the wave of that name of a
// cycle that had started before and was not closed had other devices. All that is
// of the past, so the name never changes, and never becomes another wave's while
// the first one is in use.
func GroupName(repo *fleet.Repository, rec *fleet.Record, m fleet.Membership) string {
	mine := startOf(rec, m.Cycle, m.Wave)
	if mine == nil {
		return m.Wave
	}
	closed := closings(repo, rec)
	for i := range rec.Starts {
		s := &rec.Starts[i]
		if s.Wave != m.Wave || s.Cycle == m.Cycle || s.At.After(mine.At) || s.At.Equal(mine.At) && s.Cycle > m.Cycle {
			continue
		}
		if at, over := closed[s.Cycle]; over && !at.After(mine.At) {
			continue
		}
		if o := MembershipOf(rec, s.Cycle, s.Wave, m.Tenant); o != nil && !sameDevices(o.Devices, m.Devices) {
			return m.Wave + " " + string(m.Cycle)
		}
	}
	return m.Wave
}

// closings are when the merges were made that closed cycles.
func closings(repo *fleet.Repository, rec *fleet.Record) map[fleet.CycleID]time.Time {
	out := map[fleet.CycleID]time.Time{}
	for i := range rec.Merges {
		g := &rec.Merges[i]
		id, what, _ := strings.Cut(g.Approves, "/")
		cycle := fleet.CycleID(id)
		if at, known := out[cycle]; what == "close" && repo.Closed(cycle) && (!known || g.At.After(at)) {
			out[cycle] = g.At
		}
	}
	return out
}

func sameDevices(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
