package why

import (
	"maps"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An aspect is one thing about a tenant that can keep a release from it.
type aspect struct {
	kind    string
	name    func(p *pair) string
	restore func(now *fleet.Tenant, was fleet.Tenant, id fleet.PackageID) // into a tenant that lets everything through
}

// aspects are all of them. The planner names the first reason it finds; asked
// about a tenant that has one aspect alone, it names that.
func aspects() []aspect {
	ofPackage := func(p *pair) string { return string(p.pkg.ID) }
	named := func(name string) func(*pair) string { return func(*pair) string { return name } }
	return []aspect{
		{OptOut, ofPackage, func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) { now.Policy.OptOuts = was.Policy.OptOuts }},
		{Pin, ofPackage, func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) { now.Policy.Pins = was.Policy.Pins }},
		{Assignment, ofPackage, func(now *fleet.Tenant, was fleet.Tenant, id fleet.PackageID) { now.Packages[id] = was.Packages[id] }},
		{Bound, named("nonSecurity.deferDays"), func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) {
			now.Policy.NonSecurityDeferDays = was.Policy.NonSecurityDeferDays
		}},
		{Bound, named("approval"), func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) {
			now.Policy.Approval = was.Policy.Approval
		}},
		{Bound, named("reboot"), func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) { now.Policy.Reboot = was.Policy.Reboot }},
		{Window, named(""), func(now *fleet.Tenant, was fleet.Tenant, _ fleet.PackageID) { now.Windows = was.Windows }},
	}
}

// open is the tenant without anything that could keep the package from it.
func (p *pair) open() fleet.Tenant {
	t := p.tenant
	t.Policy.OptOuts, t.Policy.Pins, t.Policy.NonSecurityDeferDays = nil, nil, 0
	t.Policy.Approval, t.Policy.Reboot, t.Windows = "implicit", "anytime", nil
	t.Packages = maps.Clone(t.Packages)
	t.Packages[p.pkg.ID] = []fleet.Assignment{{Intent: "required", Group: "all devices", Notify: "showReboot"}}
	return t
}

// policies asks the planner about the tenant as it is and with each aspect
// alone, wave by wave, and notes every reason it gives.
func (p *pair) policies(c *rollout.CycleState) error {
	if len(p.tenant.Packages[p.pkg.ID]) == 0 {
		p.keep(Keeper{Kind: Assignment, Name: string(p.pkg.ID), Why: string(p.tenant.ID) + " does not have the package"})
		return nil
	}
	next := p.out.Next
	if next.Release == "" {
		return nil
	}
	cycle, travels := p.facts.Repo.Cycles[next.Cycle]
	if !travels {
		cycle = rollout.NewCycle(p.facts.Repo, p.facts.Record, next.Cycle, p.out.At, nil)
	}
	cycle.Entries = map[fleet.PackageID]fleet.Entry{p.pkg.ID: p.entry()}
	rec := *p.facts.Record
	rec.Inventory = p.devices(cycle.CutOff)
	// What keeps even a tenant back that lets everything through.
	if err := p.ask(p.open(), &rec, cycle, PackageRule, string(p.pkg.ID)); err != nil {
		return err
	}
	for _, a := range aspects() {
		t := p.open()
		a.restore(&t, p.tenant, p.pkg.ID)
		if err := p.ask(t, &rec, cycle, a.kind, a.name(p)); err != nil {
			return err
		}
	}
	// Whatever else the planner knows.
	if err := p.ask(p.tenant, &rec, cycle, "policy", ""); err != nil {
		return err
	}
	for _, w := range next.Waves {
		if started := c != nil && c.Wave(w.Wave) != nil && c.Wave(w.Wave).Start != nil; !started && w.Skipped != "" {
			p.keep(Keeper{Kind: "policy", Wave: w.Wave, Why: w.Skipped})
		}
	}
	return nil
}

// devices are the tenant's inventory, or one device that stands for it while
// none is known: what a policy says does not depend on it.
func (p *pair) devices(cutOff time.Time) []fleet.InventoryRow {
	var out []fleet.InventoryRow
	for _, r := range p.facts.Record.Inventory {
		if r.Tenant == p.tenant.ID {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		out = []fleet.InventoryRow{{Tenant: p.tenant.ID, Device: "any", Platform: "windows", LastSeen: cutOff.Format(time.DateOnly), At: cutOff}}
	}
	return out
}

// ask plans for one form of the tenant alone.
func (p *pair) ask(t fleet.Tenant, rec *fleet.Record, cycle fleet.Cycle, kind, name string) error {
	repo := *p.facts.Repo
	repo.Tenants, repo.Blobs = map[fleet.TenantID]fleet.Tenant{t.ID: t}, nil
	for _, wave := range cycle.Waves {
		plan, err := rollout.Plan(&repo, rec, p.out.Next.Cycle, cycle, wave)
		if err != nil {
			return err
		}
		for _, skip := range plan.Skipped {
			p.keep(Keeper{Kind: kind, Name: name, Wave: wave, Why: skip.Why, Until: p.ends(kind)})
		}
	}
	return nil
}

// ends is when a pin or an opt-out of the pair ends.
func (p *pair) ends(kind string) time.Time {
	switch kind {
	case Pin:
		return p.tenant.Policy.Pins[p.pkg.ID].Expires
	case OptOut:
		return p.tenant.Policy.OptOuts[p.pkg.ID].Expires
	}
	return time.Time{}
}
