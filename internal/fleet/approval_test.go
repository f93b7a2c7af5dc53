package fleet_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// FuzzTenantApprovalOf: a path names a tenant's approval exactly when it is the
// path of that tenant's approval.
func FuzzTenantApprovalOf(f *testing.F) {
	for _, path := range []string{"tenants/nordic/berg/approvals/2026-W47.cue", "tenants/nordic/berg/approvals/2026-W47", "tenants/nordic/approvals/2026-W47.cue", "tenants//berg/approvals/.cue", "schedules/cycles/2026-W47/approvals/close.cue", "tenants/../x/approvals/a.cue"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		id, cycle, ok := fleet.TenantApprovalOf(path)
		if !ok {
			return
		}
		if got := fleet.TenantApprovalFile(id, cycle); got != path {
			t.Errorf("%q is the word of %q on %q, which is %q", path, id, cycle, got)
		}
	})
}

func TestTenantApprovers(t *testing.T) {
	person := func(login string) fleet.Person { return fleet.Person{Login: login, From: "2026-01-01"} }
	r := &fleet.Repository{
		Operator: fleet.Operator{Approvers: map[string][]fleet.Person{"b": {person("oskar")}, "a": {person("ines")}}},
		Partners: map[string]fleet.Partner{"nordic": {Approvers: []fleet.Person{person("pia")}}, "direct": {}},
		Tenants: map[fleet.TenantID]fleet.Tenant{
			"nordic/berg":  {Policy: fleet.Policy{Approval: fleet.ByPartner}, Approvers: []fleet.Person{person("sol")}},
			"nordic/aalto": {Policy: fleet.Policy{Approval: fleet.BySite}, Approvers: []fleet.Person{person("sol")}},
			"nordic/carl":  {Policy: fleet.Policy{Approval: fleet.BySite}},
			"direct/solo":  {Policy: fleet.Policy{Approval: fleet.ByPartner}},
			"gone/x":       {Policy: fleet.Policy{Approval: fleet.ByPartner}},
		},
	}
	for id, want := range map[fleet.TenantID]string{"nordic/berg": "pia", "nordic/aalto": "sol", "nordic/carl": "pia", "direct/solo": "ines oskar", "gone/x": ""} {
		got := ""
		for i, p := range r.TenantApprovers(id) {
			if i > 0 {
				got += " "
			}
			got += p.Login
			if !p.InForce(time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s is not in force", p.Login)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
