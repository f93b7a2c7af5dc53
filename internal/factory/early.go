package factory

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// early takes out the effects on packages whose console knows no start and whose
// time has not come, and says when it does: an approval for Windows Update, or a
// configuration, would be obeyed ahead of time if it were given ahead of time. What
// stops and goes back is never early. Of apps without a start the plan's rows tell
// (rollout.TimingOf).
func (c *campaign) early(effects []rollout.Effect) (rest []rollout.Effect, until map[rollout.Slot]time.Time, err error) {
	until = map[rollout.Slot]time.Time{}
	now := c.Clock.Now()
	for _, e := range effects {
		var at time.Time
		if pkg := c.facts.Repo.Packages[e.Package]; pkg.ByWindowsUpdate() || setAtOnce(pkg) {
			if at, err = startOf(c.facts.Repo, e, now); err != nil {
				return nil, nil, err
			}
		}
		if at.After(now) {
			until[e.Slot()] = at
			continue
		}
		rest = append(rest, e)
	}
	return rest, until, nil
}

// startOf is when an effect's devices may begin.
func startOf(repo *fleet.Repository, e rollout.Effect, now time.Time) (time.Time, error) {
	tenant := repo.Tenants[e.Tenant]
	switch {
	case e.Action == "promote":
		return rollout.Soonest(repo.Week, tenant, now)
	case e.Action != "assign":
		return time.Time{}, nil
	case !e.Local:
		return e.Opens, nil
	}
	zone, err := time.LoadLocation(tenant.Zone)
	if err != nil {
		return time.Time{}, fleet.Errorf(fleet.Invalid, "factory.effect", string(e.Tenant), "%w", err)
	}
	return rollout.InstantOf(e.Opens, zone), nil
}

// setAtOnce reports whether a package has a setting that is in force from the
// next check-in after its assignment: consoles know no start of these. What is
// installed by scripts has one, as an app.
func setAtOnce(pkg fleet.Package) bool {
	for _, s := range pkg.Settings {
		if s.Console() != "" {
			return true
		}
	}
	return false
}

// tooEarly is the wait for those packages of an action whose time has not come, in
// the action's order; it has none where all of them have.
func (u *undone) tooEarly(a rollout.Action) rollout.Wait {
	w := rollout.Wait{
		Cycle: a.Cycle, Wave: a.Wave, Tenants: []fleet.TenantID{a.Tenant}, Kind: fleet.Waiting,
		Why: "devices obey it as soon as it is given, and the console knows no start for it: the first run after its time gives it",
	}
	for _, id := range a.Packages {
		if until, is := u.early[rollout.Slot{Tenant: a.Tenant, Package: id}]; is {
			w.Packages = append(w.Packages, id)
			if until.After(w.Until) {
				w.Until = until
			}
		}
	}
	return w
}
