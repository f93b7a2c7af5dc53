package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// cycle lists what is due in one open cycle. What stops comes before what
// goes on.
func (s *stepper) cycle(c *CycleState) {
	for i := range c.Entries {
		s.wayBack(c, &c.Entries[i])
	}
	for i := range c.Waves {
		if !s.wave(c, i) {
			return
		}
	}
	s.finish(c)
}

// wayBack stops an entry whose verdict failed or whose revocation is merged.
func (s *stepper) wayBack(c *CycleState, e *EntryState) {
	if !e.Stopped() {
		return
	}
	reached := Reached(s.f.Record, c.ID, e.Package, e.Entry.Artifact)
	revoked := e.Held != nil && e.Held.Kind == "revocation"
	base := Action{Cycle: c.ID, Packages: []fleet.PackageID{e.Package}, Version: e.Entry.Release, Artifact: e.Entry.Artifact}
	for _, t := range reached {
		if !receipted(s.f.Record, c.ID, t, e.Package, e.Entry.Artifact, "withdraw") && !receipted(s.f.Record, c.ID, t, e.Package, e.Entry.Artifact, "rollback") {
			a := base
			a.Kind, a.Tenant, a.Why = Withdraw, t, "what has not started must not start: "+stopReason(e)
			s.act(a)
		}
	}
	if e.Halted != nil && !revoked {
		a := base
		a.Kind, a.Wave, a.Why = ProposeRevoke, e.Halted.Wave, e.Halted.Rule
		s.act(a)
		s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: "the revocation of " + string(e.Package) + " " + e.Entry.Release + " waits for its merge"})
	}
	if !revoked {
		return
	}
	for _, t := range reached {
		if receipted(s.f.Record, c.ID, t, e.Package, e.Entry.Artifact, "rollback") {
			continue
		}
		if until, late := s.leased(c.ID, t, e); late {
			s.wait(Wait{Cycle: c.ID, Kind: fleet.Waiting, Why: "a call may still be under way on " + string(t), Until: until})
			continue
		}
		a := base
		a.Kind, a.Tenant, a.Why = RollBack, t, "revoked: "+e.Held.Reason
		s.act(a)
	}
}

func stopReason(e *EntryState) string {
	if e.Halted != nil {
		return e.Halted.Rule
	}
	return e.Held.Kind + ": " + e.Held.Reason
}

// leased reports whether an intent without a receipt may still be acted on,
// and until when.
func (s *stepper) leased(id fleet.CycleID, t fleet.TenantID, e *EntryState) (time.Time, bool) {
	for _, i := range s.f.Record.Intents {
		if i.Cycle == id && i.Tenant == t && i.Package == e.Package && i.Artifact == e.Entry.Artifact && i.Action == "assign" &&
			!i.NotAfter.Before(s.now) && !hasReceipt(s.f.Record, i.ID) {
			return i.NotAfter, true
		}
	}
	return time.Time{}, false
}

func hasReceipt(rec *fleet.Record, intent string) bool {
	return slices.ContainsFunc(rec.Receipts, func(r fleet.Receipt) bool { return r.Intent == intent })
}

// wave lists what is due in one wave and reports whether the next one may be
// thought about: this one is judged.
func (s *stepper) wave(c *CycleState, i int) bool {
	w := &c.Waves[i]
	name := w.Wave.Name
	switch w.Phase {
	case WaveClosed:
		if i > 0 {
			s.act(Action{Kind: ProposeApproval, Cycle: c.ID, Wave: name, Why: "the wave before it is judged"})
		}
		why := "its approval waits for a merge"
		if w.Refusal != "" {
			why = "its approval does not count: " + w.Refusal
		}
		s.wait(Wait{Cycle: c.ID, Wave: name, Kind: fleet.Stalled, Why: why})
	case WaveOpening:
		s.opening(c, w, i)
	case WaveArmed:
		s.deploy(c, w)
		s.wait(Wait{Cycle: c.ID, Wave: name, Kind: fleet.Waiting, Why: "armed", Until: w.Opens})
	case WaveBaking:
		s.deploy(c, w)
		s.looks(c, w)
	case WaveJudged:
		return s.soaked(c, w)
	}
	return false
}

