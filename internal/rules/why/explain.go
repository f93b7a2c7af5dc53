package why

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Explain tells what one package is on one tenant at now, and everything that
// decides about it. The tenant and the package must be on main. Rules have no
// positions and no decisions yet: see Locate and Decide.
func Explain(f rollout.Facts, tenant fleet.TenantID, id fleet.PackageID, now time.Time) (Explanation, error) {
	out := Explanation{Tenant: tenant, Package: id, At: now.UTC(), Main: f.Repo.Commit}
	p := &pair{facts: f, tenant: f.Repo.Tenants[tenant], pkg: f.Repo.Packages[id], out: &out}
	cycles, err := rollout.Derive(f, now)
	if err != nil {
		return out, err
	}
	actions, waits, err := steps(f, now)
	if err != nil {
		return out, err
	}
	p.slots()
	cycle, err := p.next(cycles, now)
	if err != nil {
		return out, err
	}
	if n := len(f.Unrecorded); n > 0 {
		p.keep(Keeper{Kind: "wait", Why: "merges that evidence has no record of yet; approvals count once they are recorded", Command: "packmill run"})
	}
	if err := p.kept(cycle, waits, now); err != nil {
		return out, err
	}
	p.rules(cycle, now)
	p.due(cycle, actions, now)
	return out, nil
}

// steps is what is due and what waits, beyond recording merges: that comes
// first, and says nothing of what follows.
func steps(f rollout.Facts, now time.Time) ([]rollout.Action, []rollout.Wait, error) {
	actions, waits, err := rollout.Step(f, now)
	if err != nil || len(f.Unrecorded) == 0 {
		return actions, waits, err
	}
	recorded := f
	recorded.Unrecorded = nil
	rest, waits, err := rollout.Step(recorded, now)
	return append(actions[:1:1], rest...), waits, err
}
