package factory

import (
	"context"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// inactiveFor is how long before a wave began a device may have been seen for
// the last time and still be compared with: waves take none that is older.
const inactiveFor = 14 * 24 * time.Hour

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
	g := &controlGroup{f: f, facts: facts, action: a, taken: map[string]bool{}, tenants: map[fleet.TenantID]*deck{}}
	for _, s := range facts.Record.Starts {
		if s.Cycle != a.Cycle {
			continue
		}
		if s.Wave == a.Wave {
			g.since = s.At
			if s.Opens.After(s.At) {
				g.since = s.Opens
			}
		}
		for _, m := range rollout.Frozen(facts.Record, s) {
			for _, d := range m.Devices {
				g.taken[string(m.Tenant)+"/"+d] = true
			}
		}
	}
	return g
}

// compared is the verdict on inputs, with a control group where one could make
// a difference: it can excuse silence and failures, and nothing else. What
// passes without it passes.
func (g *controlGroup) compared(ctx context.Context, in gate.Inputs) (fleet.Verdict, error) {
	v := gate.Decide(in)
	silence := v.Decision == gate.Inconclusive && v.Counts.Silent > 0 && in.Gate.Silent == "failed" && in.Look >= in.Gate.ReportDeadline
	if v.Decision != gate.Fail && !silence {
		return v, nil
	}
	for _, t := range g.waiting(in.Package) {
		c, err := g.count(ctx, t, in.Package, v.Decision == gate.Fail)
		if err != nil {
			return v, err
		}
		in.Control.N, in.Control.Failed, in.Control.Silent = in.Control.N+c.N, in.Control.Failed+c.Failed, in.Control.Silent+c.Silent
	}
	return gate.Decide(in), nil
}

// waiting are the tenants, sorted, that a wave which has not started brings a
// package to.
func (g *controlGroup) waiting(id fleet.PackageID) []fleet.TenantID {
	var out []fleet.TenantID
	for _, plan := range g.facts.Plans[g.action.Cycle] {
		for _, row := range plan.Rows {
			if _, present := g.facts.Repo.Tenants[row.Tenant]; present && row.Package == id {
				out = append(out, row.Tenant)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
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
	d := &deck{console: console, devices: map[string]fleet.Device{}}
	for hash, device := range all {
		if !g.taken[string(t)+"/"+hash] && !device.LastSeen.Before(g.since.Add(-inactiveFor)) {
			d.devices[device.ID] = device
		}
	}
	g.tenants[t] = d
	return d
}
