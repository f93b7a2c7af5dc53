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
			last, brought := lastBrought(traces)
			if !brought || carriedOut(traces, func(x trace) bool { return x.Action == "restore" && x.Reason == words }, time.Time{}) {
				continue
			}
			if why := s.unrestorable(pkg, last); why != "" {
				s.wait(Wait{Cycle: last.Cycle, Wave: last.Wave, Tenants: []fleet.TenantID{id}, Packages: []fleet.PackageID{pkg}, Kind: fleet.Stalled,
					Why: string(pkg) + " is not restored on " + string(id) + ": " + why})
				continue
			}
			if why := halted(s.f.Repo, pkg, last, s.now); why != "" {
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

// unrestorable says why what a slot was last brought is not written again: a
// release that was taken back would come to devices, or what its way back changed
// for the while, how it is found and what it takes the place of, would be undone.
func (s *stepper) unrestorable(pkg fleet.PackageID, last trace) string {
	if _, revoked := s.f.Repo.Revoked(pkg, fleet.Entry{Release: last.Release, Artifact: last.Artifact}); revoked {
		return last.Release + " is revoked"
	}
	if last.Action == "rollback" {
		return "it went a way back, and the next release writes it anew"
	}
	return ""
}
