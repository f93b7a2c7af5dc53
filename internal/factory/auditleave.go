package factory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// left checks the merge by which a package left a tenant, was given back or restored: the newest before the
// intent after which the tenant's file says so and before which it did not.
func (a *auditor) left(ctx context.Context, i fleet.Intent, row *fleet.AuditRow) fleet.AuditCheck {
	for _, m := range slices.Backward(a.rec.Merges) {
		if m.At.After(i.At) {
			continue
		}
		changes, err := a.f.Git.Changed(ctx, m.Base, m.Commit)
		if err != nil || !slices.ContainsFunc(changes, func(c gitrepo.Change) bool { return strings.HasPrefix(c.Path, "tenants/") }) {
			continue
		}
		after, err := a.f.Desired(ctx, m.Commit)
		if err != nil || !leavesBy(after, i) {
			continue
		}
		if before, err := a.f.Desired(ctx, m.Base); err == nil && leavesBy(before, i) {
			continue // it said so before
		}
		row.Commit, row.PR, row.Approvers = m.Commit, m.PR, m.Approvers
		if a.good[m.Commit] == nil {
			return fleet.AuditCheck{What: "the merge that says so does not hold", Where: m.Commit}
		}
		return fleet.AuditCheck{OK: true, What: "#" + fmt.Sprint(m.PR) + " by " + by(m), Where: m.Commit}
	}
	return fleet.AuditCheck{What: "no recorded merge before the intent says so in the tenant's file"}
}

// leavesBy reports whether a commit of main takes an intent's package from its
// tenant in the intent's way, or says no longer that it is taken.
func leavesBy(repo *fleet.Repository, i fleet.Intent) bool {
	t, known := repo.Tenants[i.Tenant]
	_, has := t.Packages[i.Package]
	switch i.Action {
	case "remove":
		return known && !has
	case "reinstate":
		return has && t.Leave[i.Package] != rollout.LeaveUninstall
	case "restore":
		because, asked := t.Restore[i.Package]
		return asked && rollout.RestoreWords(because) == i.Reason
	}
	return has && t.Leave[i.Package] == rollout.LeaveUninstall
}
