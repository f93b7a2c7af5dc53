package evidence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Git is the part of a repository that the ledger works on. Object ids are
// hex; an absent object is an error, an absent ref is "".
type Git interface {
	// Ref is the commit a full ref name points at.
	Ref(ctx context.Context, name string) (string, error)
	// Commit, Tree and Blob read one object.
	Commit(ctx context.Context, id string) (Commit, error)
	Tree(ctx context.Context, id string) ([]Entry, error)
	Blob(ctx context.Context, id string) ([]byte, error)
	// PutBlob, PutTree and PutCommit write one object.
	PutBlob(ctx context.Context, data []byte) (string, error)
	PutTree(ctx context.Context, entries []Entry) (string, error)
	PutCommit(ctx context.Context, c Commit) (string, error)
	// SetBranch moves a branch from old to new ("" for absent) and fails with
	// ErrMoved if it stands elsewhere.
	SetBranch(ctx context.Context, branch, old, new string) error
	// Push makes the remote's branch be the commit, by fast-forward, or it
	// fails with ErrMoved. Without a remote it does nothing, and pushed is
	// false.
	Push(ctx context.Context, branch, commit string) (pushed bool, err error)
	// Fetch brings the remote's branch, if it has it, to refs/remotes/origin;
	// without a remote it does nothing.
	Fetch(ctx context.Context, branch string) error
}

// ErrMoved says that a branch is not where it was thought to be: someone else
// wrote first.
var ErrMoved = errors.New("the branch has moved")

// A Commit is a commit object.
type Commit struct {
	Tree    string
	Parents []string
	Author  fleet.Identity // and committer
	At      time.Time
	Message string
	Strange bool // committer is not the author, or there are headers beside the ordinary ones
}

// An Entry is one entry of a tree.
type Entry struct {
	Name string
	Mode string // octal, as git writes it: 100644, 40000
	ID   string
}

// The modes that occur in the ledger.
const (
	fileMode   = "100644"
	folderMode = "40000"
)

// find is the entry of the given name.
func find(entries []Entry, name string) (Entry, bool) {
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return entries[i], true
}

// with is the entries with one set.
func with(entries []Entry, e Entry) []Entry {
	out := slices.DeleteFunc(slices.Clone(entries), func(old Entry) bool { return old.Name == e.Name })
	out = append(out, e)
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(sortName(a), sortName(b)) })
	return out
}

// sortName is what git orders a tree by: folders as if their names ended in a
// slash.
func sortName(e Entry) string {
	if e.Mode == folderMode {
		return e.Name + "/"
	}
	return e.Name
}

// maxDepth bounds how deep the ledger's folders lie: a hostile tree may lie
// deeper than a stack is high.
const maxDepth = 8

// tree reads a tree as the ledger has them: no two entries of one name, which
// a hand-made object may have and which would let one hide the other.
func tree(ctx context.Context, git Git, id, prefix string) ([]Entry, error) {
	if id == "" {
		return nil, nil
	}
	entries, err := git.Tree(ctx, id)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Name] || e.Name == "" || strings.Contains(e.Name, "/") {
			return nil, fleet.Errorf(fleet.Refused, "evidence.tree", prefix+e.Name, "the folder's tree object has a name twice, or none")
		}
		seen[e.Name] = true
	}
	if strings.Count(prefix, "/") > maxDepth {
		return nil, fleet.Errorf(fleet.Refused, "evidence.tree", prefix, "lies deeper than any evidence")
	}
	return entries, nil
}

// folder reads the entries of a folder below a root tree; none if it does not
// exist.
func folder(ctx context.Context, git Git, root, dir string) ([]Entry, error) {
	for name := range strings.SplitSeq(dir, "/") {
		entries, err := tree(ctx, git, root, "")
		if err != nil {
			return nil, err
		}
		e, _ := find(entries, name)
		root = e.ID
	}
	return tree(ctx, git, root, dir+"/")
}

// add writes the trees of root with files added to one folder, and gives the
// new root.
func add(ctx context.Context, git Git, root string, dir []string, files []Entry) (string, error) {
	entries, err := tree(ctx, git, root, "")
	if err != nil {
		return "", err
	}
	if len(dir) == 0 {
		for _, f := range files {
			entries = with(entries, f)
		}
		return git.PutTree(ctx, entries)
	}
	e, _ := find(entries, dir[0])
	id, err := add(ctx, git, e.ID, dir[1:], files)
	if err != nil {
		return "", err
	}
	return git.PutTree(ctx, with(entries, Entry{Name: dir[0], Mode: folderMode, ID: id}))
}

// walk lists all files below a tree by path.
func walk(ctx context.Context, git Git, root, prefix string, found map[string]Entry) error {
	entries, err := tree(ctx, git, root, prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Mode == folderMode {
			if err := walk(ctx, git, e.ID, prefix+e.Name+"/", found); err != nil {
				return err
			}
			continue
		}
		found[prefix+e.Name] = e
	}
	return nil
}

// differ lists the files that differ between two trees, as they were and as
// they are; an entry with an empty id stands for none. Equal folders are not
// read.
func differ(ctx context.Context, git Git, before, after, prefix string, found func(path string, was, is Entry)) error {
	was, err := tree(ctx, git, before, prefix)
	if err != nil {
		return err
	}
	is, err := tree(ctx, git, after, prefix)
	if err != nil {
		return err
	}
	names := map[string][2]Entry{}
	for _, e := range was {
		names[e.Name] = [2]Entry{e, {}}
	}
	for _, e := range is {
		names[e.Name] = [2]Entry{names[e.Name][0], e}
	}
	for name, pair := range names {
		if pair[0] == pair[1] {
			continue
		}
		below := [2]string{}
		for i, e := range pair {
			if e.Mode == folderMode {
				below[i] = e.ID
			}
		}
		if below[0] != "" || below[1] != "" {
			if err := differ(ctx, git, below[0], below[1], prefix+name+"/", found); err != nil {
				return err
			}
		}
		if (pair[0].ID != "" && below[0] == "") || (pair[1].ID != "" && below[1] == "") {
			found(prefix+name, fileOnly(pair[0]), fileOnly(pair[1]))
		}
	}
	return nil
}

func fileOnly(e Entry) Entry {
	if e.Mode == folderMode {
		return Entry{}
	}
	return e
}
