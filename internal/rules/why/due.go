package why

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func (p *pair) dueAt(at time.Time, what string, cycle fleet.CycleID, wave string) {
	d := Due{At: at.UTC(), What: what, Cycle: cycle, Wave: wave}
	if !slices.Contains(p.out.Due, d) {
		p.out.Due = append(p.out.Due, d)
	}
}

// due lists what happens to the pair: what is to be done now, what the cycle
// waits for, and the dates of its waves and of what keeps it back.
func (p *pair) due(c *rollout.CycleState, actions []rollout.Action, now time.Time) {
	for _, a := range actions {
		if p.touches(a) {
			p.dueAt(now, a.Kind+": "+a.Why, a.Cycle, a.Wave)
		}
	}
	later := func(at time.Time, what, wave string) {
		if at.After(now) {
			p.dueAt(at, what, p.out.Next.Cycle, wave)
		}
	}
	for _, w := range p.out.Next.Waves {
		if w.Devices > 0 {
			later(w.NotBefore, "devices of the wave may begin", w.Wave)
			later(w.Deadline, "devices of the wave must have it", w.Wave)
		}
		if state := waveOf(c, w.Wave); state != nil && state.Start != nil && w.Devices > 0 {
			for _, look := range state.Wave.Gate.Looks {
				later(state.Began().Add(look.Std()), "the gate looks", w.Wave)
			}
			later(state.Began().Add(state.Wave.Soak.Std()), "the wave has soaked", w.Wave)
		}
	}
	for _, k := range p.out.Kept {
		switch k.Kind {
		case Pin, OptOut, Hold, Freeze:
			later(k.Until, k.Kind+" "+k.Name+" ends", "")
		case "wait", "call":
			later(k.Until, "no longer: "+k.Why, k.Wave)
		}
	}
	slices.SortStableFunc(p.out.Due, func(a, b Due) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What), cmp.Compare(a.Wave, b.Wave))
	})
}

func waveOf(c *rollout.CycleState, name string) *rollout.WaveState {
	if c == nil {
		return nil
	}
	return c.Wave(name)
}

// touches reports whether an action changes something about the pair: it is
// about the package or all, about the tenant or all, and in the cycle of the
// next release if in any.
func (p *pair) touches(a rollout.Action) bool {
	tenant := a.Tenant == "" || a.Tenant == p.tenant.ID
	pkg := len(a.Packages) == 0 || slices.Contains(a.Packages, p.pkg.ID)
	own := a.Tenant != "" && len(a.Packages) > 0
	return tenant && pkg && (own || a.Cycle == "" || a.Cycle == p.out.Next.Cycle)
}
