package factory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// rows checks every change on a tenant: each intent with its merge, approvers,
// tests, signature and receipt.
func (a *auditor) rows(ctx context.Context) {
	signed := map[fleet.Digest]fleet.AuditCheck{}
	past := rollout.HistoryOf(a.rec)
	for _, i := range a.rec.Intents {
		if past.Replaced(i) {
			continue
		}
		r := fleet.AuditRow{
			Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Release: i.Release, Artifact: i.Artifact, Action: i.Action,
			Findings: []fleet.AuditFinding{}, Approvers: []string{},
		}
		r.Merge = a.releaseMerged(ctx, i)
		r.Approval = a.approved(ctx, i, &r)
		r.Tests = a.tested(i)
		if _, known := signed[i.Artifact]; !known {
			signed[i.Artifact] = a.signature(i)
		}
		r.Signature = signed[i.Artifact]
		r.Receipt = receipt(past, i)
		a.out.Rows = append(a.out.Rows, r)
	}
	slices.SortStableFunc(a.out.Rows, func(x, y fleet.AuditRow) int {
		return cmp.Or(cmp.Compare(x.Cycle, y.Cycle), cmp.Compare(x.Package, y.Package), cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.Wave, y.Wave))
	})
}

// releaseMerged checks that the release file came by a merge whose record
// holds, and is still as it was merged.
func (a *auditor) releaseMerged(ctx context.Context, i fleet.Intent) fleet.AuditCheck {
	file := i.Package.Release(i.Release)
	for _, m := range a.rec.Merges {
		if !slices.Contains(m.Releases, string(i.Package)+"@"+i.Release) {
			continue
		}
		if a.good[m.Commit] == nil {
			return fleet.AuditCheck{What: "its merge does not hold", Where: m.Commit}
		}
		changes, err := a.f.Git.Changed(ctx, m.Commit, a.out.Main)
		if err != nil || slices.ContainsFunc(changes, func(c gitrepo.Change) bool { return c.Path == file }) {
			return fleet.AuditCheck{What: "the release file was changed after its merge", Where: file}
		}
		return fleet.AuditCheck{OK: true, What: fmt.Sprintf("#%d", m.PR), Where: m.Commit}
	}
	return fleet.AuditCheck{What: "no recorded merge brought this release", Where: file}
}

// approved checks the merge that let an intent happen: the approval of its
// wave's gate for exactly its plan, or the revocation for a way back.
func (a *auditor) approved(ctx context.Context, i fleet.Intent, row *fleet.AuditRow) fleet.AuditCheck {
	switch i.Action {
	case "rollback":
		return a.revoked(ctx, i, row)
	case "withdraw":
		return a.stopped(i)
	case "uninstall", "reinstate", "remove", "restore":
		return a.left(ctx, i, row)
	}
	gate := string(i.Cycle) + "/" + i.Wave
	for _, m := range slices.Backward(a.rec.Merges) {
		if m.Approves != gate || m.At.After(i.At) {
			continue // the newest before the intent is the one it went by
		}
		row.Commit, row.PR, row.Approvers = m.Commit, m.PR, m.Approvers
		where := m.Commit
		switch {
		case a.good[m.Commit] == nil:
			return fleet.AuditCheck{What: "the approval's merge does not hold", Where: where}
		case m.Policy:
			return fleet.AuditCheck{What: "the approval's merge changed the policy by which it is judged", Where: where}
		case i.Plan != m.Plan && i.Action == "assign":
			return fleet.AuditCheck{What: "the intent acts on another plan than was approved", Where: where}
		}
		repo, err := a.f.Desired(ctx, m.Commit)
		if err != nil {
			return fleet.AuditCheck{What: "the approval's merge cannot be read", Where: where}
		}
		if said := repo.Approvals[i.Cycle][i.Wave].Decision; said != "approved" {
			return fleet.AuditCheck{What: "the merge says " + said, Where: where}
		}
		what := "#" + fmt.Sprint(m.PR) + " by " + by(m)
		if i.Action == "assign" {
			consent, ok := a.consented(ctx, i)
			if !ok {
				return fleet.AuditCheck{What: consent, Where: fleet.TenantApprovalFile(i.Tenant, i.Cycle)}
			}
			if consent != "" {
				what += ", " + consent
			}
		}
		return fleet.AuditCheck{OK: true, What: what, Where: where}
	}
	return fleet.AuditCheck{What: "no recorded merge before the intent approves " + gate}
}

