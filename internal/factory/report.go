package factory

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// Board gathers what people are shown of a cycle: facts, and the phases that
// follow from them at now.
func Board(facts rollout.Facts, id fleet.CycleID, now time.Time) (view.Cycle, error) {
	cycles, err := rollout.Derive(facts, now)
	if err != nil {
		return view.Cycle{}, err
	}
	i := slices.IndexFunc(cycles, func(c rollout.CycleState) bool { return c.ID == id })
	if i < 0 {
		return view.Cycle{}, &fleet.Error{Op: "factory.board", Object: string(id), Kind: fleet.Invalid, Err: errNoCycle, Hint: "packmill cycle status"}
	}
	c := cycles[i]
	out := view.Cycle{Repo: facts.Repo, Record: facts.Record, ID: id, Closed: c.Closed}
	if out.Zone, err = calendar.Zone(facts.Repo.Week.Zone); err != nil {
		return view.Cycle{}, err
	}
	for _, w := range c.Waves {
		out.Waves = append(out.Waves, view.CycleWave{Name: w.Wave.Name, Phase: w.Phase, Opens: w.Opens, Approval: w.Approval, Merge: w.Merge, Refusal: w.Refusal})
	}
	for i := range c.Entries {
		e := &c.Entries[i]
		row := view.CycleEntry{Package: e.Package, Entry: e.Entry}
		row.State, row.Why = stateOf(e)
		for j := range c.Waves {
			row.Phases = append(row.Phases, phaseOf(&c.Waves[j], e))
		}
		row.Merge = releaseMerge(facts, e)
		out.Entries = append(out.Entries, row)
	}
	return out, nil
}

// DataTime is when the newest fact in evidence was noted: the instant a report
// is of. A page then follows from commit and evidence alone, whoever makes it
// and whenever.
func DataTime(rec *fleet.Record) time.Time {
	var newest time.Time
	see := func(t time.Time) {
		if t.After(newest) {
			newest = t.UTC()
		}
	}
	for _, h := range rec.Heartbeats {
		see(h.At)
	}
	for _, m := range rec.Merges {
		see(m.At)
	}
	for _, r := range rec.Receipts {
		see(r.At)
	}
	for _, v := range rec.Verdicts {
		see(v.At)
	}
	for _, r := range rec.Inventory {
		see(r.At)
	}
	return newest
}

var errNoCycle = fleet.Errorf(fleet.Invalid, "factory.board", "", "no such cycle on main")

func stateOf(e *rollout.EntryState) (state, why string) {
	switch {
	case e.Held != nil && e.Held.Kind == "revocation":
		return view.StateRevoked, e.Held.Reason
	case e.Halted != nil:
		return view.StateHalted, e.Halted.Rule
	case e.Held != nil:
		return view.StateHeld, e.Held.Reason
	case e.Done:
		return view.StateReleased, ""
	default:
		return view.StateRunning, ""
	}
}

// phaseOf is how far an entry has come in one wave.
func phaseOf(w *rollout.WaveState, e *rollout.EntryState) string {
	if v := e.Last[w.Wave.Name]; v != nil {
		switch v.Decision {
		case "pass":
			return view.PhasePassed
		case "fail":
			return view.PhaseFailed
		default:
			return view.PhaseInconclusive
		}
	}
	switch {
	case e.Stopped():
		return view.PhaseStopped
	case w.Phase == rollout.WaveArmed:
		return view.PhaseArmed
	case w.Phase == rollout.WaveBaking:
		return view.PhaseBaking
	default:
		return view.PhaseWaiting
	}
}

// releaseMerge is the merge whose pull request proposed an entry's release.
func releaseMerge(facts rollout.Facts, e *rollout.EntryState) *fleet.Merge {
	for i := range facts.Record.Merges {
		m := &facts.Record.Merges[i]
		if slices.Contains(m.Releases, string(e.Package)+"@"+e.Entry.Release) {
			return m
		}
	}
	return nil
}
