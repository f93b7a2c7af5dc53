package factory

import (
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// times are when the rows of an action's wave may be carried out now.
func (f *Factory) times(repo *fleet.Repository, a rollout.Action) *rollout.Times {
	wave, _ := repo.Wave(a.Wave)
	var approval *fleet.Approval
	if it, ok := repo.Approvals[a.Cycle][a.Wave]; ok {
		approval = &it
	}
	return rollout.NewTimes(repo, wave, approval, f.Clock.Now())
}

// A plannedRow is a row of a plan, and which plan it is of.
type plannedRow struct {
	fleet.PlanRow
	plan fleet.Digest
}

// planned are the rows of a started wave's plan.
func planned(rec *fleet.Record, cycle fleet.CycleID, wave string) map[slot]plannedRow {
	out := map[slot]plannedRow{}
	for _, s := range rec.Starts {
		if s.Cycle != cycle || s.Wave != wave {
			continue
		}
		for _, row := range rec.PlanRows[s.Plan] {
			at := slot{row.Tenant, row.Package}
			if _, known := out[at]; !known {
				out[at] = plannedRow{row, s.Plan}
			}
		}
	}
	return out
}
