package rehearsal_test

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// TestRefusingTenant: a tenant whose first devices have a release, and which then
// refuses the cycle, does not get the release by promotion when the others do.
func TestRefusingTenant(t *testing.T) {
	const tenant = fleet.TenantID("partner01/tenant0001")
	for name, refuses := range map[string]bool{"refuses": true, "says nothing": false} {
		t.Run(name, func(t *testing.T) {
			in := rehearsal.Invented(rehearsal.Size{Tenants: 3, Packages: 2, Devices: 300})
			some := 20.0 // the first wave reaches a part of every tenant's devices
			in.Facts.Repo.Waves[0].Select = fleet.Select{Percent: &some}
			assigned, promoted, elsewhere := false, 0, 0
			m := rehearsal.Builtin()
			r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47, Watch: func(s *rehearsal.State, c rehearsal.Change) error {
				switch {
				case c.Kind != rehearsal.CallMade:
				case c.Call.Action == "assign" && c.Call.Tenant == tenant && !assigned:
					assigned = true
					if refuses {
						no := fleet.TenantApproval{Cycle: w47, Decision: "rejected", Because: "inventory count"}
						s.Facts().Repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{tenant: {w47: no}}
					}
				case c.Call.Action == "promote" && c.Call.Tenant == tenant:
					promoted++
				case c.Call.Action == "promote":
					elsewhere++
				}
				return nil
			}})
			if err != nil || !r.Closed {
				t.Fatalf("closed: %v, %v", r.Closed, err)
			}
			if !assigned || elsewhere == 0 || (promoted == 0) != refuses {
				t.Errorf("assigned to the tenant: %v; promoted there %d times, elsewhere %d times", assigned, promoted, elsewhere)
			}
		})
	}
}
