package factory

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/packmill/packmill/internal/fleet"
)

// pullNumber finds the number of a pull request in the title of its merge, as
// forges write it.
var pullNumber = regexp.MustCompile(`\(#([0-9]+)\)$|^Merge pull request #([0-9]+) `)

// Assumed are the records that a run would write of merges, by commit, as far
// as a clone alone tells. Who reviewed them only the forge knows: it is assumed
// that as many approvers did as the policy before the merge asks for. A
// rehearsal may go on from such records; evidence never holds them.
func (f *Factory) Assumed(ctx context.Context, commits []string, rec *fleet.Record) (map[string]fleet.Merge, error) {
	out := map[string]fleet.Merge{}
	for _, commit := range commits {
		info, err := f.Git.CommitInfo(commit)
		if err != nil {
			return nil, err
		}
		base, err := f.Git.CommitInfo(info.Parents[0])
		if err != nil {
			return nil, err
		}
		m := fleet.Merge{
			Base: base.ID, BaseTree: base.Tree, Commit: commit, Tree: info.Tree, Title: info.Title(), At: info.When,
			Reviews: []fleet.Review{}, Checks: []fleet.Check{}, Approvers: []string{},
		}
		if len(info.Parents) > 1 {
			m.Head = info.Parents[1]
		}
		if found := pullNumber.FindStringSubmatch(info.Title()); found != nil {
			m.PR, _ = strconv.Atoi(found[1] + found[2]) // digits alone
		}
		brought, err := f.broughtBy(ctx, m.Base, commit)
		if err != nil {
			return nil, err
		}
		m.Releases, m.Approves, m.Plan, m.ApprovalBlobs, m.Revokes = brought.releases, brought.approves, brought.plan, brought.blobs, brought.revokes
		m.Rejects = brought.rejects
		parent, err := f.Desired(ctx, m.Base)
		if isContent(err) {
			m.Fault = "follows on a commit that cannot be read as a repository"
			out[commit] = m
			continue
		}
		if err != nil {
			return nil, err
		}
		if m.Head != "" {
			assume(parent, &m)
			assumeAnswers(parent, &m)
		}
		w, err := f.weigh(ctx, info, parent, rec, m, brought)
		if err != nil {
			return nil, err
		}
		m.Approvers, m.Counted, m.Auto, m.Fault = w.approvers, w.counted, w.auto, w.fault
		out[commit] = m
	}
	return out, nil
}

// assume lets approvers of a policy have approved a merge: those of the
// operator.
func assume(parent *fleet.Repository, m *fleet.Merge) {
	for _, role := range slices.Sorted(maps.Keys(parent.Operator.Approvers)) {
		for _, p := range parent.Operator.Approvers[role] {
			if p.InForce(m.At) && !slices.Contains(m.Approvers, p.Login) && len(m.Approvers) < max(1, parent.Operator.Trust.Approvals) {
				m.Approvers = append(m.Approvers, p.Login)
				m.Reviews = append(m.Reviews, fleet.Review{Login: p.Login, State: "APPROVED", Commit: m.Head, At: m.At})
			}
		}
	}
	slices.Sort(m.Approvers)
}

// assumeAnswers lets one approver of each tenant whose answer a merge brings
// have approved it.
func assumeAnswers(parent *fleet.Repository, m *fleet.Merge) {
	for _, file := range slices.Sorted(maps.Keys(m.ApprovalBlobs)) {
		id, _, answers := fleet.TenantApprovalOf(file)
		if _, known := parent.Tenants[id]; !answers || !known {
			continue
		}
		persons := parent.TenantApprovers(id)
		if i := slices.IndexFunc(persons, func(p fleet.Person) bool { return p.InForce(m.At) }); i >= 0 {
			m.Reviews = append(m.Reviews, fleet.Review{Login: persons[i].Login, State: "APPROVED", Commit: m.Head, At: m.At})
		}
	}
}
