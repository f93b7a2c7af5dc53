package factory

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// RecordMerges copies into evidence, for each commit, what git alone does not
// say: the pull request, its reviews with the commit each reviewer saw, its
// checks, the plan it approves. Whose word counts is judged by the policy of
// the first parent, never by that of the commit itself.
func (f *Factory) RecordMerges(ctx context.Context, commits []string, known []fleet.Merge) error {
	if f.Forge == nil {
		return fleet.Errorf(fleet.Invalid, "factory.merges", "", "recording merges needs a forge (PACKMILL_FORGE)")
	}
	pulls, err := f.Forge.Pulls(ctx, "closed")
	if err != nil {
		return err
	}
	previous := ""
	if n := len(known); n > 0 {
		previous = known[n-1].Commit
	}
	rows := make([]fleet.Merge, 0, len(commits))
	for _, commit := range commits {
		row, err := f.mergeRow(ctx, commit, pulls)
		if err != nil {
			return err
		}
		row.Previous = previous
		previous = commit
		rows = append(rows, row)
	}
	return f.Ledger.Append(ctx, evidence.Control, evidence.MergesDir, rows)
}

func (f *Factory) mergeRow(ctx context.Context, commit string, pulls []fleet.Pull) (fleet.Merge, error) {
	info, err := f.Git.CommitInfo(commit)
	if err != nil {
		return fleet.Merge{}, err
	}
	row := fleet.Merge{Base: info.Parents[0], Commit: commit, Tree: info.Tree, At: info.When, Reviews: []fleet.Review{}, Checks: []fleet.Check{}, Approvers: []string{}}
	if len(info.Parents) > 1 {
		row.Head = info.Parents[1]
	}
	row.Title = info.Title()
	i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return p.Commit == commit })
	if i < 0 {
		return row, nil // a direct commit: recorded as it is, and the audit says so
	}
	pull, err := f.Forge.Pull(ctx, pulls[i].Number)
	if err != nil {
		return fleet.Merge{}, err
	}
	row.PR, row.Title, row.Author, row.MergedBy = pull.Number, pull.Title, pull.Author, pull.MergedBy
	if row.Reviews, err = f.Forge.Reviews(ctx, pull.Number); err != nil {
		return fleet.Merge{}, err
	}
	if row.Checks, err = f.Forge.Checks(ctx, pull.Head); err != nil {
		return fleet.Merge{}, err
	}
	slices.SortFunc(row.Checks, func(a, b fleet.Check) int { return strings.Compare(a.Name, b.Name) })
	parent, err := f.Desired(ctx, row.Base)
	if err != nil {
		return fleet.Merge{}, err
	}
	row.Approvers = Approvers(parent, row)
	if row.Releases, err = f.releasesIn(ctx, row.Base, commit); err != nil {
		return fleet.Merge{}, err
	}
	row.Approves, row.Plan, err = f.approvalIn(ctx, row.Base, commit)
	return row, err
}

// releasesIn names the releases whose files a merge adds.
func (f *Factory) releasesIn(ctx context.Context, base, commit string) ([]string, error) {
	changes, err := f.Git.Changed(ctx, base, commit)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range changes {
		dir, file := path.Split(c.Path)
		version, cue := strings.CutSuffix(file, ".cue")
		id, inCatalog := strings.CutPrefix(path.Clean(dir), "catalog/")
		if c.Old == "" && cue && inCatalog && strings.Count(id, "/") == 1 && version != "package" {
			out = append(out, id+"@"+version)
		}
	}
	return out, nil
}

// Approvers are the logins whose word on a merge counts: approvers of the
// policy before it, not its author and no bot, whose last review approves
// exactly the commit that was merged.
func Approvers(parent *fleet.Repository, m fleet.Merge) []string {
	last := map[string]fleet.Review{}
	for _, r := range m.Reviews {
		if r.State != "COMMENTED" {
			last[strings.ToLower(r.Login)] = r
		}
	}
	out := []string{}
	for _, r := range last {
		if r.State == "APPROVED" && !r.Bot && r.Commit == m.Head && !strings.EqualFold(r.Login, m.Author) && parent.Approver(r.Login, m.At) {
			out = append(out, r.Login)
		}
	}
	slices.Sort(out)
	return out
}

// approvalIn names the gate and plan of the approval file that a merge adds,
// empty when it adds none.
func (f *Factory) approvalIn(ctx context.Context, base, commit string) (approves string, plan fleet.Digest, err error) {
	changes, err := f.Git.Changed(ctx, base, commit)
	if err != nil {
		return "", "", err
	}
	for _, c := range changes {
		parts := strings.Split(c.Path, "/")
		if len(parts) != 5 || parts[0] != "schedules" || parts[1] != "cycles" || parts[3] != "approvals" || c.New == "" {
			continue
		}
		repo, err := f.Desired(ctx, commit)
		if err != nil {
			return "", "", err
		}
		gate := strings.TrimSuffix(parts[4], ".cue")
		if a, ok := repo.Approvals[fleet.CycleID(parts[2])][gate]; ok {
			return parts[2] + "/" + gate, a.Plan, nil
		}
	}
	return "", "", nil
}
