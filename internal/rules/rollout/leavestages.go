package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// stage is how long uninstalls that have begun are lived with before more begin.
const stage = 24 * time.Hour

// A tally counts uninstalls: of one package on all tenants, or of all packages on
// one tenant.
type tally struct {
	before int       // carried out, and begun before the last stage
	now    int       // begun within it
	since  time.Time // the first of these
}

// full reports whether no more may begin: as many as were taken before, and a few
// where that was less. So a word that was said for hundreds by mistake reaches few
// before somebody is told of it, and each stage is no larger than what people have
// lived with.
func (t *tally) full() bool { return t.now >= max(leaveFew, t.before) }

func (t *tally) begin(at time.Time) {
	if t.now == 0 || at.Before(t.since) {
		t.since = at
	}
	t.now++
}

// staged makes uninstalls wait that are too many at once. Those that have begun go
// on, however often they have to be tried.
func staged(repo *fleet.Repository, x *index, list []Leaving, now time.Time) {
	packages, tenants := map[fleet.PackageID]*tally{}, map[fleet.TenantID]*tally{}
	of := func(at slot) (p, t *tally) {
		if packages[at.pkg] == nil {
			packages[at.pkg] = &tally{}
		}
		if tenants[at.tenant] == nil {
			tenants[at.tenant] = &tally{}
		}
		return packages[at.pkg], tenants[at.tenant]
	}
	if !slices.ContainsFunc(list, func(l Leaving) bool { return l.Action == LeaveUninstall && l.Waits == "" }) {
		return
	}
	for at, traces := range x.slots {
		first, done := uninstalls(traces)
		if first.IsZero() {
			continue
		}
		p, t := of(at)
		switch {
		case now.Sub(first) < stage:
			p.begin(first)
			t.begin(first)
		case done && uninstalled(repo, at):
			p.before++
			t.before++
		}
	}
	for i := range list {
		l := &list[i]
		at := slot{l.Tenant, l.Package}
		if first, _ := uninstalls(x.slots[at]); l.Action != LeaveUninstall || l.Waits != "" || !first.IsZero() {
			continue
		}
		p, t := of(at)
		switch {
		case p.full():
			l.kind, l.Until = fleet.Waiting, p.since.Add(stage)
			l.Waits = fmt.Sprintf("%d other tenants lose it within a day, and more follow after that", p.now)
		case t.full():
			l.kind, l.Until = fleet.Waiting, t.since.Add(stage)
			l.Waits = fmt.Sprintf("the tenant loses %d other packages within a day, and more follow after that", t.now)
		default:
			p.begin(now)
			t.begin(now)
		}
	}
}

// uninstalls are when the uninstall of what a slot has began, zero for never, and
// whether it was carried out. What anything but a withdrawal has followed is over.
func uninstalls(traces []trace) (first time.Time, done bool) {
	is := func(t trace) bool { return t.Action == LeaveUninstall }
	over := newest(traces, func(t trace) bool { return !is(t) && t.Action != "withdraw" })
	for _, t := range traces {
		if !is(t) || t.Generation <= over {
			continue
		}
		if first.IsZero() || t.At.Before(first) {
			first = t.At
		}
		done = done || t.done
	}
	return first, done
}

// uninstalled reports whether main takes a package from a tenant's devices.
func uninstalled(repo *fleet.Repository, at slot) bool {
	t := repo.Tenants[at.tenant]
	_, wanted := t.Packages[at.pkg]
	return wanted && t.Leave[at.pkg] == LeaveUninstall
}
