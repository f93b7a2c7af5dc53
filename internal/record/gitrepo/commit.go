package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// A CommitSpec says what a commit is to hold.
type CommitSpec struct {
	Parents []string // commit ids
	// Base is the commit whose files Files are laid over. "" means the first
	// parent, or no files at all when there are no parents.
	Base    string
	Files   map[string][]byte // path → content; nil removes the file
	Message string            // a last line end is added if it lacks one
	Author  fleet.Identity    // and committer
	When    time.Time         // of both; to the second, written as UTC
}

// Commit writes a commit and returns its id. No branch moves: see SetBranch.
// The same spec gives the same id. A file that is overwritten keeps its mode;
// removing what is not there, and paths that are unsafe or in each other's way,
// are Invalid.
func (r *Repo) Commit(ctx context.Context, spec CommitSpec) (string, error) {
	c := commit{message: spec.Message, author: spec.Author, committer: spec.Author, when: spec.When, committed: spec.When}
	for _, p := range spec.Parents {
		id, err := parseID(p)
		if err != nil {
			return "", err
		}
		if _, err := r.readCommit(id); err != nil {
			return "", err
		}
		c.parents = append(c.parents, id)
	}
	base := spec.Base
	if base == "" && len(spec.Parents) > 0 {
		base = spec.Parents[0]
	}
	var root plumbing.Hash
	if base != "" {
		t, err := r.Tree(base)
		if err != nil {
			return "", err
		}
		root = t.root
	}
	changes, err := plant(spec.Files)
	if err != nil {
		return "", err
	}
	if c.tree, _, err = r.build(ctx, root, "", changes); err != nil {
		return "", err
	}
	return r.writeCommit(c)
}

// A change is what happens at one place of a tree: to the file of that name,
// and to what is below a folder of that name.
type change struct {
	set    bool // the file is written or removed
	remove bool
	data   []byte
	below  map[string]*change
}

// plant makes a tree of changes from paths.
func plant(files map[string][]byte) (*change, error) {
	root := &change{below: map[string]*change{}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := CheckPath(path); err != nil {
			return nil, &fleet.Error{Op: "gitrepo.commit", Kind: fleet.Invalid, Err: err}
		}
		at := root
		for name := range strings.SplitSeq(path, "/") {
			if at.below == nil {
				at.below = map[string]*change{}
			}
			if at.below[name] == nil {
				at.below[name] = &change{}
			}
			at = at.below[name]
		}
		at.set, at.remove, at.data = true, files[path] == nil, files[path]
	}
	return root, nil
}

// build writes the tree id with changes applied. empty says that nothing is
// left in it.
func (r *Repo) build(ctx context.Context, id plumbing.Hash, folder string, changes *change) (_ plumbing.Hash, empty bool, err error) {
	if err := ctx.Err(); err != nil {
		return plumbing.ZeroHash, false, err
	}
	var entries []entry
	if !id.IsZero() {
		if entries, err = r.readTree(id); err != nil {
			return plumbing.ZeroHash, false, inFolder(folder, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changes.below)) {
		if entries, err = r.apply(ctx, entries, folder, name, changes.below[name]); err != nil {
			return plumbing.ZeroHash, false, err
		}
	}
	if err := checkNames(entries); err != nil {
		return plumbing.ZeroHash, false, fleet.Errorf(fleet.Invalid, "gitrepo.commit", folder, "%w", err)
	}
	if len(entries) == 0 && folder != "" {
		return plumbing.ZeroHash, true, nil
	}
	tree, err := r.writeTree(entries)
	return tree, len(entries) == 0, err
}

// apply makes the change of one name in a folder's entries.
func (r *Repo) apply(ctx context.Context, entries []entry, folder, name string, c *change) ([]entry, error) {
	path := join(folder, name)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name })
	var was entry
	if i >= 0 {
		was = entries[i]
	}
	var is []entry
	switch {
	case c.set && c.remove && (i < 0 || was.isTree()):
		return nil, fleet.Errorf(fleet.Invalid, "gitrepo.commit", path, "cannot be removed: there is no such file")
	case c.set && !c.remove:
		if was.isTree() {
			// A file may take a folder's place only if the spec empties it.
			if _, empty, err := r.build(ctx, was.id, path, &change{below: c.below}); err != nil || !empty {
				return nil, errors.Join(err, fleet.Errorf(fleet.Invalid, "gitrepo.commit", path, "there is a folder of that name"))
			}
		} else if len(c.below) > 0 {
			return nil, fleet.Errorf(fleet.Invalid, "gitrepo.commit", path, "cannot be a file and a folder")
		}
		id, err := r.write(plumbing.BlobObject, c.data)
		if err != nil {
			return nil, err
		}
		mode := modeFile
		if was.mode == modeExecutable {
			mode = modeExecutable
		}
		is = append(is, entry{name: name, mode: mode, id: id})
	case len(c.below) > 0:
		if i >= 0 && !was.isTree() && !c.remove {
			return nil, fleet.Errorf(fleet.Invalid, "gitrepo.commit", path, "there is a file of that name")
		}
		var start plumbing.Hash
		if was.isTree() {
			start = was.id
		}
		id, empty, err := r.build(ctx, start, path, &change{below: c.below})
		if err != nil {
			return nil, err
		}
		if !empty {
			is = append(is, entry{name: name, mode: modeTree, id: id})
		}
	}
	if i >= 0 {
		entries = slices.Delete(entries, i, i+1)
	}
	return append(entries, is...), nil
}

// A commit is a commit object, without headers such as a signature.
type commit struct {
	tree              plumbing.Hash
	parents           []plumbing.Hash
	author, committer fleet.Identity
	when, committed   time.Time
	message           string
}

// writeCommit writes the commit object.
func (r *Repo) writeCommit(c commit) (string, error) {
	for _, who := range []fleet.Identity{c.author, c.committer} {
		if who.Name == "" || strings.ContainsAny(who.Name+who.Email, "<>\n\x00") {
			return "", fleet.Errorf(fleet.Invalid, "gitrepo.commit", who.Name, "an author needs a name, and neither it nor the address may hold <, > or a line end")
		}
	}
	if strings.TrimSpace(c.message) == "" || strings.Contains(c.message, "\x00") {
		return "", fleet.Errorf(fleet.Invalid, "gitrepo.commit", "", "a commit needs a message, of text")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range c.parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n", stamp(c.author, c.when), stamp(c.committer, c.committed))
	b.WriteString(strings.TrimSuffix(c.message, "\n") + "\n")
	id, err := r.write(plumbing.CommitObject, b.Bytes())
	return id.String(), err
}

func stamp(who fleet.Identity, at time.Time) string {
	return fmt.Sprintf("%s <%s> %d +0000", strings.TrimSpace(who.Name), strings.TrimSpace(who.Email), at.Unix())
}
