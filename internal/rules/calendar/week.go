package calendar

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// CutOff and Detect are the steps that every week has: the end of what goes
// into a cycle, and the look at upstreams before it.
const (
	CutOff = "cutOff"
	Detect = "detect"
)

// A step is a week's step with its zone and weekday understood.
type step struct {
	loc   *time.Location
	day   time.Weekday
	at    string
	rule  fleet.DSTRule
	moves bool // to the next working day
	stays bool // in its ISO week when it moves
	days  Days // for a step that moves
}

func stepOf(week fleet.Week, name string) (step, error) {
	loc, err := Zone(week.Zone)
	if err != nil {
		return step{}, err
	}
	s, ok := week.Steps[name]
	if !ok {
		return step{}, fleet.Errorf(fleet.Invalid, "calendar.step", name, "the week has no step %q, only %q", name, slices.Sorted(maps.Keys(week.Steps)))
	}
	day, err := ParseWeekday(s.On)
	if err == nil {
		_, _, err = ParseClock(s.At)
	}
	if err != nil {
		return step{}, fleet.Errorf(fleet.Invalid, "calendar.step", name, "%w", err)
	}
	out := step{loc: loc, day: day, at: s.At, rule: week.DST, moves: s.Holiday == "next", stays: name == CutOff}
	if out.moves {
		out.days, err = DaysOf(week.Holidays)
	}
	return out, err
}

// near lists the step's instants around t, from weeks before to weeks after, in
// order. A week whose instant is skipped has none. A step that moves comes from
// further back, and two of one long holiday fall together.
func (s step) near(t time.Time, weeks int) []time.Time {
	var out []time.Time
	today := DateOf(t.In(s.loc))
	first := -7*weeks - 1
	if s.moves {
		first -= maxClosed
	}
	for days := first; days <= 7*weeks+1; days++ {
		if date := today.Add(days); date.Weekday() == s.day {
			if at, ok := s.on(date); ok {
				out = append(out, at)
			}
		}
	}
	return slices.CompactFunc(out, time.Time.Equal)
}

// on is the step's instant for the week of a date, which is its weekday.
func (s step) on(date Date) (time.Time, bool) {
	if s.moves {
		next, ok := s.days.OnOrAfter(date)
		switch {
		case s.stays && (!ok || !sameISOWeek(date, next)):
			// It names the cycle by its week: better on a holiday than in another.
		case !ok:
			return time.Time{}, false
		default:
			date = next
		}
	}
	return Instant(s.loc, date, s.at, s.rule)
}

func sameISOWeek(a, b Date) bool {
	yearA, weekA := a.noon().ISOWeek()
	yearB, weekB := b.noon().ISOWeek()
	return yearA == yearB && weekA == weekB
}

// reach is how many weeks are looked at: a step in the gap is skipped once a
// year, never twice in a row.
const reach = 3

// After is the step's first instant after t.
func After(week fleet.Week, name string, t time.Time) (time.Time, error) {
	s, err := stepOf(week, name)
	if err != nil {
		return time.Time{}, err
	}
	for _, at := range s.near(t, reach) {
		if at.After(t) {
			return at, nil
		}
	}
	return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.step", name, "does not occur in the weeks after %s", t.UTC().Format(time.RFC3339))
}

// Last is the step's last instant at or before t.
func Last(week fleet.Week, name string, t time.Time) (time.Time, error) {
	s, err := stepOf(week, name)
	if err != nil {
		return time.Time{}, err
	}
	for _, at := range slices.Backward(s.near(t, reach)) {
		if !at.After(t) {
			return at, nil
		}
	}
	return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.step", name, "does not occur in the weeks before %s", t.UTC().Format(time.RFC3339))
}

// Due is the step's last instant at or before now if it is later than since,
// the moment the step was last done; false when there is nothing to do.
func Due(week fleet.Week, name string, since, now time.Time) (time.Time, bool, error) {
	at, err := Last(week, name, now)
	return at, err == nil && at.After(since), err
}

// CycleOf is the cycle of a cut-off: its ISO week in the week's zone.
func CycleOf(week fleet.Week, cutOff time.Time) fleet.CycleID {
	loc, err := Zone(week.Zone)
	if err != nil {
		loc = time.UTC // validate refuses such a week; a name is still better than none
	}
	return fleet.CycleOf(cutOff.In(loc))
}

// CycleAt is the ordinary cycle that what happens at t goes into: that of the
// next cut-off, t itself included.
func CycleAt(week fleet.Week, t time.Time) (fleet.CycleID, error) {
	next, err := After(week, CutOff, t.Add(-time.Nanosecond))
	if err != nil {
		return "", err
	}
	return CycleOf(week, next), nil
}

// StepsOf are the instants of the week's steps for one cycle. The cut-off is
// the one in the ISO week the cycle is named after; detect is the last before
// it or at it; every other step is the first after it, and so may fall into
// the next ISO week. Lanes of a week have that week's steps. A step that would
// fall on a holiday moves if the week says so.
func StepsOf(week fleet.Week, id fleet.CycleID) (map[string]time.Time, error) {
	cutOff, err := cutOffOf(week, id)
	if err != nil {
		return nil, err
	}
	steps := map[string]time.Time{CutOff: cutOff}
	for _, name := range slices.Sorted(maps.Keys(week.Steps)) {
		switch name {
		case CutOff:
		case Detect:
			steps[name], err = Last(week, name, cutOff)
		default:
			steps[name], err = After(week, name, cutOff)
		}
		if err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// cutOffOf is the cut-off in the ISO week of a cycle's name.
func cutOffOf(week fleet.Week, id fleet.CycleID) (time.Time, error) {
	var year, number int
	if _, err := fmt.Sscanf(string(id), "%4d-W%2d", &year, &number); err != nil || !id.Valid() {
		return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.cycle", string(id), "is no name of a cycle such as 2026-W47")
	}
	s, err := stepOf(week, CutOff)
	if err != nil {
		return time.Time{}, err
	}
	// 4 January is in week 1 (ISO 8601); the week begins on Monday.
	first := Date{year, time.January, 4}
	monday := first.Add(7*(number-1) - (int(first.Weekday())+6)%7)
	date := monday.Add((int(s.day) + 6) % 7)
	if y, w := date.noon().ISOWeek(); y != year || w != number {
		return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.cycle", string(id), "%d has no week %d", year, number)
	}
	at, ok := s.on(date)
	if !ok {
		return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.cycle", string(id), "the cut-off at %s does not exist on %s: clocks skip it, and the week's rule skips it too",
			s.at, date.noon().Format(time.DateOnly))
	}
	return at, nil
}
