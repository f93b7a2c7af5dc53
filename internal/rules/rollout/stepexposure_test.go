package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// budget lets one merge, or those of an hour, expose so many devices on one
// person's word.
func budget(merge, hour *int) fact {
	return func(w *world) {
		e := &fleet.Exposure{}
		if merge != nil {
			e.PerMerge = &fleet.Budget{Devices: merge, Approvers: 2}
		}
		if hour != nil {
			e.PerHour = &fleet.Budget{Devices: hour, Approvers: 2}
		}
		w.repo.Operator.Trust.Exposure = e
	}
}

func TestStepExposure(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	begin := []string{"start dogfood"}
	none, plenty := 0, 1_000_000
	refused := []string{"dogfood its approval does not count: its pull request was not approved by 2 approvers of the policy before it: this merge exposes"}
	both := lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })
	try(t, []situation{
		{"one word within the budget", all(opened, budget(&plenty, &plenty)), arm, begin, nil},
		{"not by one word beyond it", all(opened, budget(&none, nil)), arm, nil, refused},
		{"by two words beyond it", all(opened, budget(&none, &none), both), arm, begin, nil},
		{"not by a merge that takes the budget out", all(opened, lastMerge(func(m *fleet.Merge) { m.Policy = true })), arm, nil,
			[]string{"dogfood its approval does not count: its merge changes tenants/operator.cue too"}},
		{"not by one that two approved", all(opened, both, lastMerge(func(m *fleet.Merge) { m.Policy = true })), arm, nil,
			[]string{"dogfood its approval does not count: its merge changes tenants/operator.cue too"}},
		{"not by one word in an hour beyond it", all(opened, budget(nil, &none)), arm, nil,
			[]string{"dogfood its approval does not count: its pull request was not approved by 2 approvers of the policy before it: what is merged within one hour exposes"}},
	})
}
