package factory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// merge checks one commit of main against its record.
func (a *auditor) merge(ctx context.Context, c gitrepo.CommitInfo, m *fleet.Merge) error {
	before := len(a.out.Findings)
	switch {
	case len(c.Parents) != 2:
		a.find(c.ID, noMerge, c.Title())
		if m.Fault == "" {
			a.find(c.ID, "its record does not say so", c.Title())
		}
		return nil
	case m.Base != c.Parents[0] || m.Head != c.Parents[1] || m.Tree != c.Tree:
		a.find(c.ID, "its record tells other parents or another tree", c.Title())
	}
	parent, err := a.f.Desired(ctx, c.Parents[0])
	if err != nil {
		return a.unreadable(c.Parents[0], err)
	}
	if err := a.signedBefore(c, m, parent); err != nil {
		return err
	}
	b, err := a.f.broughtBy(ctx, c.Parents[0], c.ID)
	if err != nil {
		return err
	}
	w, err := a.f.weigh(ctx, c, parent, a.rec, *m, b)
	if err != nil {
		return err
	}
	a.weighed(c, m, w)
	if err := a.brought(c, m, b); err != nil {
		return err
	}
	if len(a.out.Findings) == before {
		a.good[c.ID] = m
	}
	return nil
}

// weighed checks whose word a merge's record counts, and what it finds fault
// with, against what comes out again.
func (a *auditor) weighed(c gitrepo.CommitInfo, m *fleet.Merge, w weight) {
	if !slices.Equal(w.approvers, m.Approvers) {
		a.find(c.ID, fmt.Sprintf("its record counts %s as approvers, the policy before it %s", listed(m.Approvers), listed(w.approvers)), c.Title())
	}
	for _, file := range slices.Sorted(maps.Keys(w.counted)) {
		if !slices.Equal(w.counted[file], m.Counted[file]) {
			a.find(c.ID, fmt.Sprintf("its record counts %s for the tenant, the policy before it %s", listed(m.Counted[file]), listed(w.counted[file])), file)
		}
	}
	if len(w.counted) != len(m.Counted) {
		a.find(c.ID, "its record counts words for tenants that the merge does not bring", c.Title())
	}
	if w.auto != m.Auto {
		a.find(c.ID, fmt.Sprintf("its record says that packmill merged it by itself to %q; it comes out as %q", m.Auto, w.auto), c.Title())
	}
	if w.fault != "" {
		a.find(c.ID, w.fault, c.Title())
	}
	if w.fault != m.Fault {
		a.find(c.ID, fmt.Sprintf("its record judges it otherwise: %q", m.Fault), c.Title())
	}
}

// signedBefore checks that the key which signed a merge's record was trusted
// before the merge: a key cannot vouch for the merge that brings it in, so that
// every key goes back to those of the first commit.
func (a *auditor) signedBefore(c gitrepo.CommitInfo, m *fleet.Merge, parent *fleet.Repository) error {
	before, err := signing.NewVerifier(parent.Operator.Trust, signing.UseEvidence)
	if err != nil {
		return a.unreadable(c.Parents[0], err)
	}
	if !before.Knows(m.Key) {
		a.find(c.ID, fmt.Sprintf("its record is signed with key %q, which the policy before it does not trust", m.Key), c.Title())
	}
	return nil
}

// brought checks what a merge's record says it brings.
func (a *auditor) brought(c gitrepo.CommitInfo, m *fleet.Merge, b brought) error {
	base, err := a.f.Git.CommitInfo(c.Parents[0])
	if err != nil {
		return err
	}
	if m.BaseTree != base.Tree {
		a.find(c.ID, "its record tells another tree before it", c.Title())
	}
	if !slices.Equal(b.releases, m.Releases) {
		a.find(c.ID, "its record names other releases than the merge brought", c.Title())
	}
	if b.approves != m.Approves || b.plan != m.Plan || !maps.Equal(b.blobs, m.ApprovalBlobs) {
		a.find(c.ID, "its record names another approval or plan than the merge brought", c.Title())
	}
	if fleet.DigestJSON(b.revokes) != fleet.DigestJSON(m.Revokes) {
		a.find(c.ID, "its record names other revocations than the merge brought", c.Title())
	}
	if b.policy != m.Policy {
		a.find(c.ID, "its record does not tell as it is whether it changes the policy together with an approval", c.Title())
	}
	if len(m.CycleBlobs) > 0 && !maps.Equal(b.cycles, m.CycleBlobs) { // older records tell of none
		a.find(c.ID, "its record names other cycles than the merge changed", c.Title())
	}
	if len(m.Rejects) > 0 && !slices.Equal(b.rejects, m.Rejects) { // older records tell of none
		a.find(c.ID, "its record names other rejections than the merge brought", c.Title())
	}
	return nil
}

// tooFew says that a merge had fewer approvers than the policy before it asks
// for, "" when it had enough.
func tooFew(parent *fleet.Repository, approvers []string) string {
	if need := max(1, parent.Operator.Trust.Approvals); len(approvers) < need {
		return fmt.Sprintf("was approved by %s; the policy before it asks for %d", listed(approvers), need)
	}
	return ""
}

func listed(logins []string) string {
	if len(logins) == 0 {
		return "nobody"
	}
	return strings.Join(logins, ", ")
}
