package proof

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/gate"
)

// A mode leaves out calendars, so as to tell which one is to blame.
type mode int

const (
	everything mode = iota
	withoutFreezes
	withoutWindows // nor freezes
)

// A delay is the longest that a fix takes to a tenant's last device, and the
// case in which it does.
type delay struct {
	took   time.Duration
	ready  time.Time // the fix
	wave   int       // that comes last
	began  time.Time // that wave
	done   time.Time // the last device
	freeze string    // that held it back, "" when none did
	window string    // that the tenant waited for, "" when it has none
}

// delay searches the horizon for the longest case. Between the instants at
// which something shuts, a fix that is ready later is through no later, so the
// longest begins at one of these.
func (p *feasibility) delay(t fleet.Tenant, waves []int, m mode) delay {
	key := p.calendarKey(t, waves, m)
	if d, known := p.worst[key]; known {
		return d
	}
	var d delay
	windows := p.windows(t, m)
	for _, ready := range p.ready(windows, m) {
		steps := p.run(ready, m)
		for _, i := range waves {
			if i >= len(steps) {
				continue // the wave's step does not come within the horizon
			}
			s := steps[i]
			began := s.began
			if p.waves[i].Opens.Zone == "tenant" {
				began = p.local(began, t)
			}
			done, window, freeze := p.install(windows, began, p.grace(t.Policy), m)
			if took := done.Sub(ready.at); took > d.took {
				d = delay{took, ready.at, i, began, done, s.freeze, window}
				if freeze != "" {
					d.freeze = freeze
				}
			}
		}
	}
	p.worst[key] = d
	return d
}

// A readiness is an instant at which a fix is ready, and the cut-off that it
// goes by.
type readiness struct{ at, cutOff time.Time }

// ready are the instants to try. In a lane the cut-off is that instant; in the
// week it is the next one, and the longest wait begins right after the last.
func (p *feasibility) ready(windows []opening, m mode) []readiness {
	end := p.now.Add(horizon)
	if p.lane == fleet.LaneWeek {
		var out []readiness
		for at := p.now; at.Before(end); {
			cutOff, err := calendar.After(p.repo.Week, calendar.CutOff, at)
			if err != nil {
				return out
			}
			out = append(out, readiness{at, cutOff})
			at = cutOff
		}
		return out
	}
	offsets := p.offsets()
	instants := []time.Time{p.now}
	shuts := func(t time.Time) {
		for _, o := range offsets {
			if at := t.Add(-o); at.After(p.now) && at.Before(end) {
				instants = append(instants, at)
			}
		}
	}
	for _, o := range windows {
		shuts(o.Until)
	}
	if m == everything {
		for _, name := range slices.Sorted(maps.Keys(p.repo.Freezes)) {
			shuts(p.repo.Freezes[name].From)
		}
	}
	slices.SortFunc(instants, time.Time.Compare)
	instants = slices.CompactFunc(instants, time.Time.Equal)
	out := make([]readiness, len(instants))
	for i, at := range instants {
		out[i] = readiness{at, at}
	}
	return out
}

// offsets are how long after the cut-off each wave of the lane begins when
// nothing holds it back.
func (p *feasibility) offsets() []time.Duration {
	out := make([]time.Duration, len(p.waves))
	for i, w := range p.waves {
		out[i] = w.Lanes[p.lane].After.Std()
		if i > 0 {
			out[i] = max(out[i], out[i-1]+bake(p.waves[i-1]))
		}
	}
	return out
}

// bake is how long a wave keeps the next one waiting at most: until it has
// soaked, and the gate has looked for the last time.
func bake(w fleet.Wave) time.Duration {
	d := w.Soak.Std()
	for _, look := range gate.Looks(w.Gate) { // those that an undecided last one may add, too
		d = max(d, look.Std())
	}
	return d
}

// A step is when a wave begins.
type step struct {
	began  time.Time
	freeze string // the last that held it or one before it back
}

