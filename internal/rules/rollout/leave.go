package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// How a package leaves a tenant, as tenant.cue says it under leave.
const (
	LeaveUninstall = "uninstall" // while the package is under packages: devices lose it
	LeaveKeep      = "keep"      // once it is not: yes, take packmill's objects away
)

// Without a word for each, no more than this many packages are taken out of a
// tenant, or out of all tenants, by what main no longer names: a file that was
// emptied by mistake reads like one from which everything was taken on purpose.
const (
	leaveFew   = 3
	leaveShare = 0.2
)

// A Leaving is a package that evidence says packmill deployed on a tenant, and
// that the tenant's file on main takes from it.
type Leaving struct {
	Tenant  fleet.TenantID  `json:"tenant"`
	Package fleet.PackageID `json:"package"`
	Action  string          `json:"action"` // uninstall: devices lose it; remove: packmill's objects go, devices keep it
	Release string          `json:"release"`
	Why     string          `json:"why"`
	Waits   string          `json:"waits,omitempty"` // what it waits for, empty when it is due
	Until   time.Time       `json:"until,omitzero"`  // when that is over, zero if that is not known

	last trace // that brought the release
	kind fleet.Kind
}

// Leavings are the packages that are to leave a tenant and have not yet, by tenant
// and package. Nothing leaves by what is not known: main names the tenant, its
// connection and the package's own files, and evidence tells that the package was
// brought there.
func Leavings(f Facts, now time.Time) []Leaving {
	return leavings(f, newIndex(f.Record), now)
}

func leavings(f Facts, x *index, now time.Time) []Leaving {
	var out []Leaving
	held := map[fleet.TenantID]int{}
	for at, traces := range x.slots {
		t, known := f.Repo.Tenants[at.tenant]
		if !known || t.Intune == nil {
			continue // a tenant without a connection is never written to
		}
		last, brought := lastBrought(traces)
		if !brought {
			continue
		}
		held[at.tenant]++
		l := Leaving{Tenant: at.tenant, Package: at.pkg, Release: last.Release, last: last}
		_, wanted := t.Packages[at.pkg]
		switch {
		case !wanted:
			l.Action, l.Why = "remove", "it is no longer under packages in the tenant's file: its objects go, devices keep what they have"
		case t.Leave[at.pkg] == LeaveUninstall:
			l.Action, l.Why = "uninstall", "leave says uninstall: devices that it is assigned to lose it"
		default:
			continue
		}
		if l.await(f, x, at, now) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Leaving) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Package, b.Package))
	})
	bounded(f.Repo, out, held)
	staged(f.Repo, x, out, now)
	return out
}

// lastBrought is the newest trace by which a release came to a tenant: receipt or
// not, it may be there.
func lastBrought(traces []trace) (trace, bool) {
	var last trace
	brought := false
	for _, t := range traces {
		if t.Action != "assign" && t.Action != "promote" && t.Action != "rollback" {
			continue
		}
		if !brought || t.Generation >= last.Generation {
			last, brought = t, true
		}
	}
	return last, brought
}

// await says what a package's leaving waits for, and reports whether there is
// anything left to do.
func (l *Leaving) await(f Facts, x *index, at slot, now time.Time) bool {
	traces := x.slots[at]
	until := lease(traces, func(t trace) bool { return t.Action != l.Action && t.Action != "withdraw" })
	if carriedOut(traces, func(t trace) bool { return t.Action == l.Action }, until) {
		return false
	}
	failed := 0
	for _, r := range x.unmade[at] {
		if r.Action == l.Action && now.Sub(r.At) < 24*time.Hour {
			failed++
			l.Until = r.At.Add(24 * time.Hour)
		}
	}
	switch {
	case f.Repo.Packages[at.pkg].ID == "":
		l.kind, l.Waits, l.Until = fleet.Stalled, "main has no package of this id: put its files back below "+at.pkg.Dir()+" until it has left every tenant", time.Time{}
	case halted(f.Repo, at.pkg, l.last, now) != "":
		l.kind, l.Waits, l.Until = fleet.Waiting, halted(f.Repo, at.pkg, l.last, now), time.Time{}
	case !now.After(until):
		l.kind, l.Waits, l.Until = fleet.Waiting, "a call may still be under way there", until
	case failed >= maxWays:
		l.kind, l.Waits = fleet.Stalled, fmt.Sprintf("it failed %d times within a day; a person must act, and it is tried again after that", failed)
	default:
		l.Until = time.Time{}
	}
	return true
}

