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
	"github.com/packmill/packmill/internal/record/desired"
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
}

// bumpPrefix begins the branches that propose versions.
const bumpPrefix = "bump/"

func (f *Factory) round(look Look, pulls []fleet.Pull) (*round, error) {
	r := &round{look: look, pulls: pulls}
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
// request is open already, which need no room; then those whose vendor names a
// vulnerability in the notes, and then whatever was published first. Versions of
// one instant go by id.
func (r *round) order(findings []Finding) []int {
	var out []int
	for i, f := range findings {
		if f.State == fleet.StateNew {
			out = append(out, i)
		}
	}
	rank := func(f Finding) int {
		if _, open := r.openOn(BumpBranch(f.Package, f.Found)); open {
			return 0
		}
		if len(bump.Named(f.Upstream.Notes)) > 0 {
			return 1
		}
		return 2
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

// declined says that a person closed the branch's newest pull request, "" when
// none did. One that packmill closed itself, for another version, is no word of
// a person's.
func (f *Factory) declined(ctx context.Context, r *round, branch string) (string, error) {
	if _, open := r.openOn(branch); open {
		return "", nil
	}
	var closed fleet.Pull
	for _, p := range r.pulls {
		if p.Branch == branch && p.State == "closed" && p.Number > closed.Number {
			closed = p
		}
	}
	if closed.Number == 0 {
		return "", nil
	}
	comments, err := f.Forge.Comments(ctx, closed.Number)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(comments, func(c fleet.Comment) bool { return c.Own && strings.HasPrefix(c.Body, closedMark) }) {
		return "", nil
	}
	return fmt.Sprintf("declined: pull request %d was closed; reopen it to take the version up again", closed.Number), nil
}

// closedMark begins the comment with which the forge's client closes a pull
// request.
const closedMark = "<!-- packmill:closed -->"

// replaces reports whether another version of the package is open: opening this
// one closes that one.
func (r *round) replaces(id fleet.PackageID, branch string) bool {
	return slices.ContainsFunc(r.pulls, func(p fleet.Pull) bool {
		return p.State == "open" && p.Branch != branch && strings.HasPrefix(p.Branch, BumpBranch(id, ""))
	})
}

// full says why a pull request that is not open yet must wait, "" when there is
// room.
func (r *round) full(id fleet.PackageID, branch string) string {
	if _, open := r.openOn(branch); open {
		return ""
	}
	switch {
	case r.limits.PerRun > 0 && r.begun >= r.limits.PerRun:
		return fmt.Sprintf("waits for the next run: %d were opened in this one, as many as policy allows", r.begun)
	case r.limits.Open > 0 && r.open >= r.limits.Open && !r.replaces(id, branch):
		return fmt.Sprintf("waits: %d proposals are open, as many as policy allows", r.open)
	default:
		return ""
	}
}

// opened notes that the branch has an open pull request now.
func (r *round) opened(id fleet.PackageID, branch string) {
	if _, open := r.openOn(branch); open {
		return
	}
	r.begun++
	if !r.replaces(id, branch) {
		r.open++
	}
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

// askOwners asks the owners of the release file for a review, where nobody was
// asked and nobody reviewed yet: in the run that wrote the pull request, so that
// later ones with nothing new write nothing. An owner whom the forge does not
// know must not stop a proposal: the note tells.
func (f *Factory) askOwners(ctx context.Context, round *round, out *Proposed) error {
	logins, teams := owners.Reviewers(round.owners.Of(desired.ReleasePath(out.Package, out.Found)))
	logins = slices.DeleteFunc(slices.Clone(logins), func(l string) bool { return strings.EqualFold(l, out.Pull.Author) })
	if !out.Changed || len(logins)+len(teams) == 0 || len(out.Pull.Asked) > 0 {
		return nil
	}
	reviews, err := f.Forge.Reviews(ctx, out.Pull.Number)
	if err != nil || len(reviews) > 0 {
		return err
	}
	err = f.Forge.RequestReviewers(ctx, out.Pull.Number, logins, teams)
	if kind := fleet.KindOf(err); err != nil && (kind == fleet.Invalid || kind == fleet.Refused) {
		out.Note = strings.TrimPrefix(out.Note+"; the owners of CODEOWNERS could not be asked: "+err.Error(), "; ")
		return nil
	}
	out.Changed = out.Changed || err == nil
	return err
}
