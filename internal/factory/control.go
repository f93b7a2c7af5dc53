package factory

import (
	"context"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A controlGroup is the devices of waves that have not opened: they live
// through the same days without the release. Consoles are asked only when an
// answer could change a verdict, and each tenant once a look.
type controlGroup struct {
	f       *Factory
	facts   rollout.Facts
	action  rollout.Action
	since   time.Time                // the wave began
	taken   map[string]bool          // "tenant/device": member of a started wave of the cycle
	tenants map[fleet.TenantID]*deck // asked already
}

// A deck is the control devices of one tenant, by console id; nil when the
// tenant could not be asked.
type deck struct {
	console Console
	devices map[string]fleet.Device
}

func (f *Factory) control(facts rollout.Facts, a rollout.Action) *controlGroup {
	g := &controlGroup{f: f, facts: facts, action: a, tenants: map[fleet.TenantID]*deck{}}
	g.taken, g.since = rollout.Taken(facts.Record, a.Cycle, a.Wave)
	return g
}

// compared is the verdict on inputs, with the control group where that could
// make a difference.
func (g *controlGroup) compared(ctx context.Context, in gate.Inputs) (fleet.Verdict, error) {
	return rollout.Compared(in, func(failures bool) (sum fleet.Control, err error) {
		for _, t := range rollout.Waiting(g.facts, g.action.Cycle, in.Package) {
			c, err := g.count(ctx, t, in.Package, failures)
			if err != nil {
				return sum, err
			}
			sum = fleet.Control{N: sum.N + c.N, Failed: sum.Failed + c.Failed, Silent: sum.Silent + c.Silent}
		}
		return sum, nil
	})
}

// count counts one tenant's control devices that the package has something for:
// those not seen since the wave began are silent, those whose installation of
// what they have failed since then failed. A tenant that cannot be asked has
// none: it proves nothing.
func (g *controlGroup) count(ctx context.Context, t fleet.TenantID, id fleet.PackageID, failures bool) (fleet.Control, error) {
	d := g.deck(ctx, t)
	if ctx.Err() != nil || d == nil {
		return fleet.Control{}, ctx.Err()
	}
	failed := map[string]bool{}
	if failures {
		statuses, err := d.console.Statuses(ctx, id, fleet.Stable)
		if err != nil {
			return fleet.Control{}, ctx.Err()
		}
		for _, s := range statuses {
			failed[s.Device] = s.State == "failed" && !s.At.Before(g.since)
		}
	}
	var c fleet.Control
	for console, device := range d.devices {
		switch {
		case !rollout.Serves(g.facts.Repo.Packages[id], device.Platform):
			continue
		case device.LastSeen.Before(g.since):
			c.Silent++
		case failed[console]:
			c.Failed++
		}
		c.N++
	}
	return c, nil
}

// deck reads a tenant's control devices, once.
func (g *controlGroup) deck(ctx context.Context, t fleet.TenantID) *deck {
	if d, known := g.tenants[t]; known {
		return d
	}
	g.tenants[t] = nil
	tenant := g.facts.Repo.Tenants[t]
	console, err := g.f.Consoles(ctx, tenant)
	if err != nil {
		return nil
	}
	all, err := g.f.devices(ctx, tenant)
	if err != nil {
		return nil
	}
	d := &deck{console: byKind{console, g.facts.Repo}, devices: map[string]fleet.Device{}}
	for hash, device := range all {
		if device.Attributes[fleet.AppsOwner] == fleet.ConfigurationManager {
			continue // reports nothing of what the console offers
		}
		if !g.taken[string(t)+"/"+hash] && !device.LastSeen.Before(g.since.Add(-rollout.InactiveFor)) {
			d.devices[device.ID] = device
		}
	}
	g.tenants[t] = d
	return d
}
