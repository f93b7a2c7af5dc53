package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// A timetable is when one tenant may install what one wave of a cycle brings.
type timetable struct {
	repo     *fleet.Repository
	lane     bool        // the cycle travels outside the week
	cycle    fleet.Cycle // which may pass freezes
	wave     fleet.Wave
	windows  windows
	zone     *time.Location // the tenant's
	security bool           // what freezes of other releases let through
	length   time.Duration  // of an opening, for a tenant without windows
}

func newTimetable(repo *fleet.Repository, id fleet.CycleID, wave fleet.Wave, t fleet.Tenant, security bool, length time.Duration) (timetable, error) {
	b := timetable{repo: repo, lane: id.Lane() != fleet.LaneWeek, cycle: repo.Cycles[id], wave: wave, security: security, length: length}
	var err error
	if b.windows, err = windowsOf(repo.Week, t); err != nil {
		return b, err
	}
	b.zone, err = calendar.Zone(t.Zone)
	if err != nil && !b.windows.restricted() && wave.Opens.Zone != "tenant" {
		b.zone, err = time.UTC, nil // nothing is read on its clocks
	}
	return b, err
}

// maxOpenings bounds how many openings are looked through for one that no
// freeze stands against: three weeks have at most three a day.
const maxOpenings = 64

// next is the first opening that lasts beyond t: the tenant's next window, or
// the next time of the wave's step where it has none. No part of it is frozen:
// it begins where a freeze ends and ends where one begins. It is false when
// there is none within the calendar's reach.
func (b timetable) next(t time.Time) (calendar.Span, bool) {
	for range maxOpenings {
		span, ok := b.opening(t)
		if !ok {
			return span, false
		}
		free, ok := b.unfrozen(span, t)
		if ok && b.windows.restricted() && b.wave.Opens.Zone == "tenant" {
			free.From = told(free.From, b.zone)
			ok = free.From.Before(free.Until)
		}
		if ok {
			return free, true
		}
		if t = span.Until; !b.windows.restricted() {
			t = b.thawed(span.From)
		}
	}
	return calendar.Span{}, false
}

// opening is the opening that lasts beyond t, whatever freezes say.
func (b timetable) opening(t time.Time) (calendar.Span, bool) {
	if b.windows.restricted() {
		return b.windows.next(t)
	}
	at, ok := b.step(t)
	return calendar.Span{From: at, Until: at.Add(max(b.length, time.Nanosecond))}, ok
}

// step is the wave's step at or after t, for the tenant. A lane leaves the
// rhythm of the week: it has no steps, and any time is as good as another.
func (b timetable) step(t time.Time) (time.Time, bool) {
	if b.lane {
		return t, true
	}
	local := b.wave.Opens.Zone == "tenant"
	from := t.Add(-time.Nanosecond)
	if local {
		from = from.Add(-26 * time.Hour) // zones lie at most that far apart
	}
	for {
		at, err := calendar.After(b.repo.Week, b.wave.Opens.Step, from)
		if err != nil {
			return time.Time{}, false
		}
		from = at
		if local {
			week, err := calendar.Zone(b.repo.Week.Zone)
			if err != nil {
				return time.Time{}, false
			}
			at = localInstant(at, week, b.zone)
		}
		if !at.Before(t) {
			return at, true
		}
	}
}

// unfrozen is the part of an opening that no freeze takes away: the first that
// lasts beyond t. A tenant without windows has no part of an opening: it begins
// with its step or not at all.
func (b timetable) unfrozen(span calendar.Span, t time.Time) (calendar.Span, bool) {
	for at := span.From; at.Before(span.Until); {
		name := b.frozen(at)
		if name != "" && !b.windows.restricted() {
			return span, false
		}
		if name != "" {
			at = b.repo.Freezes[name].Until
			continue
		}
		end := b.freezes(at, span.Until)
		if end.After(t) {
			return calendar.Span{From: at, Until: end}, true
		}
		at = end
	}
	return span, false
}

// frozen is the freeze that stops the cycle at an instant, "" for none.
func (b timetable) frozen(t time.Time) string { return freezeOn(b.repo, b.cycle, t, b.security) }

// freezes is when the first freeze after an instant begins, at the latest the
// end that is given.
func (b timetable) freezes(from, end time.Time) time.Time {
	for name, f := range b.repo.Freezes {
		if (f.Scope == "all" || !b.security) && !overridden(b.cycle, name) && f.From.After(from) && f.From.Before(end) {
			end = f.From
		}
	}
	return end
}

// thawed is the first instant from t on at which nothing is frozen.
func (b timetable) thawed(t time.Time) time.Time {
	for {
		name := b.frozen(t)
		if name == "" {
			return t
		}
		t = b.repo.Freezes[name].Until
	}
}

// lastNamed is the last age that a gate names, without those that an undecided
// one may add.
func lastNamed(g fleet.Gate) fleet.Duration {
	if len(g.Looks) == 0 {
		return 0
	}
	return slices.Max(g.Looks)
}
