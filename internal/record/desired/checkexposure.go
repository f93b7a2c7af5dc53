package desired

import "github.com/packmill/packmill/internal/fleet"

// exposure checks that each budget limits something, and that there are enough
// persons to approve what goes beyond it.
func (x *checks) exposure(e *fleet.Exposure) {
	if e == nil {
		return
	}
	for _, b := range []struct {
		name   string
		budget *fleet.Budget
	}{{"perMerge", e.PerMerge}, {"perHour", e.PerHour}} {
		if b.budget == nil {
			continue
		}
		if b.budget.Devices == nil && b.budget.Tenants == nil {
			x.fault(operatorFile, k("operator", "trust", "exposure", b.name), "names neither devices nor tenants, and so limits nothing")
		}
		x.quorum(b.budget.Approvers, "exposure", b.name, "approvers")
	}
}
