package rollout

import (
	"github.com/packmill/packmill/internal/fleet"
)

// wayBack stops an entry whose verdict failed or that is held, and takes it
// back where it is revoked.
func (s *stepper) wayBack(c *CycleState, e *EntryState) {
	if !e.Stopped() {
		return
	}
	reached := s.reached(c, e)
	for _, t := range reached {
		s.withdraw(c, e, t)
	}
	if e.Halted != nil && e.Held == nil && e.Halted.Cycle == c.ID && !c.Closed {
		a := actionOn(c, e)
		a.Kind, a.Wave, a.Why = ProposeRevoke, e.Halted.Wave, e.Halted.Rule
		s.act(a)
		if !s.autoRevoke(a) {
			s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: "the revocation of " + string(e.Package) + " " + e.Entry.Release + " waits for its merge"})
		}
	}
	if !e.Revoked() {
		return
	}
	for _, t := range reached {
		s.rollBack(c, e, t)
	}
}

// reached are the tenants an entry's way back must cover. One that has left
// the repository is out of reach.
func (s *stepper) reached(c *CycleState, e *EntryState) []fleet.TenantID {
	return present(s.f.Repo, s.x.reached([]fleet.CycleID{c.ID}, e.Package, e.Entry.Artifact))
}

func present(repo *fleet.Repository, tenants []fleet.TenantID) []fleet.TenantID {
	var out []fleet.TenantID
	for _, t := range tenants {
		if _, ok := repo.Tenants[t]; ok {
			out = append(out, t)
		}
	}
	return out
}

func actionOn(c *CycleState, e *EntryState) Action {
	return Action{Cycle: c.ID, Packages: []fleet.PackageID{e.Package}, Version: e.Entry.Release, Artifact: e.Entry.Artifact}
}

// withdraw empties the candidate slot of a tenant, at once. Where the call of
// an intent may still have begun after that, it is emptied once more when none
// can begin any longer: an assignment must not come back behind a halt.
func (s *stepper) withdraw(c *CycleState, e *EntryState, t fleet.TenantID) {
	traces := s.x.slots[slot{t, e.Package}]
	assigns := of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "assign")
	last, until := newest(traces, assigns), lease(traces, assigns)
	empty, forGood := false, false
	for _, x := range traces {
		if !x.done || x.Generation <= last {
			continue
		}
		replaced := x.Action == "assign" && x.Artifact != e.Entry.Artifact
		empty = empty || clears(x) || replaced
		forGood = forGood || replaced || clears(x) && x.At.After(until)
	}
	switch {
	case forGood:
	case empty && !s.now.After(until):
		s.wait(Wait{Cycle: c.ID, Kind: fleet.Waiting, Why: "withdrawn on " + string(t) + ", and once more when no call of an earlier run can begin", Until: until})
	default:
		a := actionOn(c, e)
		a.Kind, a.Tenant, a.Why = Withdraw, t, "what has not started must not start: "+stopReason(e)
		s.act(a)
	}
}

func stopReason(e *EntryState) string {
	if e.Halted != nil {
		return e.Halted.Rule
	}
	return e.Held.Kind + ": " + e.Held.Reason
}

// rollBack goes the way back on one tenant, once no call that takes the
// artifact there can begin any longer: whatever a stalled runner did is then
// behind it. A tenant that has taken a later release for all its devices since
// has nothing to go back from.
func (s *stepper) rollBack(c *CycleState, e *EntryState, t fleet.TenantID) {
	traces := s.x.slots[slot{t, e.Package}]
	until := lease(traces, func(x trace) bool {
		return x.Artifact == e.Entry.Artifact && (x.Action == "assign" || x.Action == "promote")
	})
	replaced := func(x trace) bool { return x.Action == "promote" && x.Artifact != e.Entry.Artifact }
	if carriedOut(traces, of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "rollback"), until) || carriedOut(traces, replaced, until) {
		return
	}
	if !s.now.After(until) {
		s.wait(Wait{Cycle: c.ID, Kind: fleet.Waiting, Why: "a call may still be under way on " + string(t), Until: until})
		return
	}
	a := actionOn(c, e)
	a.Kind, a.Tenant, a.Why = RollBack, t, "revoked: "+e.Held.Reason
	s.act(a)
}
