package factory

import "github.com/packmill/packmill/internal/fleet"

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
