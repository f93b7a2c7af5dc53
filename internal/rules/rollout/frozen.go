package rollout

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Frozen are the memberships of a started wave that count, in the order of
// tenants: for every tenant of the plan it was started with, the newest. What
// a run left behind that was killed before it wrote a start does not count.
func Frozen(rec *fleet.Record, s fleet.WaveStart) []fleet.Membership {
	planned := map[fleet.TenantID]bool{}
	for _, row := range rec.PlanRows[s.Plan] {
		planned[row.Tenant] = true
	}
	last := map[fleet.TenantID]fleet.Membership{}
	for _, m := range rec.Members {
		if m.Cycle == s.Cycle && m.Wave == s.Wave && planned[m.Tenant] && counts(&m, s) {
			last[m.Tenant] = m
		}
	}
	out := make([]fleet.Membership, 0, len(last))
	for _, t := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[t])
	}
	return out
}

// counts reports whether a membership is one that a wave was started with. Two
// runs that start a wave at one time may know different devices that joined it:
// the start that counts names those of its own.
func counts(m *fleet.Membership, s fleet.WaveStart) bool {
	if root, joined := s.Joined[m.Tenant]; joined {
		return m.Root == root
	}
	return m.Joined == 0
}

// MembershipOf is the newest membership of a wave on one tenant, of a started
// wave the newest that counts, nil if there is none.
func MembershipOf(rec *fleet.Record, id fleet.CycleID, wave string, t fleet.TenantID) *fleet.Membership {
	start := startOf(rec, id, wave)
	for i := range slices.Backward(rec.Members) {
		if m := &rec.Members[i]; m.Cycle == id && m.Wave == wave && m.Tenant == t && (start == nil || counts(m, *start)) {
			return m
		}
	}
	return nil
}