// run is the timeline of a cycle: a wave begins when it opens, the one before
// has baked, and no freeze is in force.
func (p *feasibility) run(r readiness, m mode) []step {
	var out []step
	for i, w := range p.waves {
		at, ok := p.opens(r, w)
		if !ok {
			return out
		}
		s := step{began: at}
		if i > 0 {
			s.freeze = out[i-1].freeze
			if baked := out[i-1].began.Add(bake(p.waves[i-1])); baked.After(s.began) {
				s.began = baked
			}
		}
		if thawed, name := p.thaw(s.began, m); name != "" {
			s.began, s.freeze = thawed, name
		}
		out = append(out, s)
	}
	return out
}

// opens is when a wave would open for a fix; false when its step does not come.
func (p *feasibility) opens(r readiness, w fleet.Wave) (time.Time, bool) {
	if p.lane != fleet.LaneWeek {
		return r.cutOff.Add(w.Lanes[p.lane].After.Std()), true
	}
	at, err := calendar.Opens(p.repo.Week, calendar.CycleOf(p.repo.Week, r.cutOff), r.cutOff, w)
	return at, err == nil && !at.IsZero()
}

// thaw is the first instant from t on at which no freeze stops the release, and
// the last freeze that was waited for.
func (p *feasibility) thaw(t time.Time, m mode) (time.Time, string) {
	last := ""
	for m == everything {
		name := p.repo.Frozen(t, p.security)
		if name == "" || !p.repo.Freezes[name].Until.After(t) {
			break
		}
		last, t = name, p.repo.Freezes[name].Until
	}
	return t, last
}

// An opening is one opening of a window for installations.
type opening struct {
	calendar.Span
	name string
}

// windows are the openings of a tenant's windows for installations from now to
// well past the horizon, by their beginning; nil when it has no such window.
func (p *feasibility) windows(t fleet.Tenant, m mode) []opening {
	if m == withoutWindows {
		return nil
	}
	var out []opening
	end := p.now.Add(2 * horizon)
	days, err := calendar.TenantDays(p.repo.Week, t)
	if err != nil {
		return nil // for validation of the holidays to tell
	}
	for _, name := range slices.Sorted(maps.Keys(t.Windows)) {
		w := t.Windows[name]
		if !slices.Contains(w.For, "install") {
			continue
		}
		for at := p.now; at.Before(end); {
			span, ok, err := calendar.NextWindow(w, t.Zone, days, at)
			if err != nil || !ok {
				break // for validation of the window itself to tell
			}
			out = append(out, opening{span, name})
			at = span.Until
		}
	}
	slices.SortStableFunc(out, func(a, b opening) int { return a.From.Compare(b.From) })
	return out
}

// install is when the last device of a wave has installed at the latest: the
// end of the tenant's next window, in which no freeze is in force. Without
// windows devices install when the wave begins, but for the grace that one has
// which was reached late.
func (p *feasibility) install(windows []opening, began time.Time, grace time.Duration, m mode) (done time.Time, window, freeze string) {
	at, freeze := p.thaw(began, m)
	if len(windows) == 0 {
		return at.Add(grace), "", freeze
	}
	for _, o := range windows {
		if !at.Before(o.Until) {
			continue
		}
		start := at
		if o.From.After(start) {
			start = o.From
		}
		thawed, name := p.thaw(start, m)
		if thawed.Before(o.Until) {
			return o.Until, o.name, freeze
		}
		at, freeze = thawed, name
	}
	return p.now.Add(2 * horizon), windows[0].name, freeze // not within what was looked at
}

// local is when clocks in a tenant's zone show what the week's show at t.
func (p *feasibility) local(t time.Time, tenant fleet.Tenant) time.Time {
	at, ok, err := calendar.LocalTo(p.repo.Week, t, tenant.Zone)
	if err != nil || !ok {
		return t
	}
	return at
}
