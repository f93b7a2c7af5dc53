package view

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestApproversLine tells how many persons a plan takes, in both pull requests.
func TestApproversLine(t *testing.T) {
	repo, plans := testRepo(), testPlans()
	approval := fleet.Approval{Cycle: week, Gate: plans[1].Gate, Summary: plans[1].Summary(), Plan: plans[1].Digest(), ValidUntil: day(24, 12)}
	texts := func() [2]string {
		return [2]string{CyclePull(repo, week, repo.Cycles[week], plans).Text, ApprovalPull(repo, &fleet.Record{}, approval, plans[1]).Text}
	}
	for _, text := range texts() {
		if strings.Contains(text, "approver") && strings.Contains(text, "exposure") {
			t.Errorf("no budget, and still told: %s", text)
		}
	}
	devices := plans[1].Summary().Devices
	limit := devices - 1
	repo.Operator.Trust.Approvals = 1
	repo.Operator.Trust.Exposure = &fleet.Exposure{PerMerge: &fleet.Budget{Devices: &limit, Approvers: 3}, PerHour: &fleet.Budget{Devices: &devices, Approvers: 4}}
	got := texts()
	if want := "\n1 approver, as for every merge: it stays within the budget of exposure. With what else is merged within the hour before, it may take 4.\n"; !strings.Contains(got[0], want) {
		t.Errorf("%q is missing in %s", want, got[0])
	}
	if want := "\n3 approvers, because this merge exposes "; !strings.Contains(got[1], want) {
		t.Errorf("%q is missing in %s", want, got[1])
	}
}
