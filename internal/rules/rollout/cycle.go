package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/gate"
)

// cycle lists what is due in one open cycle. What stops comes before what
// goes on.
func (s *stepper) cycle(c *CycleState) {
	for i := range c.Entries {
		s.wayBack(c, &c.Entries[i])
	}
	for i := range c.Waves {
		if w := &c.Waves[i]; w.Ended != "" {
			s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: w.Ended})
			break
		}
		if !s.wave(c, i) {
			s.running(c, i+1)
			return
		}
	}
	s.finish(c)
}

// running goes on with the waves that have started, whatever has become of one
// before them: a hold that ended may have opened that one again, and devices of
// these run the release.
func (s *stepper) running(c *CycleState, from int) {
	for i := from; i < len(c.Waves); i++ {
		if c.Waves[i].Start != nil {
			s.wave(c, i)
		}
	}
}

// closed lists what a closed cycle still owes: what stops and goes back, and
// the stable slots of what its closing settled.
func (s *stepper) closed(c *CycleState) {
	for i := range c.Entries {
		s.wayBack(c, &c.Entries[i])
	}
	s.promote(c)
}

// wave lists what is due in one wave and reports whether the next one may be
// thought about: this one is judged.
func (s *stepper) wave(c *CycleState, i int) bool {
	w := &c.Waves[i]
	if i > 0 || w.Approval != nil {
		s.askPartners(c, w)
	}
	switch w.Phase {
	case WaveClosed:
		s.unopened(c, i)
	case WaveOpening:
		s.opening(c, i)
	case WaveArmed:
		s.deploy(c, i)
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "armed", Until: w.Began()})
	case WaveBaking:
		s.deploy(c, i)
		s.looks(c, w)
	case WaveJudged:
		s.goesOnLooking(c, i)
		late := w.Start != nil && s.deploy(c, i)
		return s.soaked(c, w) && !(late && i == len(c.Waves)-1)
	}
	return false
}

// unopened proposes the approval of a wave, unless one was merged: a refusal
// is an answer, and one that does not count is for people to look at.
func (s *stepper) unopened(c *CycleState, i int) {
	name, refusal := c.Waves[i].Wave.Name, c.Waves[i].Refusal
	why := "its approval waits for a merge"
	switch {
	case refusal != "":
		why = "its approval does not count: " + refusal
	case i > 0:
		s.act(Action{Kind: ProposeApproval, Cycle: c.ID, Wave: name, Why: "the wave before it is judged"})
		does, people := s.autoAdvance(c, name)
		if does {
			return
		}
		why += people
	}
	s.wait(Wait{Cycle: c.ID, Wave: name, Kind: fleet.Stalled, Why: why})
}

// opening announces and starts an approved wave when its time has come.
func (s *stepper) opening(c *CycleState, i int) {
	w := &c.Waves[i]
	if i > 0 && i == len(c.Waves)-1 && !s.announced(c, w) {
		return
	}
	if arm := s.firstStart(c, w).Add(-w.Wave.Arm.Std()); s.now.Before(arm) {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "approved", Until: arm})
		return
	}
	if s.f.Repo.Closed(c.ID) {
		// Validation asks less of what says that it is closed: nothing begins on
		// a closing that does not count.
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Stalled, Why: "no wave starts: the cycle's closing is on main and does not count: " + c.Refusal})
		return
	}
	if s.frozen(c, w) || s.gone(c, w) || !s.recounted(c, i) {
		return
	}
	s.act(Action{Kind: StartWave, Cycle: c.ID, Wave: w.Wave.Name, Why: "approved, and due at " + stamp(w.Opens)})
}

// announced reports whether the cycle was announced, and asks for it when it
// is time. The last wave does not start before: partners hear of it before
// their devices do.
func (s *stepper) announced(c *CycleState, w *WaveState) bool {
	at, ok := s.announceAt(c)
	if !ok || s.x.beatSince("announce "+string(c.ID), at) {
		return true // a week without this step announces nothing
	}
	wait := Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "announced first", Until: at}
	if !s.now.Before(at) {
		s.act(Action{Kind: Announce, Cycle: c.ID, Wave: w.Wave.Name, Why: "partners hear of it before their devices do"})
		wait.Until, wait.Command = time.Time{}, "packmill notify"
	}
	s.wait(wait)
	return false
}

// announceAt is when a cycle is announced: in a lane as soon as it is open.
func (s *stepper) announceAt(c *CycleState) (time.Time, bool) {
	if _, announces := s.f.Repo.Week.Steps["announce"]; !announces {
		return time.Time{}, false
	}
	if c.ID.Lane() != fleet.LaneWeek {
		return c.Cycle.CutOff, true
	}
	steps, err := calendar.StepsOf(s.f.Repo.Week, c.ID)
	return steps["announce"], err == nil
}