// opening announces and starts an approved wave when its time has come.
func (s *stepper) opening(c *CycleState, w *WaveState, i int) {
	if i == len(c.Waves)-1 {
		announce, err := calendar.StepsOf(s.f.Repo.Week, c.ID)
		if at, ok := announce["announce"]; err == nil && ok && len(c.Waves) > 1 {
			if s.now.Before(at) {
				s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "announced first", Until: at})
				return
			}
			if !s.beatSince("announce "+string(c.ID), at) {
				s.act(Action{Kind: Announce, Cycle: c.ID, Wave: w.Wave.Name, Why: "partners hear of it before their devices do"})
			}
		}
	}
	if arm := w.Opens.Add(-w.Wave.Arm.Std()); s.now.Before(arm) {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "approved", Until: arm})
		return
	}
	if name := s.f.Repo.Frozen(s.now, false); name != "" {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "frozen by " + name, Until: s.f.Repo.Freezes[name].Until})
		return
	}
	s.act(Action{Kind: StartWave, Cycle: c.ID, Wave: w.Wave.Name, Why: "approved, and due at " + stamp(w.Opens)})
}

// deploy asks for the assignments of a started wave that have no receipt yet.
func (s *stepper) deploy(c *CycleState, w *WaveState) {
	byTenant := map[fleet.TenantID][]fleet.PackageID{}
	for _, row := range s.f.Record.PlanRows[w.Start.Plan] {
		e := c.Entry(row.Package)
		if e == nil || e.Stopped() || row.Wave != w.Wave.Name {
			continue
		}
		if !s.assigned(c.ID, w.Wave.Name, row, e.Entry.Artifact) {
			byTenant[row.Tenant] = append(byTenant[row.Tenant], row.Package)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(byTenant)) {
		s.act(Action{Kind: Deploy, Cycle: c.ID, Wave: w.Wave.Name, Tenant: t, Packages: byTenant[t], Why: "in the approved plan, without a receipt"})
	}
}

func (s *stepper) assigned(id fleet.CycleID, wave string, row fleet.PlanRow, artifact fleet.Digest) bool {
	return slices.ContainsFunc(s.f.Record.Receipts, func(r fleet.Receipt) bool {
		return r.Cycle == id && r.Wave == wave && r.Tenant == row.Tenant && r.Package == row.Package && r.Artifact == artifact &&
			r.Action == "assign" && r.Outcome == "done"
	})
}

// looks asks for the reports and verdicts of every look that is due.
func (s *stepper) looks(c *CycleState, w *WaveState) {
	looks := slices.Sorted(slices.Values(w.Wave.Gate.Looks))
	for n, look := range looks {
		at := w.Opens.Add(look.Std())
		if s.now.Before(at) {
			s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "the gate looks next at " + stamp(at), Until: at})
			return
		}
		last := n == len(looks)-1
		if !last && !s.now.Before(w.Opens.Add(looks[n+1].Std())) {
			continue // a late runner looks once, at the newest look that is due
		}
		var open []fleet.PackageID
		for i := range c.Entries {
			e := &c.Entries[i]
			if v := e.Last[w.Wave.Name]; e.Stopped() || v != nil && (v.Look >= look || v.Decision == "pass") {
				continue
			}
			open = append(open, e.Package)
		}
		if len(open) > 0 {
			s.act(Action{Kind: Judge, Cycle: c.ID, Wave: w.Wave.Name, Packages: open, Look: look, Last: last, Why: "the gate looks " + look.String() + " after the wave opened"})
		}
	}
}

// soaked reports whether a judged wave has also run for its soak time.
func (s *stepper) soaked(c *CycleState, w *WaveState) bool {
	until := w.Opens.Add(w.Wave.Soak.Std())
	if s.now.Before(until) {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "soaking", Until: until})
		return false
	}
	return true
}

// finish promotes what passed the last wave and proposes to close the cycle.
func (s *stepper) finish(c *CycleState) {
	if s.promote(c, false) {
		return
	}
	s.act(Action{Kind: ProposeClose, Cycle: c.ID, Why: "every entry has its last word"})
	s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: "closing it waits for a merge"})
}

// promote asks for the stable slot of every tenant that took an entry which
// passed the last wave. Once people have closed the cycle, what its gates left
// undecided counts as passed: the merge of the closing is their word. It
// reports whether anything was left to do.
func (s *stepper) promote(c *CycleState, closed bool) bool {
	last := &c.Waves[len(c.Waves)-1]
	left := false
	for i := range c.Entries {
		e := &c.Entries[i]
		v := e.Last[last.Wave.Name]
		if e.Stopped() || e.Done || v == nil || v.Decision != "pass" && !closed {
			continue
		}
		for _, t := range Reached(s.f.Record, c.ID, e.Package, e.Entry.Artifact) {
			if receipted(s.f.Record, c.ID, t, e.Package, e.Entry.Artifact, "promote") {
				continue
			}
			left = true
			s.act(Action{Kind: Promote, Cycle: c.ID, Wave: last.Wave.Name, Tenant: t, Packages: []fleet.PackageID{e.Package}, Version: e.Entry.Release, Artifact: e.Entry.Artifact, Why: "passed every wave"})
		}
	}
	return left
}
