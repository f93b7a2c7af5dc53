package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Installs are the times at which one tenant installs what the waves of a cycle
// bring, by the timetable that its assignments go by.
type Installs struct{ timetable }

// An Install is when a tenant installs what a wave brings.
type Install struct {
	Opens  time.Time // the wave, for the tenant
	From   time.Time // the first device installs
	Until  time.Time // the last one
	Window string    // of the tenant, "" when it has none
	Freeze string    // the last that moved it, "" when none did
}

// NewInstalls are a tenant's times in a cycle, which need not be there yet.
// security is whether its releases pass the freezes of others. Windows are read
// once for all that is asked between from and until. It is Invalid for windows,
// zones and holidays that cannot be read.
func NewInstalls(repo *fleet.Repository, id fleet.CycleID, t fleet.Tenant, security bool, from, until time.Time) (Installs, error) {
	b, err := newTimetable(repo, id, fleet.Wave{}, t, security, 0)
	if err != nil {
		return Installs{}, fleet.Errorf(fleet.Invalid, "rollout.installs", string(t.ID), "%w", err)
	}
	b.windows = b.windows.list(from, until)
	return Installs{b}, nil
}

// Ends are the instants, in order, at which a window for installations shuts,
// between those that were named when the windows were read.
func (n Installs) Ends() []time.Time {
	var out []time.Time
	for _, o := range n.windows.listed {
		out = append(out, o.Until)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// Of is when the tenant installs what a wave brings that opens at an instant,
// if every run comes in time and every device is reached: in its first window
// for installations that lasts beyond opens, or without windows from opens on
// for as long as the wave's gate looks. Freezes move that to the next window or
// to the next time of the wave's step, in a lane to their end, and cut it where
// one begins; those that the cycle overrides do not. It is Refused when the
// tenant cannot install at all within the calendar's reach; the freeze is told
// even then.
//
// It says nothing of deferrals, pins and the time that waves take before this
// one: opens is what comes of them.
func (n Installs) Of(wave fleet.Wave, opens time.Time) (Install, error) {
	b := n.timetable
	b.wave, b.length = wave, lastNamed(wave.Gate).Std()
	if wave.Opens.Zone == "tenant" {
		week, err := calendar.Zone(b.repo.Week.Zone)
		if err != nil {
			return Install{}, err
		}
		opens = localInstant(opens, week, b.zone)
	}
	span, ok := b.installs(opens)
	in := Install{Opens: opens.UTC(), From: span.From.UTC(), Until: span.Until.UTC()}
	if len(b.repo.Freezes) > 0 {
		in.Freeze = b.moved(opens, span, ok)
	}
	if !ok {
		return in, fleet.Errorf(fleet.Refused, "rollout.installs", wave.Name, "no time to install, outside freezes, within three weeks of %s", stamp(opens))
	}
	in.Window = b.windows.nameAt(span.From)
	return in, nil
}

// installs is the opening that a tenant takes, of those that last beyond opens.
func (b timetable) installs(opens time.Time) (calendar.Span, bool) {
	if thawed := b.thawed(opens); b.windows.restricted() {
		opens = thawed
	} else if thawed.Equal(opens) {
		return calendar.Span{From: opens, Until: b.freezes(opens, opens.Add(b.length))}, true
	}
	span, ok := b.next(opens)
	span.From = later(span.From, opens)
	return span, ok
}

// moved is the last freeze between opens and what came of it, "" when the same
// comes of it without freezes.
func (b timetable) moved(opens time.Time, span calendar.Span, ok bool) string {
	free := b
	free.repo = &fleet.Repository{Week: b.repo.Week}
	if was, there := free.installs(opens); there == ok && was.From.Equal(span.From) {
		return ""
	}
	last := ""
	for _, name := range slices.Sorted(maps.Keys(b.repo.Freezes)) {
		f := b.repo.Freezes[name]
		applies := (f.Scope == "all" || !b.security) && !overridden(b.cycle, name)
		if applies && f.Until.After(opens) && (!ok || !f.From.After(span.From)) && (last == "" || f.Until.After(b.repo.Freezes[last].Until)) {
			last = name
		}
	}
	return last
}

// A listed opening is one of a window that is known by its name.
type listed struct {
	calendar.Span
	name string
}

// reach is how far ahead of an instant openings are taken from the list: no
// farther than the calendar looks for the next one.
const reach = 20 * 24 * time.Hour

// list is the same windows with their openings from one instant to another read
// already.
func (w windows) list(from, until time.Time) windows {
	w.from, w.until = from, until
	for i, window := range w.open {
		for at := from; at.Before(until); {
			span, ok, err := calendar.NextWindow(window, w.zone, w.days, at)
			if err != nil || !ok {
				at = at.Add(reach)
				continue
			}
			w.listed = append(w.listed, listed{span, w.names[i]})
			at = span.Until
		}
	}
	slices.SortStableFunc(w.listed, func(a, b listed) int { return a.From.Compare(b.From) })
	return w
}

// longest is longer than any opening: from one day's clock to the next day's at
// most, in a night that clocks go back in.
const longest = 49 * time.Hour

// around are the listed openings from those that may hold t on; false where the
// list does not tell of t.
func (w windows) around(t time.Time) ([]listed, bool) {
	if t.Before(w.from) || !t.Before(w.until) {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(w.listed, t.Add(-longest), func(o listed, t time.Time) int { return o.From.Compare(t) })
	return w.listed[i:], true
}

// known is what next finds, where the list has it.
func (w windows) known(t time.Time) (calendar.Span, bool) {
	var open, next calendar.Span
	list, _ := w.around(t)
	for _, o := range list {
		if o.Holds(t) && o.Until.After(open.Until) {
			open = o.Span
		}
		if o.From.After(t) {
			next = o.Span
			break
		}
	}
	if !open.Until.IsZero() {
		return open, true
	}
	return next, !next.From.IsZero() && next.From.Sub(t) < reach
}

// nameAt is the window whose opening holds t, the one that lasts longest of
// several.
func (w windows) nameAt(t time.Time) string {
	name, until := "", time.Time{}
	list, known := w.around(t)
	for _, o := range list {
		if o.From.After(t) {
			break
		}
		if o.Holds(t) && o.Until.After(until) {
			name, until = o.name, o.Until
		}
	}
	if known {
		return name
	}
	for i, window := range w.open {
		if span, ok, err := calendar.InWindow(window, w.zone, w.days, t); err == nil && ok && span.Until.After(until) {
			name, until = w.names[i], span.Until
		}
	}
	return name
}
