package evidence

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A forger rewrites a copy of a ledger's history as somebody would who may
// push but has no key: commits anew, with correct ids, dates and messages.
type forger struct {
	t   *testing.T
	git *memGit
}

// A version is one commit of a branch: its metadata and all files it has.
type version struct {
	info  gitrepo.CommitInfo
	files map[string]gitrepo.File
}

// line is the branch's history, oldest first.
func (f forger) line(branch string) []version {
	var out []version
	for id := f.git.refs["refs/heads/"+branch]; id != ""; {
		c, err := f.git.commit(id)
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, version{c.info, maps.Clone(c.files)})
		id = ""
		if len(c.info.Parents) > 0 {
			id = c.info.Parents[0]
		}
	}
	slices.Reverse(out)
	return out
}

// write makes the branch have this history.
func (f forger) write(branch string, line []version) {
	tip := ""
	for _, v := range line {
		info := v.info
		info.Parents = nil
		if tip != "" {
			info.Parents = []string{tip}
		}
		for name, file := range v.files {
			file.Path = name
			v.files[name] = file
		}
		tip = f.git.store(info, v.files)
	}
	f.git.refs["refs/heads/"+branch] = tip
	if tip == "" {
		delete(f.git.refs, "refs/heads/"+branch)
	}
}

// replace puts other bytes in the place of a file, from its first version on.
func (f forger) replace(line []version, name string, data []byte) {
	id, _ := f.git.WriteBlob(data)
	for _, v := range line {
		if file, ok := v.files[name]; ok {
			file.Blob = id
			v.files[name] = file
		}
	}
}

// small is a ledger with three batches on control and two on a shard.
func small(t *testing.T) (world, fleet.TenantID) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	tenant := tenantIn("evidence/05")
	for n := range 2 {
		w.append(t, Control, HeartbeatDir, beat(n))
		w.append(t, Shard(tenant), IntentsDir(week, "w"), intent(tenant, string(rune('a'+n))))
		w.clock.Set(w.clock.Now().Add(time.Minute))
	}
	if err := w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clean(t)
	return w, tenant
}

// audit looks at a forged copy with the keys of the true ledger.
func audit(t *testing.T, w world, git *memGit, known ...map[string]string) []Finding {
	t.Helper()
	found, err := open(git, w.key).Verify(t.Context(), known...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func open(git git, key *testKey) *Ledger {
	return over(git, nil, key, fleet.NewManualClock(start()), fleet.Identity{})
}
