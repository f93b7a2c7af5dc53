package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/owners"
)

// A round is one run's proposals: what the forge had at its start, and how much
// room policy leaves.
type round struct {
	look   Look
	pulls  []fleet.Pull
	limits fleet.Proposals
	owners owners.Set
	begun  int // pull requests this run opened
	open   int // proposals that are open now
	got    *pool
	found  map[fleet.PackageID]Finding

	closedAs map[int]bool // pull request → packmill closed it for another one; what was asked for so far
}

// bumpPrefix begins the branches that propose versions.
const bumpPrefix = "bump/"

func (f *Factory) round(look Look, pulls []fleet.Pull) (*round, error) {
	r := &round{look: look, pulls: pulls, found: map[fleet.PackageID]Finding{}, closedAs: map[int]bool{}}
	if p := look.Repo.Operator.Proposals; p != nil {
		r.limits = *p
	}
	for _, p := range pulls {
		if p.State == "open" && strings.HasPrefix(p.Branch, bumpPrefix) {
			r.open++
		}
	}
	for _, name := range owners.Files() {
		data, err := f.fileOnMain(look.Repo.Commit, name)
		if err != nil {
			return nil, err
		}
		if data != nil {
			r.owners = owners.Parse(data)
			break
		}
	}
	return r, nil
}

// fileOnMain is a file of a commit that packmill has no schema for, nil when
// there is none.
func (f *Factory) fileOnMain(commit, name string) ([]byte, error) {
	tree, err := f.Git.Tree(commit)
	if err != nil {
		return nil, err
	}
	data, err := tree.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// order is the order in which new versions are taken: first those whose pull
// request is open already, which need no room; then those that fix what is known
// to be exploited; then those whose vendor names a vulnerability in the notes, and
// then whatever was published first. Versions of one instant go by id.
func (r *round) order(findings []Finding) []int {
	var out []int
	for i, f := range findings {
		if f.State == fleet.StateNew {
			out = append(out, i)
		}
	}
	groups := r.openGroups()
	rank := func(f Finding) int {
		_, open := r.openOn(BumpBranch(f.Package, f.Found))
		if open || slices.Contains(groups, r.limits.GroupOf(f.Package)) {
			return 0
		}
		switch {
		case len(f.Fixes) > 0:
			return 1
		case len(bump.Named(f.Upstream.Notes)) > 0:
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		x, y := findings[a], findings[b]
		return cmp.Or(rank(x)-rank(y), x.Upstream.Published.Compare(y.Upstream.Published))
	})
	return out
}

// openOn is the open pull request of a branch.
func (r *round) openOn(branch string) (fleet.Pull, bool) {
	i := slices.IndexFunc(r.pulls, func(p fleet.Pull) bool { return p.Branch == branch && p.State == "open" })
	if i < 0 {
		return fleet.Pull{}, false
	}
	return r.pulls[i], true
}

// openGroups are the groups with an open pull request, by name.
func (r *round) openGroups() []string {
	var out []string
	for _, p := range r.pulls {
		name := groupOfBranch(p.Branch)
		if _, taken := r.look.Repo.Packages[fleet.PackageID("group/"+name)]; name != "" && !taken && p.State == "open" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// replaces counts the open pull requests for other versions of the packages:
// opening this one closes them.
func (r *round) replaces(ids []fleet.PackageID, branch string) int {
	n := 0
	for _, p := range r.pulls {
		if p.State == "open" && p.Branch != branch && slices.ContainsFunc(ids, func(id fleet.PackageID) bool { return strings.HasPrefix(p.Branch, BumpBranch(id, "")) }) {
			n++
		}
	}
	return n
}

// full says why a pull request that is not open yet must wait, "" when there is
// room.
func (r *round) full(ids []fleet.PackageID, branch string) string {
	if _, open := r.openOn(branch); open {
		return ""
	}
	switch {
	case r.limits.PerRun > 0 && r.begun >= r.limits.PerRun:
		return fmt.Sprintf("waits for the next run: %d were opened in this one, as many as policy allows", r.begun)
	case r.limits.Open > 0 && r.open >= r.limits.Open && r.replaces(ids, branch) == 0:
		return fmt.Sprintf("waits: %d proposals are open, as many as policy allows", r.open)
	default:
		return ""
	}
}

// opened notes that the branch has an open pull request now.
func (r *round) opened(ids []fleet.PackageID, branch string) {
	if _, open := r.openOn(branch); open {
		return
	}
	r.begun++
	r.open += 1 - r.replaces(ids, branch)
}

// strangers says who else committed to a branch, "" when nobody did: nobody's
// work is overwritten. Whoever amended a commit of ours is its committer.
func (f *Factory) strangers(ctx context.Context, main, branch string) (string, error) {
	const most = 100 // commits of a branch; a longer one is not ours either
	id, err := f.remoteBranch(branch)
	if err != nil || id == "" {
		return "", err
	}
	for range most {
		if merged, err := f.Git.IsAncestor(ctx, id, main); err != nil || merged {
			return "", err
		}
		info, err := f.Git.CommitInfo(id)
		if err != nil {
			return "", err
		}
		for _, who := range []fleet.Identity{info.Author, info.Committer} {
			if who != f.Author {
				return who.Name, nil
			}
		}
		if len(info.Parents) == 0 {
			return "", nil
		}
		id = info.Parents[0]
	}
	return "somebody", nil
}

// askOwners asks the owners of the release files for a review, where nobody was
// asked and nobody reviewed yet: in the run that wrote the pull request, so that
// later ones with nothing new write nothing. An owner whom the forge does not
// know must not stop a proposal: the note tells.
func (f *Factory) askOwners(ctx context.Context, round *round, out *Proposed, files ...string) error {
	var logins, teams []string
	for _, file := range files {
		l, t := owners.Reviewers(round.owners.Of(file))
		logins, teams = append(logins, l...), append(teams, t...)
	}
	logins = slices.DeleteFunc(unique(logins), func(l string) bool { return strings.EqualFold(l, out.Pull.Author) })
	teams = unique(teams)
	if !out.Changed || len(logins)+len(teams) == 0 || len(out.Pull.Asked) > 0 {
		return nil
	}
	reviews, err := f.Forge.Reviews(ctx, out.Pull.Number)
	if err != nil || len(reviews) > 0 {
		return err
	}
	err = f.Forge.RequestReviewers(ctx, out.Pull.Number, logins, teams)
	if kind := fleet.KindOf(err); err != nil && (kind == fleet.Invalid || kind == fleet.Refused) {
		out.Note = join(out.Note, "the owners of CODEOWNERS could not be asked: "+err.Error())
		return nil
	}
	out.Changed = out.Changed || err == nil
	return err
}

// unique is list without what it said before.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// join puts two notes into one.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
