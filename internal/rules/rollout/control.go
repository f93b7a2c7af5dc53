package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
)

// InactiveFor is how long before a wave began a device may have been seen for
// the last time and still be compared with.
const InactiveFor = 14 * 24 * time.Hour

// Compared is the verdict on inputs, with a control group where one could make
// a difference: it can excuse silence and failures, and nothing else. What
// passes without it passes. control counts the devices of waves that have not
// opened, and is asked at most once; failures says whether it must count those
// too.
func Compared(in gate.Inputs, control func(failures bool) (fleet.Control, error)) (fleet.Verdict, error) {
	v := gate.Decide(in)
	silence := v.Decision == gate.Inconclusive && v.Counts.Silent > 0 && in.Gate.Silent == "failed" && in.Look >= in.Gate.ReportDeadline
	if v.Decision != gate.Fail && !silence {
		return v, nil
	}
	var err error
	if in.Control, err = control(v.Decision == gate.Fail); err != nil {
		return v, err
	}
	return gate.Decide(in), nil
}

// Waiting are the tenants, sorted, that a wave of a cycle which has not started
// brings a package to.
func Waiting(facts Facts, id fleet.CycleID, pkg fleet.PackageID) []fleet.TenantID {
	var out []fleet.TenantID
	for _, plan := range facts.Plans[id] {
		for i := range plan.Rows {
			row := &plan.Rows[i]
			if _, present := facts.Repo.Tenants[row.Tenant]; present && row.Package == pkg {
				out = append(out, row.Tenant)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Taken are the members of a cycle's started waves, as "tenant/device", and
// since when one of these waves runs.
func Taken(rec *fleet.Record, id fleet.CycleID, wave string) (taken map[string]bool, since time.Time) {
	taken = map[string]bool{}
	for _, s := range rec.Starts {
		if s.Cycle != id {
			continue
		}
		if s.Wave == wave {
			since = later(s.At, s.Opens)
		}
		for _, m := range Frozen(rec, s) {
			for _, d := range m.Devices {
				taken[string(m.Tenant)+"/"+d] = true
			}
		}
	}
	return taken, since
}
