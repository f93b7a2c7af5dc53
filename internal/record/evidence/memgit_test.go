package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
)

// A memGit is git's object model in memory, so that a test can build any
// history, right or wrong, and read it back in microseconds. Clones share
// nothing but the remote.
type memGit struct {
	mu      sync.Mutex
	objects map[string]any
	refs    map[string]string
	remote  *memGit
	onPush  func(branch string) // called before a push looks at the remote
}

func newMemGit(remote *memGit) *memGit {
	return &memGit{objects: map[string]any{}, refs: map[string]string{}, remote: remote}
}

func (g *memGit) put(kind string, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(append([]byte(kind), data...))
	id := hex.EncodeToString(sum[:20])
	g.mu.Lock()
	defer g.mu.Unlock()
	g.objects[id] = v
	return id
}

func get[T any](g *memGit, id string) (T, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.objects[id].(T)
	if !ok {
		return v, errors.New("no such object: " + id)
	}
	return v, nil
}

func (g *memGit) Ref(_ context.Context, name string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refs[name], nil
}

func (g *memGit) Commit(_ context.Context, id string) (Commit, error) { return get[Commit](g, id) }
func (g *memGit) Tree(_ context.Context, id string) ([]Entry, error)  { return get[[]Entry](g, id) }
func (g *memGit) Blob(_ context.Context, id string) ([]byte, error) {
	data, err := get[[]byte](g, id)
	return slices.Clone(data), err
}

func (g *memGit) PutBlob(_ context.Context, data []byte) (string, error) {
	return g.put("blob", slices.Clone(data)), nil
}

func (g *memGit) PutTree(_ context.Context, entries []Entry) (string, error) {
	return g.put("tree", entries), nil
}
func (g *memGit) PutCommit(_ context.Context, c Commit) (string, error) {
	id := commitID(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.objects[id] = c
	return id, nil
}

func (g *memGit) SetBranch(_ context.Context, branch, old, new string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refs["refs/heads/"+branch] != old {
		return ErrMoved
	}
	g.refs["refs/heads/"+branch] = new
	return nil
}

// Push is a fast-forward or ErrMoved, judged by the remote alone.
func (g *memGit) Push(_ context.Context, branch, commit string) (bool, error) {
	if g.remote == nil {
		return false, nil
	}
	if g.onPush != nil {
		g.onPush(branch)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remote.mu.Lock()
	defer g.remote.mu.Unlock()
	for id, o := range g.objects {
		g.remote.objects[id] = o
	}
	there := g.remote.refs["refs/heads/"+branch]
	for at := commit; at != there; {
		c, ok := g.objects[at].(Commit)
		if !ok {
			return false, errors.New("push of what is not here")
		}
		if len(c.Parents) == 0 {
			if there == "" {
				break
			}
			return false, ErrMoved
		}
		at = c.Parents[0]
	}
	g.remote.refs["refs/heads/"+branch] = commit
	g.refs["refs/remotes/origin/"+branch] = commit
	return true, nil
}

func (g *memGit) Fetch(_ context.Context, branch string) error {
	if g.remote == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remote.mu.Lock()
	defer g.remote.mu.Unlock()
	for id, o := range g.remote.objects {
		g.objects[id] = o
	}
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
	c := newMemGit(nil)
	for k, v := range g.objects {
		c.objects[k] = v
	}
	for k, v := range g.refs {
		c.refs[k] = v
	}
	return c
}
