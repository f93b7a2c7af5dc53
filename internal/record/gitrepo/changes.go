package gitrepo

import (
	"context"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// A Change is one file that differs between two commits. Blob and mode are ""
// on the side where the file is absent.
type Change struct {
	Path             string
	Old, New         string // blob ids
	OldMode, NewMode string
}

// Changed lists the files that differ from commit a to commit b, sorted by
// path; a may be "" for no files. Equal folders are not read, so that the work
// grows with the change and not with the repository.
func (r *Repo) Changed(ctx context.Context, a, b string) ([]Change, error) {
	var roots [2]plumbing.Hash
	for i, rev := range []string{a, b} {
		if rev == "" {
			continue
		}
		t, err := r.Tree(rev)
		if err != nil {
			return nil, err
		}
		roots[i] = t.root
	}
	var out []Change
	if err := r.differ(ctx, roots[0], roots[1], "", 0, &out); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// differ adds the files that differ between two trees; a zero id is an empty
// one.
func (r *Repo) differ(ctx context.Context, old, new plumbing.Hash, folder string, depth int, out *[]Change) error {
	if old == new {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fleet.Errorf(fleet.Refused, "gitrepo.changed", folder, "lies deeper than %d folders", maxDepth)
	}
	was, err := r.folder(old)
	if err != nil {
		return inFolder(folder, err)
	}
	is, err := r.folder(new)
	if err != nil {
		return inFolder(folder, err)
	}
	for name := range was {
		if _, still := is[name]; !still {
			is[name] = entry{}
		}
	}
	for name, to := range is {
		from := was[name]
		if from == to {
			continue
		}
		if err := r.differAt(ctx, from, to, join(folder, name), depth, out); err != nil {
			return err
		}
	}
	return nil
}

// differAt adds what differs at one path.
func (r *Repo) differAt(ctx context.Context, from, to entry, path string, depth int, out *[]Change) error {
	var below [2]plumbing.Hash
	c := Change{Path: path}
	if from.isTree() {
		below[0] = from.id
	} else if from.mode != "" {
		c.Old, c.OldMode = from.id.String(), from.mode
	}
	if to.isTree() {
		below[1] = to.id
	} else if to.mode != "" {
		c.New, c.NewMode = to.id.String(), to.mode
	}
	if c.Old != "" || c.New != "" {
		*out = append(*out, c)
	}
	return r.differ(ctx, below[0], below[1], path, depth+1, out)
}

// folder is a tree's entries by name; a zero id has none.
func (r *Repo) folder(id plumbing.Hash) (map[string]entry, error) {
	if id.IsZero() {
		return map[string]entry{}, nil
	}
	entries, err := r.readTree(id)
	if err != nil {
		return nil, err
	}
	out := make(map[string]entry, len(entries))
	for _, e := range entries {
		out[e.name] = e
	}
	return out, nil
}
