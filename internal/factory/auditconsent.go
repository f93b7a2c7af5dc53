package factory

import (
	"context"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// consented checks that the partner or the site whose word a tenant's policy
// asked for had given it before an assignment, for exactly its plan. It gives
// what stands for it, "" where nobody was asked, and whether it holds.
func (a *auditor) consented(ctx context.Context, i fleet.Intent) (what string, ok bool) {
	policy, err := a.f.Desired(ctx, i.Main)
	if err != nil {
		return "the commit it was decided on cannot be read", false
	}
	mode := policy.Tenants[i.Tenant].Policy.Approval
	asked := mode == fleet.ByPartner || mode == fleet.BySite
	file := fleet.TenantApprovalFile(i.Tenant, i.Cycle)
	for _, m := range slices.Backward(a.rec.Merges) {
		if _, touched := m.ApprovalBlobs[file]; !touched || m.At.After(i.At) {
			continue // the newest before the intent is the one it went by
		}
		repo, err := a.f.Desired(ctx, m.Commit)
		if err != nil {
			return "the merge of the tenant's word cannot be read", false
		}
		said, given := repo.TenantApprovals[i.Tenant][i.Cycle]
		switch who := m.Counted[file]; {
		case given && said.Decision == rejected:
			return "the tenant had refused: " + said.Because, false
		case !asked:
			return "", true
		case a.good[m.Commit] == nil:
			return "the merge of the tenant's word does not hold", false
		case !given:
			return "the tenant's word was taken back", false
		case len(who) == 0:
			return "nobody who may speak for the tenant approved", false
		case said.Plans[i.Wave] != i.Plan:
			return "the tenant's word is on another plan", false
		case i.At.After(said.ValidUntil):
			return "the tenant's word had expired", false
		default:
			return fmt.Sprintf("for the tenant #%d by %s", m.PR, listed(who)), true
		}
	}
	if asked {
		return "the " + mode + " had not approved for the tenant", false
	}
	return "", true
}

// by is who stands behind a merge, in words.
func by(m fleet.Merge) string {
	if m.Auto != "" && len(m.Approvers) == 0 {
		return "no human: packmill merged it after a signed verdict"
	}
	return listed(m.Approvers)
}
