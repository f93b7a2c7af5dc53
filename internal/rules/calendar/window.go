package calendar

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Span is one opening of a window, From included, Until not.
type Span struct{ From, Until time.Time }

// Holds reports whether t lies in the span.
func (s Span) Holds(t time.Time) bool { return !t.Before(s.From) && t.Before(s.Until) }

// InWindow is the opening of w, in a tenant's zone, that holds t; false when
// the window is shut at t. On names the days it begins on; until at or before
// from runs past midnight. A window that is shut on holidays does not begin on
// them, by the tenant's days; one that began the evening before runs to its
// end.
//
// Each edge is an instant of its own, by the window's rule for the days clocks
// change; its default is that an edge which is skipped is at the end of the gap
// and one which is there twice is the first. So a window never begins before
// its time and never ends later than its clock first shows; in between lies the
// time that passes, an hour more or less in such a night.
func InWindow(w fleet.Window, zone string, days Days, t time.Time) (Span, bool, error) {
	spans, err := openings(w, zone, days, t)
	if err != nil {
		return Span{}, false, err
	}
	i := slices.IndexFunc(spans, func(s Span) bool { return s.Holds(t) })
	if i < 0 {
		return Span{}, false, nil
	}
	return spans[i], true, nil
}

// NextWindow is the opening that holds t, or else the first after it; false
// when the window does not open within three weeks.
func NextWindow(w fleet.Window, zone string, days Days, t time.Time) (Span, bool, error) {
	spans, err := openings(w, zone, days, t)
	if err != nil {
		return Span{}, false, err
	}
	i := slices.IndexFunc(spans, func(s Span) bool { return t.Before(s.Until) })
	if i < 0 {
		return Span{}, false, nil
	}
	return spans[i], true, nil
}

// CheckWindow says what is wrong with a window's days, clocks or zone.
func CheckWindow(w fleet.Window, zone string) error {
	if _, err := Zone(zone); err != nil {
		return err
	}
	_, _, _, err := edges(w)
	return err
}

// openings lists a window's spans around t, in order. An opening that a change
// of clocks leaves no time of is none.
func openings(w fleet.Window, zone string, days Days, t time.Time) ([]Span, error) {
	loc, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	from, until, weekdays, err := edges(w)
	if err != nil {
		return nil, err
	}
	var out []Span
	today := DateOf(t.In(loc))
	for n := -3; n <= 7*reach; n++ {
		date := today.Add(n)
		if !slices.Contains(weekdays, date.Weekday()) || w.Holidays == "shut" && days.Holiday(date) != "" {
			continue
		}
		end := date
		if until <= from {
			end = date.Add(1)
		}
		a, okA := Instant(loc, date, w.From, w.DST)
		b, okB := Instant(loc, end, w.Until, w.DST)
		if okA && okB && a.Before(b) {
			out = append(out, Span{a, b})
		}
	}
	return out, nil
}

// edges are a window's clocks in minutes and its days.
func edges(w fleet.Window) (from, until int, days []time.Weekday, err error) {
	for _, c := range []struct {
		clock string
		into  *int
	}{{w.From, &from}, {w.Until, &until}} {
		h, m, err := ParseClock(c.clock)
		if err != nil {
			return 0, 0, nil, fleet.Errorf(fleet.Invalid, "calendar.window", c.clock, "%w", err)
		}
		*c.into = h*60 + m
	}
	for _, name := range w.On {
		day, err := ParseWeekday(name)
		if err != nil {
			return 0, 0, nil, fleet.Errorf(fleet.Invalid, "calendar.window", name, "%w", err)
		}
		days = append(days, day)
	}
	return from, until, days, nil
}
