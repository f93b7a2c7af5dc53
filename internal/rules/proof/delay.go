package proof

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
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
	installs := p.installs(t, m)
	for _, ready := range p.ready(installs.Ends(), m) {
		steps := p.run(ready, m)
		for _, i := range waves {
			if i >= len(steps) {
				continue // the wave's step does not come within the horizon
			}
			s := steps[i]
			in, done := p.install(installs, p.waves[i], s.opens, p.grace(t.Policy))
			if took := done.Sub(ready.at); took > d.took {
				d = delay{took, ready.at, i, in.Opens, done, s.freeze, in.Window}
				if s.began.After(s.opens) && in.Opens.Equal(s.opens) {
					d.began = s.began
				}
				if in.Freeze != "" {
					d.freeze = in.Freeze
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
func (p *feasibility) ready(ends []time.Time, m mode) []readiness {
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
	for _, end := range ends {
		shuts(end)
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
	opens  time.Time // whatever freezes say
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
		s.opens = s.began
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

// installs are a tenant's times to install from now to well past the horizon.
// What of it cannot be read is for validation to tell: here it restricts
// nothing.
func (p *feasibility) installs(t fleet.Tenant, m mode) rollout.Installs {
	repo := *p.repo
	if m != everything {
		repo.Freezes = nil
	}
	if m == withoutWindows {
		t.Windows = nil
	}
	id := calendar.CycleOf(p.repo.Week, p.now.Add(2*horizon)) // one that overrides nothing yet
	if p.lane != fleet.LaneWeek {
		id += fleet.CycleID("-" + p.lane + "-01")
	}
	out, err := rollout.NewInstalls(&repo, id, t, p.security, p.now, p.now.Add(2*horizon))
	if err != nil {
		t.Windows, t.Holidays, repo.Week.Holidays = nil, nil, nil
		out, _ = rollout.NewInstalls(&repo, id, t, p.security, p.now, p.now)
	}
	return out
}

// install is when the last device of a wave has installed at the latest: the
// end of the tenant's window. Without windows devices install when they may,
// but for the grace that one has which was reached late.
func (p *feasibility) install(installs rollout.Installs, w fleet.Wave, opens time.Time, grace time.Duration) (rollout.Install, time.Time) {
	in, err := installs.Of(w, opens)
	switch {
	case err != nil:
		in.Opens, in.Window = opens, "" // not within what is looked at
		return in, p.now.Add(2 * horizon)
	case in.Window == "":
		return in, in.From.Add(grace)
	}
	return in, in.Until
}
