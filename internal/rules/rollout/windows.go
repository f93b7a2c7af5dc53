package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// windows are a tenant's windows for installations, read with its zone and its
// days off. A tenant that has none may install at any time.
type windows struct {
	zone  string
	days  calendar.Days
	open  []fleet.Window // sorted by name
	names []string       // of these

	from, until time.Time // between which openings are listed
	listed      []listed  // by their beginning
}

// windowsOf are a tenant's windows for installations; those for reboots alone
// are none. The error names what cannot be read.
func windowsOf(week fleet.Week, t fleet.Tenant) (windows, error) {
	w := windows{zone: t.Zone}
	for _, name := range slices.Sorted(maps.Keys(t.Windows)) {
		window := t.Windows[name]
		if !slices.Contains(window.For, "install") {
			continue
		}
		w.open, w.names = append(w.open, window), append(w.names, name)
		if err := calendar.CheckWindow(window, t.Zone); err != nil {
			return w, fmt.Errorf("its window %s cannot be read: %w", name, err)
		}
	}
	var err error
	if w.days, err = calendar.TenantDays(week, t); err != nil {
		return w, fmt.Errorf("its holidays cannot be read: %w", err)
	}
	return w, nil
}

// restricted reports whether the tenant has windows at all.
func (w windows) restricted() bool { return len(w.open) > 0 }

// at is the opening that holds t, the one that lasts longest of several.
func (w windows) at(t time.Time) (calendar.Span, bool) {
	var best calendar.Span
	for _, window := range w.open {
		if span, ok, err := calendar.InWindow(window, w.zone, w.days, t); err == nil && ok && span.Until.After(best.Until) {
			best = span
		}
	}
	return best, !best.Until.IsZero()
}

// next is the opening that holds t, or else the first after it; false when
// there is none within three weeks.
func (w windows) next(t time.Time) (calendar.Span, bool) {
	if span, ok := w.known(t); ok {
		return span, true
	}
	if span, ok := w.at(t); ok {
		return span, true
	}
	var best calendar.Span
	for _, window := range w.open {
		span, ok, err := calendar.NextWindow(window, w.zone, w.days, t)
		if err == nil && ok && (best.From.IsZero() || span.From.Before(best.From)) {
			best = span
		}
	}
	return best, !best.From.IsZero()
}

// Soonest is when a tenant may be made to install at the earliest, from an
// instant on: the beginning of its next window for installations; the zero time
// where that is at once, in an open window or without any. It is Stalled where
// no window opens within three weeks.
func Soonest(week fleet.Week, t fleet.Tenant, at time.Time) (time.Time, error) {
	w, err := windowsOf(week, t)
	if err != nil {
		return time.Time{}, fleet.Errorf(fleet.Invalid, "rollout.window", string(t.ID), "%w", err)
	}
	if !w.restricted() {
		return time.Time{}, nil
	}
	span, ok := w.next(at)
	switch {
	case !ok:
		return time.Time{}, fleet.Errorf(fleet.Stalled, "rollout.window", string(t.ID), "none of its windows opens within three weeks of %s", stamp(at))
	case span.Holds(at):
		return time.Time{}, nil
	}
	return span.From.UTC(), nil
}

// A stay is when a tenant takes what a wave brings: from its opening, moved
// into the tenant's next window; until is that window's end, the zero time for
// a tenant without windows. What a device is made to do at its deadline must
// not happen outside a window either.
type stay struct {
	opens, until time.Time
	zone         *time.Location // whose clocks a reading of them is of
	why          string         // there is none
}

// stay is when a tenant takes the planner's wave. A wave that opens at each
// tenant's own time opens for it when its clocks show what the week's showed.
func (p planner) stay(t fleet.Tenant) stay {
	s := stay{opens: p.opens, zone: p.zone}
	w, err := windowsOf(p.repo.Week, t)
	if err != nil {
		s.why = err.Error()
		return s
	}
	if !w.restricted() {
		return s
	}
	if p.wave.Opens.Zone == "tenant" {
		if s.zone, err = calendar.Zone(t.Zone); err != nil {
			s.why = err.Error()
			return s
		}
		s.opens = localInstant(p.opens, p.zone, s.zone)
	}
	span, ok := w.next(s.opens)
	for ok && p.wave.Opens.Zone == "tenant" {
		if from := told(later(s.opens, span.From), s.zone); from.Before(span.Until) {
			span.From = from
			break
		}
		span, ok = w.next(span.Until)
	}
	if !ok {
		s.why = "no window for installations within three weeks"
		return s
	}
	s.opens, s.until = later(s.opens, span.From).UTC(), span.Until.UTC()
	return s
}

// told is the first instant from at on whose reading a device cannot take for
// an earlier one: a start in local time is carried as what clocks show, and in
// the night they go back that may be there twice.
func told(at time.Time, zone *time.Location) time.Time {
	if !InstantOf(reading(at, zone), zone).Before(at.Truncate(time.Second)) {
		return at
	}
	change, _ := at.In(zone).ZoneBounds()
	_, before := change.Add(-time.Second).In(zone).Zone()
	_, after := change.In(zone).Zone()
	return change.Add(time.Duration(before-after) * time.Second)
}

// localInstant is when clocks in one zone show what those of another show at
// t: the end of the gap where they skip it, since a device must be told some
// time.
func localInstant(t time.Time, from, to *time.Location) time.Time {
	return InstantOf(reading(t, from), to)
}

// InstantOf is when clocks in a zone show a reading that is carried as if it
// were UTC, as a plan's row in local time has it: the end of the gap where they
// skip it, the first time where they show it twice. That is how devices take it,
// whatever the week's rule for its steps is.
func InstantOf(reading time.Time, zone *time.Location) time.Time {
	at, ok := calendar.Instant(zone, calendar.DateOf(reading.UTC()), reading.UTC().Format("15:04"), fleet.DSTRule{Gap: "later", Fold: "first"})
	if !ok {
		return reading // no zone skips a date for ever: not reached
	}
	return at.Add(time.Duration(reading.Second()) * time.Second)
}
