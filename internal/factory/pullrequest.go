package factory

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// proposal is a pull request that should exist: files to add or change on top
// of main, and what it says.
type proposal struct {
	files map[string][]byte
	spec  fleet.PullSpec
	// answers says that people answer by changing these files on the branch,
	// "rejected" for "approved": what somebody committed there is left alone.
	answers bool
}

// propose makes the pull request of a proposal be open and say what it should.
// A branch that holds the files already is left alone, so that reviews of it
// stay valid; a second run writes nothing. The changed tree is loaded and
// checked before anything leaves this machine.
func (f *Factory) propose(ctx context.Context, main string, p proposal) (fleet.Pull, bool, error) {
	if f.Forge == nil {
		return fleet.Pull{}, false, fleet.Errorf(fleet.Invalid, "factory.propose", p.spec.Branch, "a pull request needs a forge (GITHUB_REPOSITORY, GITHUB_TOKEN)")
	}
	same, err := f.holds(ctx, p.spec.Branch, main, p.files)
	if err != nil {
		return fleet.Pull{}, false, err
	}
	if !same && p.answers {
		if same, err = f.answered(ctx, p, main); err != nil {
			return fleet.Pull{}, false, err
		}
	}
	if !same {
		if err := f.pushBranch(ctx, main, p); err != nil {
			return fleet.Pull{}, false, err
		}
	}
	p.spec.Base = "main"
	pull, changed, err := f.Forge.EnsurePull(ctx, p.spec)
	return pull, changed || !same, err
}

// holds reports whether the branch exists and changes exactly these files.
func (f *Factory) holds(ctx context.Context, branch, main string, files map[string][]byte) (bool, error) {
	head, err := f.remoteBranch(branch)
	if err != nil || head == "" {
		return false, err
	}
	info, err := f.Git.CommitInfo(head)
	if err != nil || len(info.Parents) != 1 {
		return false, err
	}
	current, err := f.Git.IsAncestor(ctx, info.Parents[0], main)
	if err != nil || !current {
		return false, err
	}
	changes, err := f.Git.Changed(ctx, info.Parents[0], head)
	if err != nil || len(changes) != len(files) {
		return false, err
	}
	tree, err := f.Git.Tree(head)
	if err != nil {
		return false, err
	}
	for _, c := range changes {
		want, ok := files[c.Path]
		if !ok || c.New == "" {
			return false, nil
		}
		have, err := tree.Read(c.Path)
		if err != nil || !bytes.Equal(have, want) {
			return false, err
		}
	}
	return true, nil
}

// answered reports whether somebody else committed to the branch of a proposal,
// to its files alone.
func (f *Factory) answered(ctx context.Context, p proposal, main string) (bool, error) {
	head, err := f.remoteBranch(p.spec.Branch)
	if err != nil || head == "" {
		return false, err
	}
	info, err := f.Git.CommitInfo(head)
	if err != nil || info.Author == f.Author {
		return false, err
	}
	base, err := f.Git.MergeBase(ctx, main, head)
	if err != nil {
		return false, err
	}
	changes, err := f.Git.Changed(ctx, base, head)
	if err != nil || len(changes) == 0 {
		return false, err // nothing is left of it: it was merged
	}
	return !slices.ContainsFunc(changes, func(c gitrepo.Change) bool { return p.files[c.Path] == nil }), nil
}

func (f *Factory) pushBranch(ctx context.Context, main string, p proposal) error {
	commit, err := f.Git.Commit(ctx, gitrepo.CommitSpec{
		Parents: []string{main}, Base: main, Files: p.files, Message: p.spec.Title + "\n", Author: f.Author, When: f.Clock.Now(),
	})
	if err != nil {
		return err
	}
	if _, err := f.Desired(ctx, commit); err != nil {
		return err
	}
	f.Log.Debug("push", "branch", p.spec.Branch, "files", slices.Sorted(maps.Keys(p.files)))
	if !strings.HasPrefix(p.spec.Branch, bumpPrefix) {
		return f.Git.Push(ctx, []string{commit + ":refs/heads/" + p.spec.Branch}, true)
	}
	// People work on proposals of versions: what they push while this runs stays.
	seen, err := f.remoteBranch(p.spec.Branch)
	if err != nil {
		return err
	}
	err = f.Git.Replace(ctx, p.spec.Branch, seen, commit)
	if !errors.Is(err, gitrepo.ErrNotFastForward) {
		return err
	}
	if fetched := f.Git.FetchBranch(ctx, p.spec.Branch); fetched != nil {
		return errors.Join(err, fetched)
	}
	same, holds := f.holds(ctx, p.spec.Branch, main, p.files)
	if same && holds == nil {
		return nil // another run made the same proposal meanwhile
	}
	return errors.Join(err, holds)
}

// remoteBranch is the commit of a branch where others see it: on the remote,
// or here when there is none. "" when the branch does not exist.
func (f *Factory) remoteBranch(branch string) (string, error) {
	if f.Git.HasRemote() {
		return f.Git.Ref("refs/remotes/origin/" + branch)
	}
	return f.Git.Ref("refs/heads/" + branch)
}
