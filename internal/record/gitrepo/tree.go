package gitrepo

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// A Tree is the files of one commit. It is safe for concurrent use.
type Tree struct {
	repo   *Repo
	commit string
	root   plumbing.Hash

	mu      sync.Mutex
	folders map[plumbing.Hash]map[string]entry // of folders that paths went through
}

// A File is one file of a tree.
type File struct {
	Path string
	Blob string // id of the content; of a submodule the commit it names
	Mode string // 100644, 100755, 120000 (symlink), 160000 (submodule)
}

// Tree opens the files of a commit, which may be named in any way Resolve
// understands.
func (r *Repo) Tree(rev string) (*Tree, error) {
	commit, err := r.Resolve(rev)
	if err != nil {
		return nil, err
	}
	c, err := r.readCommit(plumbing.NewHash(commit))
	if err != nil {
		return nil, err
	}
	return &Tree{repo: r, commit: commit, root: c.tree}, nil
}

// Commit is the id of the tree's commit.
func (t *Tree) Commit() string { return t.commit }

// ID is the id of the root tree.
func (t *Tree) ID() string { return t.root.String() }

// Files lists the files below the folder prefix ("" or "." for all; a file's
// own path gives that file), sorted by path. A folder that does not exist has
// none. A tree with an unsafe name is refused, kind Refused.
func (t *Tree) Files(ctx context.Context, prefix string) ([]File, error) {
	prefix = strings.TrimPrefix(path.Clean("/"+prefix), "/")
	at := entry{mode: modeTree, id: t.root}
	if prefix != "" {
		var ok bool
		var err error
		if at, ok, err = t.find(prefix); err != nil || !ok {
			return nil, err
		}
		if !at.isTree() {
			return []File{{Path: prefix, Blob: at.id.String(), Mode: at.mode}}, nil
		}
	}
	var files []File
	err := t.repo.walk(ctx, at.id, prefix, 0, func(path string, e entry) error {
		if len(files) >= maxFiles {
			return fleet.Errorf(fleet.Refused, "gitrepo.files", t.commit, "more than %d files", maxFiles)
		}
		files = append(files, File{Path: path, Blob: e.id.String(), Mode: e.mode})
		return nil
	})
	return files, err
}

// walk calls f for each file below the tree, in git's order. That is the order
// of paths, byte by byte.
func (r *Repo) walk(ctx context.Context, id plumbing.Hash, prefix string, depth int, f func(string, entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fleet.Errorf(fleet.Refused, "gitrepo.files", prefix, "lies deeper than %d folders", maxDepth)
	}
	entries, err := r.readTree(id)
	if err != nil {
		return inFolder(prefix, err)
	}
	for _, e := range entries {
		path := join(prefix, e.name)
		if e.isTree() {
			err = r.walk(ctx, e.id, path, depth+1, f)
		} else {
			err = f(path, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inFolder names the folder whose tree an error is about.
func inFolder(folder string, err error) error {
	if folder == "" {
		folder = "the top folder"
	}
	return fmt.Errorf("%s: %w", folder, err)
}

func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// find is the entry at a path. Symlinks are not followed.
func (t *Tree) find(path string) (entry, bool, error) {
	at := entry{mode: modeTree, id: t.root}
	folder := ""
	for name := range strings.SplitSeq(path, "/") {
		if !at.isTree() {
			return entry{}, false, nil
		}
		entries, err := t.entries(at.id)
		if err != nil {
			return entry{}, false, inFolder(folder, err)
		}
		var found bool
		if at, found = entries[name]; !found {
			return entry{}, false, nil
		}
		folder = join(folder, name)
	}
	return at, true, nil
}

// entries are a folder's entries by name. They are kept: a catalog has
// thousands of packages in one folder, and each of their files is read by path.
func (t *Tree) entries(id plumbing.Hash) (map[string]entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.folders[id]; ok {
		return known, nil
	}
	read, err := t.repo.folder(id)
	if err != nil {
		return nil, err
	}
	if t.folders == nil {
		t.folders = map[plumbing.Hash]map[string]entry{}
	}
	t.folders[id] = read
	return read, nil
}

// Read is the content of the ordinary file at path, up to desired.MaxPayload
// bytes. Symlinks and submodules are Refused; an absent file is Invalid and
// fs.ErrNotExist.
func (t *Tree) Read(path string) ([]byte, error) {
	e, ok, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if !ok || e.isTree() {
		return nil, fleet.Errorf(fleet.Invalid, "gitrepo.read", path, "commit %.12s has no such file: %w", t.commit, fs.ErrNotExist)
	}
	if e.mode != modeFile && e.mode != modeExecutable {
		return nil, fleet.Errorf(fleet.Refused, "gitrepo.read", path, "is a symlink or a submodule, not a file")
	}
	return t.repo.read(plumbing.BlobObject, e.id, desired.MaxPayload)
}

// Has reports whether there is a file or folder at path.
func (t *Tree) Has(path string) (bool, error) {
	_, ok, err := t.find(path)
	return ok, err
}
