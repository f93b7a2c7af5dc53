package view

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// How much of the fleet a pilot stands for is told wherever its plan is: those
// who approve it are to judge by it.
func TestCoverageIsTold(t *testing.T) {
	repo, rec := testRepo(), testRecord()
	plans := testPlans()
	approval := fleet.Approval{Cycle: week, Gate: "everyone", Plan: plans[1].Digest(), Summary: plans[1].Summary()}
	told := func() map[string]string {
		return map[string]string{
			"table": PlanTable(plans[1]).Title, "cycle": CyclePull(repo, week, repo.Cycles[week], plans).Text, "approval": ApprovalPull(repo, rec, approval, plans[1]).Text,
		}
	}
	for where, text := range told() {
		if strings.Contains(text, "stands for") {
			t.Errorf("%s: a wave that covers nothing is said to:\n%s", where, text)
		}
	}
	plans[1].Coverage = []fleet.Coverage{
		{Attribute: "model", Devices: 12_000, ShownDevices: 11_999, Values: 1_234, ShownValues: 1_233},
		{Attribute: "osBuild", Devices: 12_000, ShownDevices: 12_000, Values: 1, ShownValues: 1},
		{Attribute: "country"},
	}
	const want = "99.9 % by model (1233 of 1234 values), 100 % by osBuild (1 of 1 value), 0 % by country (0 of 0 values)"
	for where, text := range told() {
		if strings.Count(text, want) != 1 || strings.Count(text, "stands for") != 1 {
			t.Errorf("%s does not say it once:\n%s", where, text)
		}
	}
}
