package rehearsal_test

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// A refusal by one tenant of everything: does it get the release by promotion?
func TestCriticRefusingTenant(t *testing.T) {
	in := rehearsal.Invented(rehearsal.Size{Tenants: 3, Packages: 2, Devices: 300})
	for _, w := range in.Facts.Repo.Waves {
		t.Logf("%s %+v lanesOnly %v", w.Name, w.Select, w.LanesOnly)
	}
	p := 20.0
	in.Facts.Repo.Waves[0].Select = fleet.Select{Percent: &p}
	const no = fleet.TenantID("partner01/tenant0001")
	in.Facts.Repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{}
	refused := false
	m := rehearsal.Builtin()
	r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47, Watch: func(s *rehearsal.State, c rehearsal.Change) error {
		if c.Kind == rehearsal.CallMade && c.Call.Action == "assign" && c.Call.Tenant == no && !refused {
			refused = true // after its pilot it refuses the rest
			in.Facts.Repo.TenantApprovals[no] = map[fleet.CycleID]fleet.TenantApproval{w47: {Cycle: w47, Decision: "rejected", Because: "no more"}}
			s.Facts().Repo.TenantApprovals = in.Facts.Repo.TenantApprovals
		}
		if refused && c.Kind == rehearsal.CallMade && c.Call.Tenant == no && c.Call.Action == "promote" {
			t.Errorf("made stable on all devices of the tenant that refused: %+v", *c.Call)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r.Closed, r.Why, refused)
}
