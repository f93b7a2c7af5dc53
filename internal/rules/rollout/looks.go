package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
)

// looks asks for the reports and verdicts that are due in a wave, look by look:
// entries that were not looked at alike are not due alike.
func (s *stepper) looks(c *CycleState, w *WaveState) {
	due := map[fleet.Duration][]fleet.PackageID{}
	var next time.Time
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.unwatched(w) {
			continue
		}
		look, after := gate.Due(w.Wave.Gate, e.Last[w.Wave.Name], gate.Newest(e.Words[w.Wave.Name]), w.Began(), s.now)
		if look > 0 {
			due[look] = append(due[look], e.Package)
		}
		if !after.IsZero() && (next.IsZero() || after.Before(next)) {
			next = after
		}
	}
	if !next.IsZero() {
		s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: "the gate looks next at " + stamp(next), Until: next})
	}
	for _, look := range slices.Sorted(maps.Keys(due)) {
		s.act(Action{
			Kind: Judge, Cycle: c.ID, Wave: w.Wave.Name, Packages: due[look], Look: look, Last: gate.IsLast(w.Wave.Gate, look),
			Why: "the gate looks " + look.String() + " after the wave opened",
		})
	}
}

// goesOnLooking looks at a judged wave as long as the next has not started: a
// gate that stops between looks does not rest while people are asked, and what
// they say may have an undecided entry judged again.
func (s *stepper) goesOnLooking(c *CycleState, i int) {
	if i+1 == len(c.Waves) || c.Waves[i+1].Start == nil {
		s.looks(c, &c.Waves[i])
	}
}

// wordsOn are people's words on one entry, by wave.
func wordsOn(rec *fleet.Record, id fleet.CycleID, pkg fleet.PackageID) map[string][]fleet.Word {
	var out map[string][]fleet.Word
	for _, word := range rec.Words {
		if word.Cycle != id || word.Package != pkg {
			continue
		}
		if out == nil {
			out = map[string][]fleet.Word{}
		}
		out[word.Wave] = append(out[word.Wave], word)
	}
	return out
}

// objected says who objects to what a wave passed, "" when nobody does. An
// objection before the verdict kept it from passing; one after it keeps the
// entry out of the next wave, unless people merged that wave's approval in the
// knowledge of it.
func objected(before, next *WaveState, e *EntryState) string {
	for _, word := range gate.Open(e.Words[before.Wave.Name]) {
		if next.Merge == nil || next.Merge.Auto != "" || next.Merge.At.Before(word.At) {
			return "wave " + before.Wave.Name + " passed it, and " + word.By + " objects"
		}
	}
	return ""
}

// passed reports whether an entry may become stable: the last wave passed it
// and nobody objects, or people closed the cycle after its last word.
func (c *CycleState) passed(last *WaveState, e *EntryState) bool {
	v := e.Last[last.Wave.Name]
	switch {
	case v == nil:
		return false
	case c.Closed:
		// People closed it in the knowledge of what the last look left undecided.
		seen := c.closing == nil || !v.At.After(c.closing.At)
		return v.Decision == gate.Pass || seen && gate.Settled(last.Wave.Gate, v)
	default:
		return v.Decision == gate.Pass && len(gate.Open(e.Words[last.Wave.Name])) == 0
	}
}

// objector is who objects to an entry in a wave at an instant, "" when nobody
// does.
func objector(rec *fleet.Record, id fleet.CycleID, wave string, pkg fleet.PackageID, at time.Time) string {
	said := slices.DeleteFunc(gate.About(rec.Words, id, wave, pkg), func(w fleet.Word) bool { return w.At.After(at) })
	if open := gate.Open(said); len(open) > 0 {
		return open[0].By
	}
	return ""
}
