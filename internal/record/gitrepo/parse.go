package gitrepo

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// maxCommit bounds a commit object: message, signature and all.
const maxCommit = 1 << 20

// readCommit reads a commit object; an annotated tag is no commit.
func (r *Repo) readCommit(id plumbing.Hash) (commit, error) {
	data, err := r.read(plumbing.CommitObject, id, maxCommit)
	if err != nil {
		return commit{}, err
	}
	c, err := parseCommit(string(data))
	if err != nil {
		return commit{}, fleet.Errorf(fleet.Refused, "gitrepo.read", id.String(), "commit is malformed: %w", err)
	}
	return c, nil
}

// parseCommit reads a commit object. git demands the order tree, parents,
// author, committer (fsck.c, fsck_commit); two trees or authors are refused.
func parseCommit(text string) (commit, error) {
	head, message, _ := strings.Cut(text, "\n\n")
	c := commit{message: message}
	lines := strings.Split(head, "\n")
	next := func(key string) (string, bool) {
		if len(lines) == 0 {
			return "", false
		}
		value, ok := strings.CutPrefix(lines[0], key+" ")
		if ok {
			lines = lines[1:]
		}
		return value, ok
	}
	tree, ok := next("tree")
	if !ok || !plumbing.IsHash(tree) {
		return c, fmt.Errorf("it names no tree")
	}
	c.tree = plumbing.NewHash(tree)
	for parent, ok := next("parent"); ok; parent, ok = next("parent") {
		if !plumbing.IsHash(parent) {
			return c, fmt.Errorf("%.60q is no parent", parent)
		}
		c.parents = append(c.parents, plumbing.NewHash(parent))
	}
	for _, side := range []struct {
		key string
		who *fleet.Identity
		at  *time.Time
	}{{"author", &c.author, &c.when}, {"committer", &c.committer, &c.committed}} {
		line, ok := next(side.key)
		if !ok {
			return c, fmt.Errorf("it has no %s", side.key)
		}
		var err error
		if *side.who, *side.at, err = parseStamp(line); err != nil {
			return c, err
		}
	}
	for _, line := range lines {
		for _, key := range []string{"tree ", "parent ", "author ", "committer "} {
			if strings.HasPrefix(line, key) {
				return c, fmt.Errorf("it has a second %s", strings.TrimSpace(key))
			}
		}
	}
	return c, nil
}

// parseStamp reads "Name <mail> seconds zone".
func parseStamp(line string) (fleet.Identity, time.Time, error) {
	open, end := strings.IndexByte(line, '<'), strings.LastIndexByte(line, '>')
	if open < 0 || end < open {
		return fleet.Identity{}, time.Time{}, fmt.Errorf("%.60q is no name with an address", line)
	}
	who := fleet.Identity{Name: strings.TrimSpace(line[:open]), Email: line[open+1 : end]}
	seconds, _, _ := strings.Cut(strings.TrimSpace(line[end+1:]), " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return who, time.Time{}, fmt.Errorf("%.60q has no time", line)
	}
	return who, time.Unix(n, 0).UTC(), nil
}

// A Trailer is one "Key: value" line at the end of a message.
type Trailer struct {
	Key   string
	Value string
}

// ParseTrailers reads the trailers of a commit message or a pull request's
// body: the last paragraph, if each of its lines is a trailer or, indented,
// goes on the line before. A message of one paragraph has none.
func ParseTrailers(message string) []Trailer {
	text := strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	i := strings.LastIndex(text, "\n\n")
	if i < 0 {
		return nil
	}
	var out []Trailer
	for line := range strings.SplitSeq(text[i+2:], "\n") {
		if n := len(out); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			out[n-1].Value = strings.TrimSpace(out[n-1].Value + " " + strings.TrimSpace(line))
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(key) {
			return nil
		}
		out = append(out, Trailer{Key: key, Value: strings.TrimSpace(value)})
	}
	return out
}

// isToken reports whether s may stand before a trailer's colon: letters,
// digits and hyphens (git-interpret-trailers).
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
