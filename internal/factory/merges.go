package factory

import (
	"context"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// RecordMerges copies into evidence, for each commit, what git alone does not
// say: the pull request, its reviews with the commit each reviewer saw, its
// checks, the plan it approves. Whose word counts is judged by the policy of
// the first parent, never by that of the commit itself. rec is evidence so far.
func (f *Factory) RecordMerges(ctx context.Context, commits []string, rec *fleet.Record) error {
	if f.Forge == nil {
		return fleet.Errorf(fleet.Invalid, "factory.merges", "", "recording merges needs a forge (GITHUB_REPOSITORY, GITHUB_TOKEN)")
	}
	pulls, err := f.Forge.Pulls(ctx, "closed")
	if err != nil {
		return err
	}
	previous := ""
	if n := len(rec.Merges); n > 0 {
		previous = rec.Merges[n-1].Commit
	}
	rows := make([]fleet.Merge, 0, len(commits))
	for _, commit := range commits {
		row, err := f.mergeRow(ctx, commit, pulls, rec)
		if err != nil {
			return err
		}
		row.Previous = previous
		previous = commit
		rows = append(rows, row)
	}
	return f.Ledger.Append(ctx, evidence.Control, evidence.MergesDir, rows)
}

func (f *Factory) mergeRow(ctx context.Context, commit string, pulls []fleet.Pull, rec *fleet.Record) (fleet.Merge, error) {
	info, err := f.Git.CommitInfo(commit)
	if err != nil {
		return fleet.Merge{}, err
	}
	base, err := f.Git.CommitInfo(info.Parents[0])
	if err != nil {
		return fleet.Merge{}, err
	}
	row := fleet.Merge{
		Base: base.ID, BaseTree: base.Tree, Commit: commit, Tree: info.Tree, Title: info.Title(), At: info.When,
		Reviews: []fleet.Review{}, Checks: []fleet.Check{}, Approvers: []string{},
	}
	if len(info.Parents) > 1 {
		row.Head = info.Parents[1]
	}
	// A direct commit has no pull request, but what it brings is recorded all
	// the same: it must not pass under the review of an earlier merge.
	if i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return p.Commit == commit }); i >= 0 {
		if err := f.addPull(ctx, &row, pulls[i].Number); err != nil {
			return fleet.Merge{}, err
		}
	}
	brought, err := f.broughtBy(ctx, row.Base, commit)
	if err != nil {
		return fleet.Merge{}, err
	}
	row.Releases, row.Approves, row.Plan, row.ApprovalBlobs, row.Revokes = brought.releases, brought.approves, brought.plan, brought.blobs, brought.revokes
	row.Rejects, row.Policy, row.CycleBlobs = brought.rejects, brought.policy, brought.cycles
	parent, err := f.Desired(ctx, row.Base)
	if isContent(err) {
		row.Fault = "follows on a commit that cannot be read as a repository"
		return row, nil
	}
	if err != nil {
		return fleet.Merge{}, err
	}
	w, err := f.weigh(ctx, info, parent, rec, row, brought)
	row.Approvers, row.Counted, row.Auto, row.Fault = w.approvers, w.counted, w.auto, w.fault
	return row, err
}

// addPull adds what the forge knows of the pull request of a merge.
func (f *Factory) addPull(ctx context.Context, row *fleet.Merge, number int) error {
	pull, err := f.Forge.Pull(ctx, number)
	if err != nil {
		return err
	}
	row.PR, row.Title, row.Author, row.MergedBy = pull.Number, pull.Title, pull.Author, pull.MergedBy
	row.Bot = pull.ByBot
	if row.Reviews, err = f.Forge.Reviews(ctx, pull.Number); err != nil {
		return err
	}
	if row.Checks, err = f.Forge.Checks(ctx, pull.Head); err != nil {
		return err
	}
	slices.SortFunc(row.Checks, func(a, b fleet.Check) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// Approvers are the logins whose word on a merge counts: those that approve it
// and are approvers of the policy before it.
func Approvers(parent *fleet.Repository, m fleet.Merge) []string {
	return slices.DeleteFunc(approving(m), func(login string) bool { return !parent.Approver(login, m.At) })
}

// approving are the logins, sorted, that approve a merge: no bot and not who
// opened the pull request, whose last review before the merge approves exactly
// the commit that was merged. Commits name their authors by name and mail
// address, which nobody checks, and not by login: who else wrote commits of the
// branch is not looked at.
func approving(m fleet.Merge) []string {
	last := map[string]fleet.Review{}
	for _, r := range m.Reviews {
		if r.State != "COMMENTED" && !r.At.After(m.At) {
			last[strings.ToLower(r.Login)] = r
		}
	}
	out := []string{}
	if m.Head == "" {
		return out // nothing was reviewed that could have been merged
	}
	for _, r := range last {
		if r.State == "APPROVED" && !r.Bot && r.Commit == m.Head && !strings.EqualFold(r.Login, m.Author) {
			out = append(out, r.Login)
		}
	}
	slices.Sort(out)
	return out
}
