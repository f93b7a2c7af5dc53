package factory

import (
	"context"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// noes gathers who said no: gates that were refused, from every commit of main's
// first-parent line whatever became of the file since, and reviews that asked
// for changes, from the records of merges.
func (a *auditor) noes(ctx context.Context, main string) error {
	line, err := a.f.Git.FirstParents(ctx, main, "")
	if err != nil {
		return err
	}
	records := map[string]*fleet.Merge{}
	for i := range a.rec.Merges {
		records[a.rec.Merges[i].Commit] = &a.rec.Merges[i]
	}
	standing := map[string]int{} // approval file → its refusal that stands
	for _, c := range slices.Backward(line) {
		if err := a.refusals(ctx, c, records[c.ID], standing); err != nil {
			return err
		}
		if m := records[c.ID]; m != nil && len(c.Parents) > 0 {
			if err := a.objections(ctx, c, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusals notes what a commit refuses, and which refusals it ends.
func (a *auditor) refusals(ctx context.Context, c gitrepo.CommitInfo, m *fleet.Merge, standing map[string]int) error {
	base := ""
	if len(c.Parents) > 0 {
		base = c.Parents[0]
	}
	changes, err := a.f.Git.Changed(ctx, base, c.ID)
	if err != nil {
		return err
	}
	for _, change := range changes {
		about, ok := approvalFile(change.Path)
		if !ok {
			continue
		}
		decided, readable := fleet.Approval{}, true
		if change.New != "" {
			if decided, readable, err = a.decision(ctx, c.ID, about); err != nil {
				return err
			}
		}
		if n, stood := standing[change.Path]; stood {
			a.out.Refusals[n].Since = endedBy(c, m, change.Path, decided, readable)
			delete(standing, change.Path)
		}
		if decided.Decision != rejected {
			continue
		}
		standing[change.Path] = len(a.out.Refusals)
		a.out.Refusals = append(a.out.Refusals, a.refusal(c, m, change.Path, decided, about))
	}
	return nil
}

// decision is what an approval file says at a commit. It is not readable where
// the commit is no repository: the audit tells that elsewhere.
func (a *auditor) decision(ctx context.Context, commit string, about fleet.AuditRefusal) (fleet.Approval, bool, error) {
	repo, err := a.f.Desired(ctx, commit)
	if isContent(err) {
		return fleet.Approval{}, false, nil
	}
	if err != nil {
		return fleet.Approval{}, false, err
	}
	if about.Tenant != "" {
		said := repo.TenantApprovals[about.Tenant][about.Cycle]
		return fleet.Approval{Decision: said.Decision, Because: said.Because}, true, nil
	}
	return repo.Approvals[about.Cycle][about.Gate], true, nil
}

func (a *auditor) refusal(c gitrepo.CommitInfo, m *fleet.Merge, file string, said fleet.Approval, about fleet.AuditRefusal) fleet.AuditRefusal {
	r := about
	r.Because, r.Plan, r.Commit, r.Title, r.At, r.Proven = said.Because, said.Plan, c.ID, c.Title(), c.When, a.good[c.ID] != nil
	if m != nil {
		r.PR, r.Title, r.Author, r.MergedBy, r.By, r.At = m.PR, m.Title, m.Author, m.MergedBy, countedFor(m, file), m.At
	}
	return r
}

func endedBy(c gitrepo.CommitInfo, m *fleet.Merge, file string, said fleet.Approval, readable bool) fleet.AuditRefusalEnd {
	end := fleet.AuditRefusalEnd{How: said.Decision, Commit: c.ID, At: c.When}
	switch {
	case !readable:
		end.How = "replaced by what cannot be read"
	case end.How == "":
		end.How = "removed"
	}
	if m != nil {
		end.PR, end.By, end.At = m.PR, countedFor(m, file), m.At
	}
	return end
}

// countedFor are those whose word counts for an approval file of a merge: for a
// tenant those who may speak for it, else the operator's approvers.
func countedFor(m *fleet.Merge, file string) []string {
	if _, _, tenants := fleet.TenantApprovalOf(file); tenants {
		return m.Counted[file]
	}
	return m.Approvers
}

// approvalFile says whose decision on what stands in a file of this path: on a
// gate of a cycle, or of a tenant on the cycle. It is not ok for other paths.
func approvalFile(path string) (about fleet.AuditRefusal, ok bool) {
	if t, id, ok := fleet.TenantApprovalOf(path); ok {
		return fleet.AuditRefusal{Cycle: id, Tenant: t}, true
	}
	parts := strings.Split(path, "/")
	if len(parts) != 5 || parts[0] != "schedules" || parts[1] != "cycles" || parts[3] != "approvals" {
		return about, false
	}
	gate, cue := strings.CutSuffix(parts[4], ".cue")
	return fleet.AuditRefusal{Cycle: fleet.CycleID(parts[2]), Gate: gate}, cue
}

// objections notes the reviews of a merge that asked for changes.
func (a *auditor) objections(ctx context.Context, c gitrepo.CommitInfo, m *fleet.Merge) error {
	for i, r := range m.Reviews {
		if r.State != "CHANGES_REQUESTED" || r.At.After(m.At) {
			continue
		}
		o := fleet.AuditObjection{Login: r.Login, At: r.At, Saw: r.Commit, Commit: c.ID, PR: m.PR, Title: m.Title, Approves: m.Approves}
		o.Withdrawn = slices.ContainsFunc(m.Reviews[i+1:], func(later fleet.Review) bool {
			return strings.EqualFold(later.Login, r.Login) && (later.State == "APPROVED" || later.State == "DISMISSED") && !later.At.After(m.At)
		})
		parent, err := a.f.Desired(ctx, c.Parents[0])
		if err != nil && !isContent(err) {
			return err
		}
		o.Approver = err == nil && !r.Bot && parent.Approver(r.Login, m.At)
		a.out.Objections = append(a.out.Objections, o)
	}
	return nil
}
