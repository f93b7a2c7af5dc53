package gitrepo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// Desired is the tree as package desired reads it, with sizes, under ctx.
func (t *Tree) Desired(ctx context.Context) desired.Tree { return desiredTree{t, ctx} }

// A desiredTree keeps the context of the one reading it is made for: the
// interface is that of a work tree too, which needs none.
type desiredTree struct {
	*Tree
	ctx context.Context
}

// Files lists files with their sizes. A submodule has none.
func (t desiredTree) Files(prefix string) ([]desired.File, error) {
	files, err := t.Tree.Files(t.ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]desired.File, len(files))
	for i, f := range files {
		out[i] = desired.File{Path: f.Path, Blob: f.Blob}
		switch f.Mode {
		case modeSubmodule:
			out[i].Mode = desired.Submodule
			continue
		case modeSymlink:
			out[i].Mode = desired.Symlink
		}
		if out[i].Size, err = t.repo.size(f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// size is the size of a file's content, read from the object's header.
func (r *Repo) size(f File) (int64, error) {
	id := plumbing.NewHash(f.Blob)
	size, err := r.store.EncodedObjectSize(id)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, r.missing(plumbing.BlobObject, id)
	}
	if err != nil {
		return 0, fleet.Errorf(fleet.Internal, "gitrepo.files", f.Path, "size cannot be read: %w", err)
	}
	return size, nil
}
