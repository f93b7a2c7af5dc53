package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A memGit is git's object model in memory, so that a test can build any
// history, right or wrong, and audit it in a millisecond. Clones share nothing
// but the remote.
type memGit struct {
	mu      sync.Mutex
	blobs   map[string][]byte
	commits map[string]memCommit
	refs    map[string]string
	remote  *memGit
	onPush  func(branch string) // called before a push looks at the remote
}

type memCommit struct {
	info  gitrepo.CommitInfo
	files map[string]gitrepo.File
}

func newMemGit(remote *memGit) *memGit {
	return &memGit{blobs: map[string][]byte{}, commits: map[string]memCommit{}, refs: map[string]string{}, remote: remote}
}

func hashOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:20])
}

func (g *memGit) Ref(name string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refs[name], nil
}

func (g *memGit) commit(id string) (memCommit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.commits[id]
	if !ok && id != "" {
		return c, errors.New("no such commit: " + id)
	}
	return c, nil
}

func (g *memGit) CommitInfo(id string) (gitrepo.CommitInfo, error) {
	c, err := g.commit(id)
	return c.info, err
}

func (g *memGit) Files(_ context.Context, commit, folder string) ([]gitrepo.File, error) {
	c, err := g.commit(commit)
	var out []gitrepo.File
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if folder == "" || strings.HasPrefix(name, folder+"/") {
			out = append(out, c.files[name])
		}
	}
	return out, err
}

func (g *memGit) Changed(_ context.Context, from, to string) ([]gitrepo.Change, error) {
	a, err := g.commit(from)
	b, err2 := g.commit(to)
	all := map[string]bool{}
	for _, files := range []map[string]gitrepo.File{a.files, b.files} {
		for name := range files {
			all[name] = true
		}
	}
	var out []gitrepo.Change
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := a.files[name], b.files[name]
		if was != is {
			out = append(out, gitrepo.Change{Path: name, Old: was.Blob, OldMode: was.Mode, New: is.Blob, NewMode: is.Mode})
		}
	}
	return out, errors.Join(err, err2)
}

func (g *memGit) ReadBlob(id string) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	data, ok := g.blobs[id]
	if !ok {
		return nil, errors.New("no such blob: " + id)
	}
	return slices.Clone(data), nil
}

func (g *memGit) WriteBlob(data []byte) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := hashOf(data)
	g.blobs[id] = slices.Clone(data)
	return id, nil
}

func (g *memGit) Commit(_ context.Context, spec gitrepo.CommitSpec) (string, error) {
	parent := ""
	if len(spec.Parents) > 0 {
		parent = spec.Parents[0]
	}
	before, err := g.commit(parent)
	if err != nil {
		return "", err
	}
	files := map[string]gitrepo.File{}
	maps.Copy(files, before.files)
	for name, data := range spec.Files {
		id, err := g.WriteBlob(data)
		if err != nil {
			return "", err
		}
		files[name] = gitrepo.File{Path: name, Blob: id, Mode: fileMode}
	}
	return g.store(gitrepo.CommitInfo{Parents: spec.Parents, Message: spec.Message, Author: spec.Author, When: spec.When}, files), nil
}

// store makes a commit of exactly these files.
func (g *memGit) store(info gitrepo.CommitInfo, files map[string]gitrepo.File) string {
	parent := ""
	if len(info.Parents) > 0 {
		parent = info.Parents[0]
	}
	info.Tree = hashOf(files)
	info.ID = commitID(info.Tree, parent, info.Author, info.When, info.Message)
	if len(info.Parents) > 1 {
		info.ID = hashOf(info)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commits[info.ID] = memCommit{info, maps.Clone(files)}
	return info.ID
}

func (g *memGit) SetBranch(branch, old, new string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refs["refs/heads/"+branch] != old {
		return errMoved
	}
	g.refs["refs/heads/"+branch] = new
	return nil
}

func (g *memGit) HasRemote() bool { return g.remote != nil }

// Push is a fast-forward of each branch or errMoved, judged by the remote
// alone. As with real remotes, branches before the refused one are moved.
func (g *memGit) Push(_ context.Context, commits map[string]string) error {
	for _, branch := range slices.Sorted(maps.Keys(commits)) {
		if err := g.pushOne(branch, commits[branch]); err != nil {
			return err
		}
	}
	return nil
}

func (g *memGit) pushOne(branch, commit string) error {
	if g.onPush != nil {
		g.onPush(branch)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remote.mu.Lock()
	defer g.remote.mu.Unlock()
	there := g.remote.refs["refs/heads/"+branch]
	for at := commit; at != there; {
		c, ok := g.commits[at]
		if !ok {
			return errors.New("push of what is not here")
		}
		if len(c.info.Parents) == 0 {
			if there == "" {
				break
			}
			return errMoved
		}
		at = c.info.Parents[0]
	}
	maps.Copy(g.remote.blobs, g.blobs)
	maps.Copy(g.remote.commits, g.commits)
	g.remote.refs["refs/heads/"+branch] = commit
	g.refs["refs/remotes/origin/"+branch] = commit
	return nil
}

func (g *memGit) Fetch(_ context.Context, branch string) error {
	if g.remote == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remote.mu.Lock()
	defer g.remote.mu.Unlock()
	maps.Copy(g.blobs, g.remote.blobs)
	maps.Copy(g.commits, g.remote.commits)
	if at := g.remote.refs["refs/heads/"+branch]; at != "" {
		g.refs["refs/remotes/origin/"+branch] = at
	}
	return nil
}

// clone is a plain clone: every branch of g under origin.
func (g *memGit) clone() *memGit {
	c := newMemGit(g)
	for _, branch := range Branches() {
		if err := c.Fetch(context.Background(), branch); err != nil {
			panic(err)
		}
	}
	return c
}

// copy is an independent repository with the same content.
func (g *memGit) copy() *memGit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &memGit{blobs: maps.Clone(g.blobs), commits: maps.Clone(g.commits), refs: maps.Clone(g.refs)}
}
