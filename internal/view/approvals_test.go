package view

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestTenantsPull(t *testing.T) {
	repo, plans := testRepo(), testPlans()
	rows := map[string][]fleet.PlanRow{}
	approvals := map[fleet.TenantID]fleet.TenantApproval{}
	partner := ""
	for _, p := range plans {
		rows[p.Gate] = p.Rows
		for _, r := range p.Rows {
			if partner == "" && p.Gate == "everyone" {
				partner = r.Tenant.Partner()
			}
			if r.Tenant.Partner() != partner {
				continue
			}
			a, ok := approvals[r.Tenant]
			if !ok {
				a = fleet.TenantApproval{Cycle: week, Decision: "approved", Plans: map[string]fleet.Digest{}, ValidUntil: day(24, 12)}
			}
			a.Plans[p.Gate] = p.Digest()
			approvals[r.Tenant] = a
		}
	}
	if len(approvals) == 0 {
		t.Fatal("nobody is asked")
	}
	known := repo.Partners[partner]
	known.Approvers = []fleet.Person{{Login: "pia"}, {Login: "olli"}}
	if repo.Partners == nil {
		repo.Partners = map[string]fleet.Partner{}
	}
	repo.Partners[partner] = known
	asked := TenantsAsked{Cycle: week, Partner: partner, Approvals: approvals, Rows: rows}
	pull := TenantsPull(repo, asked)
	golden(t, "tenants.md", pull.Text)
	checkTrailers(t, pull, "Risk", "Impact", "Back-out", "Change-Class")

	known.Approvers, known.Name = nil, "Evil @admin <img src=x>"
	repo.Partners[partner] = known
	pull = TenantsPull(repo, asked)
	head, _, _ := strings.Cut(pull.Text, "\nRisk:")
	if !strings.Contains(head, "nobody yet") || strings.Contains(head, "@admin") || strings.Contains(strings.ReplaceAll(head, `\<`, ""), "<img") {
		t.Errorf("%s", head)
	}
}

func TestApprovalPullThatPackmillMerges(t *testing.T) {
	repo, rec, plans := testRepo(), testRecord(), testPlans()
	approval := fleet.Approval{Cycle: week, Gate: "everyone", Decision: "approved", Summary: plans[1].Summary(), Plan: plans[1].Digest(), ValidUntil: day(24, 12)}
	rec.Verdicts = rec.Verdicts[:0]
	repo.Waves[0].Advance = "autoMerge"
	const says = "merges this by itself"
	if p := ApprovalPull(repo, rec, approval, plans[1]); strings.Contains(p.Text, says) {
		t.Error("it says so though no app is named")
	}
	repo.Operator.Trust.App = "mill[bot]"
	repo.Holds = nil
	if p := ApprovalPull(repo, rec, approval, plans[1]); !strings.Contains(p.Text, "`mill[bot]` "+says) {
		t.Errorf("it does not say so:\n%s", p.Text)
	}
	repo.Waves[0].Advance = "merge"
	if p := ApprovalPull(repo, rec, approval, plans[1]); strings.Contains(p.Text, says) {
		t.Error("it says so though the wave asks people")
	}
}

func TestWordsOfApproval(t *testing.T) {
	for _, c := range []struct {
		approvers []string
		auto      bool
		want      string
	}{
		{nil, false, ""}, {[]string{"ines", "oskar"}, false, "ines, oskar"}, {[]string{"ines"}, true, "ines"}, {[]string{}, true, "no human: packmill, after a signed verdict"},
	} {
		if got := byWhom(c.approvers, c.auto); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.approvers, c.auto, got, c.want)
		}
	}
	if got := rejection(fleet.Rejection{Cycle: week, Gate: "everyone", Because: "too early"}); got != "wave everyone is rejected: too early" {
		t.Error(got)
	}
	if got := rejection(fleet.Rejection{Cycle: week, Tenant: "nordic/berg", Because: "inventory"}); got != "nordic/berg refuses the cycle: inventory" {
		t.Error(got)
	}
}
