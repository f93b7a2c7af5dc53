package rollout

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// reinstate lists where a package is to be given back to devices: its uninstall was
// begun, and main says so no longer and still has it under packages. What is armed
// has not started on every device, so it is ended at once, like a halt; and once
// more when no call of the uninstall can begin any longer. Neither a hold nor a
// freeze keeps it: it brings nothing that was not there.
//
// The slots that it gives are those for which that is not done for good.
func (s *stepper) reinstate() map[slot]bool {
	open := map[slot]bool{}
	for at, traces := range s.x.slots {
		t := s.f.Repo.Tenants[at.tenant]
		if _, wanted := t.Packages[at.pkg]; !wanted || t.Intune == nil || t.Leave[at.pkg] == LeaveUninstall || s.f.Repo.Packages[at.pkg].ID == "" {
			continue
		}
		if newest(traces, func(x trace) bool { return x.Action == LeaveUninstall }) > 0 {
			open[at] = true
		}
	}
	for _, at := range sorted(open) {
		if !s.reinstateOn(at) {
			delete(open, at)
		}
	}
	return open
}

func sorted(slots map[slot]bool) []slot {
	var out []slot
	for at := range slots {
		out = append(out, at)
	}
	slices.SortFunc(out, func(a, b slot) int { return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.pkg, b.pkg)) })
	return out
}

// reinstateOn does so for one slot, and reports whether anything is left to do.
func (s *stepper) reinstateOn(at slot) bool {
	traces := s.x.slots[at]
	removes := func(x trace) bool { return x.Action == LeaveUninstall }
	last, until := newest(traces, removes), lease(traces, removes)
	ended, forGood := false, false
	for _, x := range traces {
		if x.done && x.Generation > last && (x.Action == Reinstate || x.Action == "promote" || x.Action == "remove") {
			ended, forGood = true, forGood || x.At.After(until)
		}
	}
	of := traces[slices.IndexFunc(traces, func(x trace) bool { return removes(x) && max(x.Generation, 1) == last })]
	switch {
	case forGood:
		return false
	case ended && !s.now.After(until):
		s.wait(Wait{Cycle: of.Cycle, Wave: of.Wave, Tenants: []fleet.TenantID{at.tenant}, Packages: []fleet.PackageID{at.pkg}, Kind: fleet.Waiting,
			Why: string(at.pkg) + " is given back to " + string(at.tenant) + ", and once more when no call of an earlier run can begin", Until: until})
	default:
		s.act(Action{Kind: Reinstate, Cycle: of.Cycle, Wave: of.Wave, Tenant: at.tenant, Packages: []fleet.PackageID{at.pkg}, Version: of.Release, Artifact: of.Artifact,
			Why: "leave says uninstall no longer: devices get back what they had"})
	}
	return true
}

// bringsNothing drops what would bring a release into slots whose removal is not
// ended for good: a call of the uninstall that comes late would take it for what
// it is to remove.
func (s *stepper) bringsNothing(slots map[slot]bool) {
	for i := range s.actions {
		a := &s.actions[i]
		if a.Kind != Deploy && a.Kind != Promote {
			continue
		}
		a.Packages = slices.DeleteFunc(slices.Clone(a.Packages), func(id fleet.PackageID) bool { return slots[slot{a.Tenant, id}] })
	}
	s.actions = slices.DeleteFunc(s.actions, func(a Action) bool { return (a.Kind == Deploy || a.Kind == Promote) && len(a.Packages) == 0 })
}

// endUninstalls marks the uninstalls after which a reinstatement gave the candidate
// slot back to its waves: they have emptied it no longer.
func endUninstalls(traces []trace) {
	ended := newest(traces, func(x trace) bool { return x.done && x.Action == Reinstate && len(targetsLeft(x.left)) > 0 })
	for i := range traces {
		traces[i].over = traces[i].Action == LeaveUninstall && traces[i].Generation < ended
	}
}

// Before is whom the slots of a package were for before its uninstall.
type Before struct {
	Everyone bool              // the stable slot was everyone's, but of these
	Without  []string          // ids of groups
	Waves    map[string]string // the candidate slot's groups: how they had it, required or available
}

// BeforeUninstall reads that from the newest receipts before the uninstall that a
// reinstatement ends: what is assigned to nobody after it need not have been
// before. What was withdrawn since is no wave's.
func (h *History) BeforeUninstall(at Slot) Before {
	over := 0 // the newest change that is none of leaving
	for _, i := range h.intents[at] {
		if i.Action != LeaveUninstall && i.Action != Reinstate && i.Action != "withdraw" {
			over = max(over, i.Generation)
		}
	}
	first, withdrawn := 0, 0
	for _, i := range h.intents[at] {
		switch {
		case i.Action == LeaveUninstall && (first == 0 || i.Generation < first) && i.Generation > over:
			first = i.Generation
		case i.Action == "withdraw":
			withdrawn = max(withdrawn, i.Generation)
		}
	}
	if first == 0 {
		return Before{}
	}
	left := h.leftBefore(at, "", first)
	b := Before{Waves: map[string]string{}}
	for _, t := range targetsLeft(left[fleet.Stable]) {
		if t.Exclude {
			b.Without = append(b.Without, t.Group)
		} else {
			b.Everyone = true
		}
	}
	if withdrawn > first {
		return b
	}
	for _, t := range targetsLeft(left[fleet.Candidate]) {
		if !t.Exclude {
			b.Waves[t.Group] = t.Intent
		}
	}
	return b
}

// Stopped reports whether a release is not to be given to a wave's devices again: it
// is held, was revoked, or failed.
func Stopped(f Facts, id fleet.PackageID, e fleet.Entry, now time.Time) bool {
	_, held := f.Repo.Held(id, e.Release, now)
	_, revoked := Revocation(f.Repo, f.Record, id, e)
	return held || revoked || failedOnce(f.Record, e.Artifact)
}
