package rollout

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestOverridesAreBacked: a freeze is passed on the word of two persons who saw
// the cycle's file say so, whatever was approved before it did.
func TestOverridesAreBacked(t *testing.T) {
	const id, wave = fleet.CycleID("2026-W47-cve-01"), "dogfood"
	at := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	approval, file := fleet.ApprovalFile(id, wave), fleet.CyclePath(id)
	both, one := []string{"ines", "oskar"}, []string{"ines"}
	opening := func(approvers []string) fleet.Merge {
		return fleet.Merge{Approves: string(id) + "/" + wave, Plan: "plan", ApprovalBlobs: map[string]string{approval: "a1"}, Approvers: approvers, At: at}
	}
	touching := func(m fleet.Merge, blob string) fleet.Merge {
		m.CycleBlobs = map[string]string{file: blob}
		return m
	}
	by := func(approvers []string) fleet.Merge {
		return fleet.Merge{Approvers: approvers, At: at.Add(time.Minute)}
	}
	faulty := touching(by(both), "c2")
	faulty.Fault = "was approved by nobody"
	for _, c := range []struct {
		name    string
		merges  []fleet.Merge
		passes  bool
		started bool
		want    bool
	}{
		{"nothing to pass", []fleet.Merge{touching(opening(one), "c2")}, false, true, true},
		{"opened by two with it", []fleet.Merge{touching(opening(both), "c2")}, true, true, true},
		{"opened by one with it", []fleet.Merge{touching(opening(one), "c2")}, true, true, false},
		{"added by one to a wave of one", []fleet.Merge{touching(opening(one), "c1"), touching(by(one), "c2")}, true, true, false},
		{"added by one to a wave of two", []fleet.Merge{touching(opening(both), "c1"), touching(by(one), "c2")}, true, true, false},
		{"added by two to a wave of one", []fleet.Merge{touching(opening(one), "c1"), touching(by(both), "c2")}, true, true, true},
		{"added by one before the first wave", []fleet.Merge{touching(opening(both), "c1"), touching(by(one), "c2")}, true, false, false},
		{"added by a merge that is at fault", []fleet.Merge{touching(opening(both), "c1"), faulty}, true, true, false},
		{"other bytes than two saw", []fleet.Merge{touching(opening(both), "c1")}, true, true, false},
		{"older records, approved by two", []fleet.Merge{opening(both)}, true, true, true},
		{"older records, approved by one", []fleet.Merge{opening(one)}, true, true, false},
		{"older records, before the first wave", []fleet.Merge{opening(one)}, true, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cycle := fleet.Cycle{Waves: []string{wave, "everyone"}}
			if c.passes {
				cycle.Overrides = &fleet.Overrides{Freezes: []string{"winter"}, Reason: "it is exploited"}
			}
			f := Facts{
				Repo: &fleet.Repository{
					Cycles:    map[fleet.CycleID]fleet.Cycle{id: cycle},
					Approvals: map[fleet.CycleID]map[string]fleet.Approval{id: {wave: {Decision: "approved", Plan: "plan"}}},
					Blobs:     map[string]string{approval: "a1", file: "c2"},
				},
				Record: &fleet.Record{Merges: c.merges},
			}
			if c.started {
				f.Record.Starts = []fleet.WaveStart{{Cycle: id, Wave: wave, At: at}}
			}
			if got := backed(f, id, at.Add(time.Hour)); got != c.want {
				t.Errorf("backed: %t, want %t", got, c.want)
			}
		})
	}
}