// frozen reports whether a freeze is in force now, or will be when the wave
// opens, and says so. A cycle that carries nothing but security fixes passes
// freezes that let those through.
func (s *stepper) frozen(c *CycleState, w *WaveState) bool {
	security := true
	for i := range c.Entries {
		if e := &c.Entries[i]; !e.Stopped() && !s.security(e) {
			security = false
		}
	}
	for _, at := range []time.Time{s.now, later(s.now, w.Opens)} {
		if s.thaw(c, at, security, Wait{Cycle: c.ID, Wave: w.Wave.Name}) {
			return true
		}
	}
	return false
}

// thaw reports whether a freeze is in force at an instant, and waits for its
// end.
func (s *stepper) thaw(c *CycleState, at time.Time, security bool, w Wait) bool {
	name := freezeOn(s.f.Repo, c.Cycle, at, security)
	if name == "" {
		return false
	}
	w.Kind, w.Why, w.Until = fleet.Waiting, "frozen by "+name, s.f.Repo.Freezes[name].Until
	s.wait(w)
	return true
}

func (s *stepper) security(e *EntryState) bool {
	return s.f.Repo.Packages[e.Package].Releases[e.Entry.Release].Change == "security"
}

// soaked reports whether a judged wave has also run for its soak time.
func (s *stepper) soaked(c *CycleState, w *WaveState) bool {
	until := w.Began().Add(w.Wave.Soak.Std())
	if s.now.Before(until) {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "soaking", Until: until})
		return false
	}
	return true
}

// finish promotes what passed the last wave and proposes to close the cycle.
func (s *stepper) finish(c *CycleState) {
	if s.promote(c) {
		return
	}
	why := "closing it waits for a merge"
	if c.Refusal != "" {
		why = "its closing does not count: " + c.Refusal
	} else {
		s.act(Action{Kind: ProposeClose, Cycle: c.ID, Why: "every entry has its last word"})
	}
	s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: why})
}

// promote asks for the stable slot of every tenant that took an entry which
// passed the last wave. Once people have closed the cycle, what its last look
// left undecided counts as passed: the merge of the closing is their word. It
// reports whether anything was left to do.
func (s *stepper) promote(c *CycleState) bool {
	if len(c.Waves) == 0 {
		return false
	}
	last := &c.Waves[len(c.Waves)-1]
	left := false
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Stopped() || e.Done || !c.passed(last, e) {
			continue
		}
		for _, t := range present(s.f.Repo, s.x.reached(e.lineage, e.Package, e.Entry.Artifact)) {
			if s.x.promoted(e, t) || takenOver(s.x.slots[slot{t, e.Package}], e.Entry.Artifact) {
				continue
			}
			if why := s.unready(c, e, t); why != "" {
				s.wait(Wait{Cycle: c.ID, Wave: last.Wave.Name, Kind: fleet.Waiting, Why: string(e.Package) + " is not made stable on " + string(t) + ": " + why})
				continue
			}
			left = true
			if s.thaw(c, s.now, s.security(e), Wait{Cycle: c.ID, Wave: last.Wave.Name}) {
				break
			}
			if until := lease(s.x.slots[slot{t, e.Package}], of(e.lineage, e.Entry.Artifact, "assign")); !s.now.After(until) {
				// A stalled assignment would come back behind the promotion.
				s.wait(Wait{Cycle: c.ID, Wave: last.Wave.Name, Kind: fleet.Waiting, Why: "a call may still be under way on " + string(t), Until: until})
				continue
			}
			a := actionOn(c, e)
			a.Kind, a.Wave, a.Tenant, a.Why = Promote, last.Wave.Name, t, "passed every wave"
			s.act(a)
		}
	}
	return left
}

