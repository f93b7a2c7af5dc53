package rollout

import (
	"github.com/packmill/packmill/internal/fleet"
)

// unmet says which requirement of a package a tenant cannot have, "" when it
// can have them all: a package it does not take on all devices.
func unmet(t fleet.Tenant, pkg fleet.Package) string {
	for _, r := range pkg.Requires {
		if a := FleetWide(t.Packages[r]); a == nil || a.Intent == "uninstall" {
			return "requires " + string(r) + ", which is not assigned to all devices or all users here"
		}
	}
	return ""
}

// lacks says which required package is not on a tenant yet, "" when none is
// missing. What comes for the first time comes before what needs it: its
// receipt is waited for, and what stops it stops both.
func (s *stepper) lacks(c *CycleState, e *EntryState, t fleet.TenantID) string {
	for _, r := range s.f.Repo.Packages[e.Package].Requires {
		if s.there(t, r) {
			continue
		}
		n := c.Entry(r)
		switch {
		case n == nil:
			return "it requires " + string(r) + ", which was never released there"
		case n.Stopped():
			return "it requires " + string(r) + ", which is stopped: " + stopReason(n)
		default:
			return "it requires " + string(r) + ", which comes first"
		}
	}
	return ""
}

// there reports whether a tenant has some release of a package: the fleet had
// it before the repository began, or a receipt says it came and none that it
// went.
func (s *stepper) there(t fleet.TenantID, id fleet.PackageID) bool {
	for _, r := range s.f.Repo.Packages[id].Releases {
		if r.Baseline {
			return true
		}
	}
	traces := s.x.slots[slot{t, id}]
	came := newest(traces, func(x trace) bool {
		return x.done && (x.Action == "assign" || x.Action == "promote" || x.Action == "reinstate")
	})
	went := newest(traces, func(x trace) bool {
		return x.done && (x.Action == "withdraw" || x.Action == "rollback" || x.Action == "uninstall")
	})
	return came > went
}