// stopped checks what made a withdrawal happen: stopping needs no merge, but a
// failed gate or a hold.
func (a *auditor) stopped(i fleet.Intent) fleet.AuditCheck {
	for _, v := range a.rec.Verdicts {
		if v.Package == i.Package && v.Artifact == i.Artifact && v.Decision == "fail" && !v.At.After(i.At) {
			return fleet.AuditCheck{OK: true, What: "stopped by its gate, which needs no approval", Where: evidence.Control + ":" + evidence.VerdictsDir(v.Cycle)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.repo.Holds)) {
		if h := a.repo.Holds[name]; h.Package == i.Package && h.Release == i.Release {
			return fleet.AuditCheck{OK: true, What: "stopped by a hold", Where: "schedules/holds/" + name + ".cue"}
		}
	}
	for _, m := range a.rec.Merges {
		for _, h := range m.Revokes {
			if h.Of(i.Package, fleet.Entry{Release: i.Release, Artifact: i.Artifact}) && !m.At.After(i.At) {
				return fleet.AuditCheck{OK: true, What: "stopped by a revocation", Where: m.Commit}
			}
		}
	}
	return fleet.AuditCheck{What: "neither a failed gate nor a hold asked for this", Where: evidence.Control}
}

// revoked checks the merge that took a release back.
func (a *auditor) revoked(ctx context.Context, i fleet.Intent, row *fleet.AuditRow) fleet.AuditCheck {
	for _, m := range a.rec.Merges {
		repo, err := a.f.Desired(ctx, m.Commit)
		if err != nil {
			continue
		}
		if _, ok := repo.Revoked(i.Package, fleet.Entry{Release: i.Release, Artifact: i.Artifact}); !ok {
			continue
		}
		row.Commit, row.PR, row.Approvers = m.Commit, m.PR, m.Approvers
		if a.good[m.Commit] == nil {
			return fleet.AuditCheck{What: "the revocation's merge does not hold", Where: m.Commit}
		}
		return fleet.AuditCheck{OK: true, What: "#" + fmt.Sprint(m.PR) + " by " + by(m), Where: m.Commit}
	}
	return fleet.AuditCheck{What: "no merge revokes this release"}
}

// receipt checks that an intent has its receipt, and that the tenant was
// observed to hold what was meant. One that was not carried out is in order
// when a later change left nothing of it.
func receipt(past *rollout.History, i fleet.Intent) fleet.AuditCheck {
	where := evidence.Shard(i.Tenant) + ":" + evidence.ReceiptsDir(i.Cycle, i.Wave)
	r, known := past.Outcome(i)
	switch {
	case !known:
		return fleet.AuditCheck{What: "an intent without a receipt", Where: where}
	case r.Outcome != "done":
		if later, ok := past.MadeGood(i); ok {
			return fleet.AuditCheck{OK: true, What: "outcome " + r.Outcome + ", then " + later.Action + " at " + readable(later.At), Where: where}
		}
		return fleet.AuditCheck{What: "outcome " + r.Outcome, Where: where}
	case r.Artifact != i.Artifact || brings(i.Action) && r.Observed != i.Artifact:
		return fleet.AuditCheck{What: "the tenant held another artifact", Where: where}
	case r.At.Before(past.Begun(i)):
		return fleet.AuditCheck{What: "older than its intent", Where: where}
	}
	what := readable(r.At)
	if r.Recovered {
		what += ", after an interrupted run"
	}
	return fleet.AuditCheck{OK: true, What: what, Where: where}
}

// brings reports whether an action leaves an artifact with a tenant.
func brings(action string) bool { return action == "assign" || action == "promote" }

func readable(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// signature checks the provenance of the artifact an intent was about: signed
// by a key that the policy trusts to build, about these bytes, this package
// and this version.
func (a *auditor) signature(i fleet.Intent) fleet.AuditCheck {
	where := evidence.Control
	built := rollout.BuiltOf(a.rec, i.Package, i.Release)
	if built == nil || built.Artifact != i.Artifact {
		return fleet.AuditCheck{What: "evidence has no build of this artifact", Where: where}
	}
	if err := checkProvenance(a.repo, *built); err != nil {
		return fleet.AuditCheck{What: err.Error(), Where: where}
	}
	return fleet.AuditCheck{OK: true, What: "provenance signed by a trusted key", Where: where}
}
