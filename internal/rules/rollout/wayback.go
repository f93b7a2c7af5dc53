package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// wayBack stops an entry whose verdict failed or that is held, and takes it
// back where it is revoked.
func (s *stepper) wayBack(c *CycleState, e *EntryState) {
	if !e.Stopped() {
		s.disarm(c, e)
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

// disarm takes back what a fix supersedes at once and what has not started: a
// release that is about to be replaced starts on no more devices. What runs
// already runs on, and stays judged, until the fix takes its place.
func (s *stepper) disarm(c *CycleState, e *EntryState) {
	if e.Superseded == nil || !e.Superseded.AtOnce || e.Superseded.Release == e.Entry.Release {
		return
	}
	for _, t := range s.reached(c, e) {
		_, wave := holdsSlot(s.x.slots[slot{t, e.Package}], c.ID, e.Entry.Artifact)
		if w := c.Wave(wave); w != nil && s.now.Before(w.Began()) {
			s.withdraw(c, e, t)
		}
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
	assigns := of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "assign", Reinstate)
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
	switch {
	case e.Halted != nil:
		return e.Halted.Rule
	case e.Held == nil:
		return e.Superseded.Release + " of " + string(e.Superseded.Cycle) + " supersedes it at once"
	}
	return e.Held.Kind + ": " + e.Held.Reason
}

// rollBack goes the way back on one tenant, once no call that takes the
// artifact there can begin any longer: whatever a stalled runner did is then
// behind it. A tenant that has taken a later release for all its devices since
// has nothing to go back from, unless it went back from that too: the way may
// have led to this one.
func (s *stepper) rollBack(c *CycleState, e *EntryState, t fleet.TenantID) {
	traces := s.x.slots[slot{t, e.Package}]
	until := lease(traces, func(x trace) bool {
		return x.Artifact == e.Entry.Artifact && (x.Action == "assign" || x.Action == "promote" || x.Action == Reinstate)
	})
	replaced := func(x trace) bool {
		return x.Action == "promote" && x.Artifact != e.Entry.Artifact && !goneBack(traces, x)
	}
	if carriedOut(traces, of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "rollback"), until) || carriedOut(traces, replaced, until) {
		return
	}
	if !s.now.After(until) {
		s.wait(Wait{Cycle: c.ID, Kind: fleet.Waiting, Why: "a call may still be under way on " + string(t), Until: until})
		return
	}
	if s.givenUp(c, e, t) {
		return
	}
	a := actionOn(c, e)
	a.Kind, a.Tenant, a.Why = RollBack, t, "revoked: "+e.Held.Reason
	s.act(a)
}

// goneBack reports whether what a trace brought was taken back after it.
func goneBack(traces []trace, x trace) bool {
	return slices.ContainsFunc(traces, func(y trace) bool {
		return y.done && y.Action == "rollback" && y.Artifact == x.Artifact && y.Generation > x.Generation
	})
}

// A way back that failed is tried again by the next run. From the second
// failure on people are told, after the third it is theirs: what a tenant
// refuses three times it refuses for a reason that trying does not change.
const (
	troubledWays = 2
	maxWays      = 3
)

// givenUp reports whether a tenant's way back failed so often that a person
// must act, and tells of it before that. Failures count from the last merge that
// brought or changed the revocation: by it people say to try again.
func (s *stepper) givenUp(c *CycleState, e *EntryState, t fleet.TenantID) bool {
	at := slot{t, e.Package}
	if len(s.x.unmade[at]) == 0 {
		return false
	}
	since := s.askedBack(c, e, t)
	n, detail := 0, ""
	for _, r := range s.x.unmade[at] {
		if r.Action == "rollback" && r.Cycle == c.ID && r.Artifact == e.Entry.Artifact && !r.At.Before(since) {
			n, detail = n+1, r.Detail
		}
	}
	if n >= troubledWays {
		s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: wayFailed(e, t, n, detail)})
	}
	return n >= maxWays
}

func wayFailed(e *EntryState, t fleet.TenantID, n int, detail string) string {
	why := fmt.Sprintf("%s %s: going back failed %d times on %s: %s; a person must act", e.Package, e.Entry.Release, n, t, cmp.Or(detail, "no detail was recorded"))
	if n >= maxWays {
		why += ", and change the revocation below schedules/holds to have it tried again"
	}
	return why
}

// askedBack is since when an entry's way back on a tenant is asked for: the
// last merge that brought or changed its revocation, or the last time the way
// was gone.
func (s *stepper) askedBack(c *CycleState, e *EntryState, t fleet.TenantID) time.Time {
	var since time.Time
	for i := range s.f.Record.Merges {
		m := &s.f.Record.Merges[i]
		if slices.ContainsFunc(m.Revokes, func(h fleet.Hold) bool { return h.Of(e.Package, e.Entry) }) {
			since = later(since, m.At)
		}
	}
	back := of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "rollback")
	for _, x := range s.x.slots[slot{t, e.Package}] {
		if x.done && back(x) {
			since = later(since, x.at)
		}
	}
	return since
}
