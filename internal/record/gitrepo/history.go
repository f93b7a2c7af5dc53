package gitrepo

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// CommitInfo is what one commit says about itself.
type CommitInfo struct {
	ID      string
	Parents []string // first one: the line it was merged into
	Tree    string
	Message string
	Author  fleet.Identity
	// Committer made the commit as it is now: whoever amended or rebased it.
	Committer fleet.Identity
	When      time.Time // committer time, UTC
	Trailers  []Trailer
}

// Title is the first line of the message.
func (c CommitInfo) Title() string {
	title, _, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSpace(title)
}

// Trailer is the value of the last trailer of that key, any case; "" when
// there is none.
func (c CommitInfo) Trailer(key string) string {
	value := ""
	for _, t := range c.Trailers {
		if strings.EqualFold(t.Key, key) {
			value = t.Value
		}
	}
	return value
}

// CommitInfo reads a commit by its id.
func (r *Repo) CommitInfo(id string) (CommitInfo, error) {
	h, err := parseID(id)
	if err != nil {
		return CommitInfo{}, err
	}
	c, err := r.readCommit(h)
	if err != nil {
		return CommitInfo{}, err
	}
	info := CommitInfo{ID: id, Tree: c.tree.String(), Message: c.message, Author: c.author, Committer: c.committer, When: c.committed, Trailers: ParseTrailers(c.message)}
	for _, p := range c.parents {
		info.Parents = append(info.Parents, p.String())
	}
	return info, nil
}

// FirstParents lists the commits from from back along first parents, newest
// first, until the commit until, which is left out. With until "" it goes to
// the root. It is Refused if until is not on that line: history was rewritten,
// or until was merged and never stood on it.
func (r *Repo) FirstParents(ctx context.Context, from, until string) ([]CommitInfo, error) {
	var line []CommitInfo
	for id := from; id != until; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := r.CommitInfo(id)
		if err != nil {
			return nil, err
		}
		line = append(line, info)
		if len(info.Parents) == 0 {
			if until == "" {
				return line, nil
			}
			return nil, fleet.Errorf(fleet.Refused, "gitrepo.history", until, "does not stand on the first-parent line of %.12s", from)
		}
		id = info.Parents[0]
	}
	return line, nil
}

// errFound ends a walk early.
var errFound = errors.New("found")

// IsAncestor reports whether old is new or comes before it.
func (r *Repo) IsAncestor(ctx context.Context, old, new string) (bool, error) {
	o, err := parseID(old)
	if err != nil {
		return false, err
	}
	n, err := parseID(new)
	if err != nil {
		return false, err
	}
	if _, err := r.readCommit(o); err != nil {
		return false, err
	}
	err = r.ancestors(ctx, n, func(id plumbing.Hash) error {
		if id == o {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// ancestors calls f once for start and each commit before it, near ones first.
func (r *Repo) ancestors(ctx context.Context, start plumbing.Hash, f func(plumbing.Hash) error) error {
	seen := map[plumbing.Hash]bool{start: true}
	for queue := []plumbing.Hash{start}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(queue[0]); err != nil {
			return err
		}
		c, err := r.readCommit(queue[0])
		if err != nil {
			return err
		}
		for _, p := range c.parents {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return nil
}

// MergeBase is a commit that a and b both come from, nearest to b; "" when
// their histories have nothing in common.
func (r *Repo) MergeBase(ctx context.Context, a, b string) (string, error) {
	from, err := parseID(a)
	if err != nil {
		return "", err
	}
	to, err := parseID(b)
	if err != nil {
		return "", err
	}
	before := map[plumbing.Hash]bool{}
	if err := r.ancestors(ctx, from, func(id plumbing.Hash) error { before[id] = true; return nil }); err != nil {
		return "", err
	}
	base := ""
	err = r.ancestors(ctx, to, func(id plumbing.Hash) error {
		if before[id] {
			base = id.String()
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", err
	}
	return base, nil
}