// halted is what keeps a tenant's objects of a package as they are, "" for nothing:
// a hold of the release that was brought there, or a freeze of everything.
func halted(repo *fleet.Repository, pkg fleet.PackageID, last trace, now time.Time) string {
	for _, name := range slices.Sorted(maps.Keys(repo.Holds)) {
		h := repo.Holds[name]
		if h.Kind != revocation && h.Of(pkg, fleet.Entry{Release: last.Release, Artifact: last.Artifact}) && (h.Expires == nil || now.Before(*h.Expires)) {
			return "the hold " + name + " is in force: " + h.Reason
		}
	}
	if name := repo.Frozen(now, true); name != "" {
		return "the freeze " + name + " is in force"
	}
	return ""
}

// bounded makes removals wait that are too many to be meant without a word for
// each: on a tenant, and on all of them together.
func bounded(repo *fleet.Repository, list []Leaving, held map[fleet.TenantID]int) {
	unsaid, all, total := map[fleet.TenantID]int{}, 0, 0
	for _, l := range list {
		if l.unsaid(repo) {
			unsaid[l.Tenant]++
			all++
		}
	}
	for _, n := range held {
		total += n
	}
	for i := range list {
		l := &list[i]
		if !l.unsaid(repo) {
			continue
		}
		n, of, where := unsaid[l.Tenant], held[l.Tenant], "the packages of "+string(l.Tenant)
		if !tooMany(n, of) {
			n, of, where = all, total, "what packmill keeps on all tenants"
		}
		if tooMany(n, of) {
			l.kind, l.Until = fleet.Stalled, time.Time{}
			l.Waits = fmt.Sprintf("%d of %s, %d, would go: if that is meant, say leave: %q: %q in %s/tenant.cue", n, where, of, l.Package, LeaveKeep, l.Tenant.Dir())
		}
	}
}

func (l Leaving) unsaid(repo *fleet.Repository) bool {
	return l.Action == "remove" && repo.Tenants[l.Tenant].Leave[l.Package] != LeaveKeep
}

func tooMany(n, of int) bool {
	return n > leaveFew && float64(n) > leaveShare*float64(of) || n > 1 && n == of
}

// leave lists what is due where packages leave tenants. A way back there is not
// gone: it would bring back what leaves. While the leaving waits, the way back is
// all that stops the release, and goes on.
func (s *stepper) leave() {
	going, waiting := map[slot]bool{}, map[slot]bool{}
	for _, l := range leavings(s.f, s.x, s.now) {
		at := slot{l.Tenant, l.Package}
		if l.Waits != "" {
			waiting[at] = true
			s.wait(Wait{Cycle: l.last.Cycle, Wave: l.last.Wave, Tenants: []fleet.TenantID{l.Tenant}, Packages: []fleet.PackageID{l.Package}, Kind: l.kind,
				Why: string(l.Package) + " leaves " + string(l.Tenant) + ": " + l.Waits, Until: l.Until})
			continue
		}
		going[at] = true
		kind := Remove
		if l.Action == "uninstall" {
			kind = Uninstall
		}
		s.act(Action{Kind: kind, Cycle: l.last.Cycle, Wave: l.last.Wave, Tenant: l.Tenant, Packages: []fleet.PackageID{l.Package}, Version: l.Release, Artifact: l.last.Artifact, Why: l.Why})
	}
	s.actions = slices.DeleteFunc(s.actions, func(a Action) bool {
		if a.Kind != RollBack {
			return false
		}
		return slices.ContainsFunc(a.Packages, func(id fleet.PackageID) bool {
			at := slot{a.Tenant, id}
			return going[at] || s.f.Repo.Tenants[a.Tenant].Leave[id] == LeaveUninstall && !waiting[at]
		})
	})
}

// sinceRemoved are the traces of a slot since the package last left the tenant, when
// no call could bring it back any longer: nothing of what was before is there.
func sinceRemoved(traces []trace) []trace {
	gone := 0
	for _, t := range traces {
		before := func(o trace) bool { return o.Generation < t.Generation }
		if t.Action == "remove" && t.done && t.Generation > gone && t.At.After(lease(traces, before)) {
			gone = t.Generation
		}
	}
	if gone == 0 {
		return traces
	}
	return slices.DeleteFunc(slices.Clone(traces), func(t trace) bool { return t.Generation <= gone })
}
