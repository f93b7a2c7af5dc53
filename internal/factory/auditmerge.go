package factory

import (
	"context"
	"fmt"
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
		a.find(c.ID, "a commit on main that is no merge", c.Title())
		return nil
	case m.Base != c.Parents[0] || m.Head != c.Parents[1] || m.Tree != c.Tree:
		a.find(c.ID, "its record tells other parents or another tree", c.Title())
	}
	if err := a.shape(ctx, c); err != nil {
		return err
	}
	parent, err := a.f.Desired(ctx, c.Parents[0])
	if err != nil {
		return a.unreadable(c.Parents[0], err)
	}
	if err := a.signedBefore(c, m, parent); err != nil {
		return err
	}
	counted := Approvers(parent, *m)
	switch {
	case !slices.Equal(counted, m.Approvers):
		a.find(c.ID, fmt.Sprintf("its record counts %s as approvers, the policy before it %s", listed(m.Approvers), listed(counted)), c.Title())
	case len(counted) < parent.Operator.Trust.Approvals:
		a.find(c.ID, fmt.Sprintf("was approved by %s; the policy before it asks for %d", listed(counted), parent.Operator.Trust.Approvals), c.Title())
	}
	approves, plan, err := a.f.approvalIn(ctx, c.Parents[0], c.ID)
	if err != nil {
		return a.unreadable(c.ID, err)
	}
	releases, err := a.f.releasesIn(ctx, c.Parents[0], c.ID)
	if err != nil {
		return err
	}
	if !slices.Equal(releases, m.Releases) {
		a.find(c.ID, "its record names other releases than the merge brought", c.Title())
	}
	if approves != m.Approves || plan != m.Plan {
		a.find(c.ID, "its record names another approval or plan than the merge brought", c.Title())
	}
	if len(a.out.Findings) == before {
		a.good[c.ID] = m
	}
	return nil
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

// shape checks that a merge holds exactly what the reviewed branch held on top
// of main: nothing was slipped in while merging.
func (a *auditor) shape(ctx context.Context, c gitrepo.CommitInfo) error {
	base, err := a.f.Git.MergeBase(ctx, c.Parents[0], c.Parents[1])
	if err != nil {
		return err
	}
	reviewed, err := a.f.Git.Changed(ctx, base, c.Parents[1])
	if err != nil {
		return err
	}
	merged, err := a.f.Git.Changed(ctx, c.Parents[0], c.ID)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(reviewed, merged, func(x, y gitrepo.Change) bool { return x.Path == y.Path && x.New == y.New && x.NewMode == y.NewMode }) {
		a.find(c.ID, "the merge holds something else than the branch that was reviewed", c.Title())
	}
	return nil
}

func listed(logins []string) string {
	if len(logins) == 0 {
		return "nobody"
	}
	return strings.Join(logins, ", ")
}
