package evidence

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/record/gitrepo"
)

// git is the part of a repository that the ledger works on. Object ids are
// hex; "" stands for no commit.
type git interface {
	// Ref is the commit a full ref name points at, "" if there is none.
	Ref(name string) (string, error)
	CommitInfo(id string) (gitrepo.CommitInfo, error)
	// Files lists the files of a commit below a folder, "" for all.
	Files(ctx context.Context, commit, folder string) ([]gitrepo.File, error)
	Changed(ctx context.Context, from, to string) ([]gitrepo.Change, error)
	ReadBlob(id string) ([]byte, error)
	WriteBlob(data []byte) (string, error)
	Commit(ctx context.Context, spec gitrepo.CommitSpec) (string, error)
	// SetBranch moves a branch from old to new, or fails with errMoved.
	SetBranch(branch, old, new string) error
	HasRemote() bool
	// Push makes the remote's branches be the commits by fast-forward, and those
	// below refs/remotes/origin with them, or fails with errMoved.
	Push(ctx context.Context, commits map[string]string) error
	// Fetch brings the remote's branch, if it has it, to refs/remotes/origin.
	Fetch(ctx context.Context, branch string) error
}

// errMoved says that a branch is not where it was thought to be: someone else
// wrote first.
var errMoved = errors.New("the branch has moved")

// fileMode is the mode of every file of the ledger.
const fileMode = "100644"

// A repository is a real one as the ledger sees it.
type repository struct{ *gitrepo.Repo }

func (r repository) Files(ctx context.Context, commit, folder string) ([]gitrepo.File, error) {
	t, err := r.Tree(commit)
	if err != nil {
		return nil, err
	}
	return t.Files(ctx, folder)
}

func (r repository) SetBranch(branch, old, new string) error {
	err := r.Repo.SetBranch(branch, old, new)
	if errors.Is(err, gitrepo.ErrMoved) {
		return errMoved
	}
	return err
}

func (r repository) Push(ctx context.Context, commits map[string]string) error {
	var specs []string
	for _, branch := range slices.Sorted(maps.Keys(commits)) {
		specs = append(specs, commits[branch]+":refs/heads/"+branch)
	}
	err := r.Repo.Push(ctx, specs, false)
	if errors.Is(err, gitrepo.ErrNotFastForward) {
		return errMoved
	}
	return err
}

func (r repository) Fetch(ctx context.Context, branch string) error {
	return r.FetchBranch(ctx, branch)
}
