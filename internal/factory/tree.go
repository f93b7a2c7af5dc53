package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A gitTree is a commit's files as the reader of desired state takes them:
// from git blobs, where no symlink can be followed and no .git can be read.
type gitTree struct {
	ctx  context.Context
	tree *gitrepo.Tree
}

// TreeOf is the files of a commit, branch or other revision.
func TreeOf(ctx context.Context, git *gitrepo.Repo, rev string) (desired.Tree, error) {
	tree, err := git.Tree(rev)
	if err != nil {
		return nil, err
	}
	return gitTree{ctx, tree}, nil
}

// Commit is the id of the commit.
func (t gitTree) Commit() string { return t.tree.Commit() }

// Files lists what is below prefix.
func (t gitTree) Files(prefix string) ([]desired.File, error) {
	list, err := t.tree.Files(t.ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]desired.File, len(list))
	for i, f := range list {
		out[i] = desired.File{Path: f.Path, Blob: f.Blob, Mode: modes[f.Mode]}
		if out[i].Mode == desired.Regular {
			if out[i].Size, err = t.tree.Size(f.Blob); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// modes are git's file modes; what is not here is an ordinary file.
var modes = map[string]desired.Mode{"120000": desired.Symlink, "160000": desired.Submodule}

// Read is the content of one file.
func (t gitTree) Read(path string) ([]byte, error) { return t.tree.Read(path) }

// readFile is a package's payload file, as text, at a commit.
func (f *Factory) readFile(commit string, id fleet.PackageID, name string) (string, error) {
	tree, err := f.Git.Tree(commit)
	if err != nil {
		return "", err
	}
	data, err := tree.Read(id.Dir() + "/" + name)
	return string(data), err
}
