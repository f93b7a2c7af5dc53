package change

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestTravelsAlready points at a release that another open cycle carries.
func TestTravelsAlready(t *testing.T) {
	entry := map[fleet.PackageID]fleet.Entry{zip: {Release: "24.08", Artifact: digit(3)}}
	with := func(closed bool, more bool) *fleet.Repository {
		return edited(func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47-cve-01": {CutOff: noon, Waves: []string{"dogfood"}, Entries: entry}}
			if more {
				r.Cycles["2026-W47"] = fleet.Cycle{CutOff: noon, Waves: []string{"dogfood"}, Entries: entry}
			}
			r.Plans = map[fleet.CycleID]map[string]fleet.PlanRecord{"2026-W47-cve-01": {}}
			r.Approvals = map[fleet.CycleID]map[string]fleet.Approval{}
			if closed {
				r.Approvals["2026-W47-cve-01"] = map[string]fleet.Approval{"close": {Cycle: "2026-W47-cve-01", Gate: "close", Decision: "approved"}}
			}
		})
	}
	wantFindings(t, compare(t, with(false, false), with(false, true)), "decide igor-pavlov/7-zip@24.08: travels in 2026-W47-cve-01 already, which is open; here it would have nothing to do")
	wantFindings(t, compare(t, with(true, false), with(true, true)))
}
