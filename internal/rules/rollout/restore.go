package rollout

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// RestoreWords are by what a restoration is known: people who ask for another one
// say another reason, or another end.
func RestoreWords(b fleet.Because) string {
	return "restore until " + stamp(b.Expires) + ": " + b.Reason
}

// restore lists where what people changed past packmill is undone because a merge
// says so: once for each time that main asks for it, and not while a call of
// another change may still be under way.
func (s *stepper) restore() {
	for _, id := range s.f.Repo.TenantIDs() {
		t := s.f.Repo.Tenants[id]
		if t.Intune == nil || len(t.Restore) == 0 {
			continue
		}
		for _, pkg := range s.f.Repo.PackageIDs() {
			because, asked := t.Restore[pkg]
			if _, has := t.Packages[pkg]; !asked || !has || t.Leave[pkg] != "" || !s.now.Before(because.Expires) {
				continue
			}
			traces, words := s.x.slots[slot{id, pkg}], RestoreWords(because)
			last, ever := lastBrought(traces)
			if !ever || carriedOut(traces, func(x trace) bool { return x.Action == "restore" && x.Reason == words }, time.Time{}) {
				continue
			}
			brought := mayHold(traces)
			if why := s.unrestorable(pkg, traces, brought); why != "" {
				s.wait(Wait{Cycle: last.Cycle, Wave: last.Wave, Tenants: []fleet.TenantID{id}, Packages: []fleet.PackageID{pkg}, Kind: fleet.Stalled,
					Why: string(pkg) + " is not restored on " + string(id) + ": " + why})
				continue
			}
			if why := anyHalted(s.f.Repo, pkg, brought, s.now); why != "" {
				s.wait(Wait{Cycle: last.Cycle, Wave: last.Wave, Tenants: []fleet.TenantID{id}, Packages: []fleet.PackageID{pkg}, Kind: fleet.Waiting,
					Why: string(pkg) + " is restored on " + string(id) + " later: " + why})
				continue
			}
			if until := lease(traces, func(x trace) bool { return x.Action != "restore" }); !s.now.After(until) {
				s.wait(Wait{Cycle: last.Cycle, Wave: last.Wave, Tenants: []fleet.TenantID{id}, Packages: []fleet.PackageID{pkg}, Kind: fleet.Waiting,
					Why: string(pkg) + " is restored on " + string(id) + ": a call may still be under way there", Until: until})
				continue
			}
			s.act(Action{Kind: Restore, Cycle: last.Cycle, Wave: last.Wave, Tenant: id, Packages: []fleet.PackageID{pkg}, Version: last.Release, Artifact: last.Artifact, Why: words})
		}
	}
}

// unrestorable says why what a package's slots hold is not written again: a
// release that was taken back would come to devices, or what a way back changed
// of the stable slot until the next release, how it is found and what it takes
// the place of, would be undone.
func (s *stepper) unrestorable(pkg fleet.PackageID, traces, brought []trace) string {
	for _, t := range brought {
		if _, revoked := s.f.Repo.Revoked(pkg, fleet.Entry{Release: t.Release, Artifact: t.Artifact}); revoked {
			return t.Release + " is revoked"
		}
	}
	back := func(t trace) bool { return t.Action == "rollback" }
	promoted := func(t trace) bool { return t.Action == "promote" && t.done }
	if newest(traces, back) > newest(traces, promoted) {
		return "it went a way back, and the next release that becomes stable writes it anew"
	}
	return ""
}

// anyHalted is what keeps one of the releases that a package's slots hold as it is.
func anyHalted(repo *fleet.Repository, pkg fleet.PackageID, brought []trace, now time.Time) string {
	for _, t := range brought {
		if why := halted(repo, pkg, t, now); why != "" {
			return why
		}
	}
	return ""
}

// mayHold are the traces by which what a slot's two apps hold came there: the
// newest of each kind that was carried out, and those after it, which may have
// been. A way back is none: what it wrote is not what the trace names.
func mayHold(traces []trace) []trace {
	var out []trace
	for _, action := range []string{"assign", "promote"} {
		done := newest(traces, func(t trace) bool { return t.Action == action && t.done })
		for _, t := range traces {
			if t.Action == action && max(t.Generation, 1) >= done {
				out = append(out, t)
			}
		}
	}
	return out
}

// BroughtBy are the intents by which what packmill's objects of a package on a
// tenant hold may have come there: what Intent.Main names is what they were made
// from.
func BroughtBy(rec *fleet.Record, tenant fleet.TenantID, pkg fleet.PackageID) []fleet.Intent {
	var of fleet.Record
	for _, i := range rec.Intents {
		if i.Tenant == tenant && i.Package == pkg {
			of.Intents = append(of.Intents, i)
		}
	}
	for _, r := range rec.Receipts {
		if r.Tenant == tenant && r.Package == pkg {
			of.Receipts = append(of.Receipts, r)
		}
	}
	var out []fleet.Intent
	for _, t := range mayHold(newIndex(&of).slots[slot{tenant, pkg}]) {
		out = append(out, *t.Intent)
	}
	return out
}