// deploy asks for the assignments of a started wave that no receipt tells of,
// and reports whether any may still come. What the wave left undecided goes to
// no more devices once it is judged; what it passed goes to those of its plan
// that could not take it before.
func (s *stepper) deploy(c *CycleState, i int) bool {
	w := &c.Waves[i]
	undecided := map[fleet.PackageID]string{}
	for j := range c.Entries {
		e := &c.Entries[j]
		if why := c.undecided(i, e); why != "" && !e.over(w) {
			undecided[e.Package] = why
			s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Stalled, Why: string(e.Package) + " stays out: " + why})
		}
	}
	byTenant := map[fleet.TenantID][]fleet.PackageID{}
	times := s.times(c, w)
	swapped := map[fleet.PackageID]bool{}
	for _, row := range s.f.Record.PlanRows[w.Start.Plan] {
		e := c.Entry(row.Package)
		if v := lastOf(e, w); w.Phase == WaveJudged && (v == nil || v.Decision != gate.Pass) {
			continue
		}
		if e == nil || e.over(w) || undecided[row.Package] != "" || row.Wave != w.Wave.Name || slices.Contains(byTenant[row.Tenant], row.Package) {
			continue
		}
		if approved := (fleet.Entry{Release: row.To, Artifact: row.Artifact, CarriedFrom: e.Entry.CarriedFrom}); approved != e.Entry {
			if !swapped[row.Package] {
				swapped[row.Package] = true
				s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Stalled, Why: string(row.Package) + " stays out: the cycle carries " +
					entryName(e.Entry) + " now, the wave was approved with " + entryName(approved)})
			}
			continue
		}
		if !s.assigned(c, w, e, row.Tenant) && s.wanted(c, w, e, row.Tenant) && times.due(row) {
			byTenant[row.Tenant] = append(byTenant[row.Tenant], row.Package)
		}
	}
	if len(byTenant)+len(times.waiting) == 0 {
		return false
	}
	if s.frozen(c, w) {
		return true
	}
	times.tell()
	for _, t := range slices.Sorted(maps.Keys(byTenant)) {
		s.act(Action{Kind: Deploy, Cycle: c.ID, Wave: w.Wave.Name, Tenant: t, Packages: byTenant[t], Why: "in the approved plan, without a receipt" + times.late(t)})
	}
	return len(byTenant) > 0 || times.coming()
}

func lastOf(e *EntryState, w *WaveState) *fleet.Verdict {
	if e == nil {
		return nil
	}
	return e.Last[w.Wave.Name]
}

func entryName(e fleet.Entry) string { return e.Release + " (" + e.Artifact.Short() + ")" }

// undecided says why an entry may not enter a later wave, "" when it may: the
// wave before passed it, or left it undecided at its last look and people
// merged the approval of this one in the knowledge of that.
func (c *CycleState) undecided(i int, e *EntryState) string {
	if i == 0 {
		return ""
	}
	before, w := &c.Waves[i-1], &c.Waves[i]
	v := e.Last[before.Wave.Name]
	switch {
	case v == nil:
		return "wave " + before.Wave.Name + " has no verdict on it"
	case v.Decision == "pass":
		return objected(before, w, e)
	case !gate.Settled(before.Wave.Gate, v):
		return "wave " + before.Wave.Name + " has not looked at it for the last time"
	case w.Merge == nil || w.Merge.At.Before(v.At):
		return "wave " + before.Wave.Name + " left it undecided, and the approval was merged before that"
	}
	return ""
}

// assigned reports whether a tenant's candidate slot holds an entry for a
// wave: a receipt newer than the wave's start tells so, and nothing that
// empties the slot was begun after it.
func (s *stepper) assigned(c *CycleState, w *WaveState, e *EntryState, t fleet.TenantID) bool {
	traces := s.x.slots[slot{t, e.Package}]
	own := of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "assign")
	put := newest(traces, func(x trace) bool { return x.done && own(x) && x.Wave == w.Wave.Name && !x.at.Before(w.Start.At) })
	return put > 0 && newest(traces, func(x trace) bool {
		return clears(x) && x.Generation > put && (x.Action != "promote" || x.Artifact != e.Entry.Artifact)
	}) == 0
}

// wanted reports whether a tenant still takes an entry: its policy may have
// got stricter since the plan was approved, and it may have left. It also
// waits for calls that could empty the slot behind an assignment.
func (s *stepper) wanted(c *CycleState, w *WaveState, e *EntryState, id fleet.TenantID) bool {
	t, ok := s.f.Repo.Tenants[id]
	wait := Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting}
	switch veto, until := vetoed(t, e.Package, e.Entry.Release, later(s.now, w.Opens)); {
	case !ok:
		return false
	case veto != "":
		wait.Why, wait.Until = string(id)+" does not take "+string(e.Package)+": "+veto, until
	default:
		until := lease(s.x.slots[slot{id, e.Package}], func(x trace) bool { return clears(x) && !x.done })
		taken, lacks := s.occupied(c, e, id), s.lacks(c, e, id)
		switch {
		case taken != "":
			wait.Why = string(e.Package) + " waits on " + string(id) + ": " + taken
		case lacks != "":
			wait.Why = string(e.Package) + " waits on " + string(id) + ": " + lacks
		case s.now.After(until):
			return s.agreed(c, w, id)
		default:
			wait.Why, wait.Until = "a call may still be under way on "+string(id), until
		}
	}
	s.wait(wait)
	return false
}
