package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// answers checks that the words of partners and sites are about cycles and
// plans that there are.
func (x *checks) answers() {
	for _, p := range x.places {
		if p.role != roleAnswer {
			continue
		}
		t, id := fleet.TenantID(p.keys[1]), fleet.CycleID(p.keys[0])
		if x.files[t.Dir()+"/tenant.cue"].Path == "" {
			x.say(fleet.Pos{File: p.Path}, "", "there is no tenant.cue above this approval")
		}
		if a, ok := x.repo.TenantApprovals[t][id]; ok {
			x.answer(p.Path, id, a)
		}
	}
}

func (x *checks) answer(file string, id fleet.CycleID, a fleet.TenantApproval) {
	at := func(keys ...string) []string { return append(k("approvals", string(id)), keys...) }
	if a.Cycle != id {
		x.fault(file, at("cycle"), "is %q; the file is named %q", a.Cycle, id)
	}
	if a.Decision == "rejected" && a.Because == "" {
		x.fault(file, at("because"), "a rejection says why")
	}
	if x.files[CyclePath(id)].Path == "" {
		x.fault(file, at(), "there is no cycle.cue for cycle %s", id)
		return
	}
	if a.Decision == "approved" && len(a.Plans) == 0 {
		x.fault(file, at("plans"), "an approval names the plan of each wave it is for")
	}
	if x.faulty[CyclePath(id)] || x.faulty[PlanPath(id)] {
		return
	}
	for _, gate := range slices.Sorted(maps.Keys(a.Plans)) {
		plan, ok := x.repo.Plans[id][gate]
		switch {
		case !ok:
			x.fault(file, at("plans", gate), "%s has no plan for %q%s", PlanPath(id), gate, suggest(gate, slices.Collect(maps.Keys(x.repo.Plans[id]))))
		case a.Plans[gate] != plan.Digest:
			x.fault(file, at("plans", gate), "is not the digest in %s, %s: the plan changed after this was written", PlanPath(id), plan.Digest.Short())
		}
	}
}
