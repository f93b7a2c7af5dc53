package gitrepo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestSetBranch(t *testing.T) {
	r, base, left, _, merge := history(t)
	for _, c := range []struct {
		name, branch, old, new string
		moved                  bool
	}{
		{"make", "x", "", base, false},
		{"make again", "x", "", base, true},
		{"from elsewhere", "x", merge, left, true},
		{"forward", "x", base, left, false},
		{"rewrite", "x", left, base, false},
		{"remove from elsewhere", "x", left, "", true},
		{"remove", "x", base, "", false},
		{"remove again", "x", base, "", true},
		{"below", "x/y", "", base, false},
		{"remove below", "x/y", base, "", false},
		{"where the folder was", "x", "", base, false},
	} {
		err := r.SetBranch(c.branch, c.old, c.new)
		if c.moved {
			wantKind(t, err, fleet.Waiting)
			if !errors.Is(err, ErrMoved) {
				t.Errorf("%s: %v is not ErrMoved", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got, err := r.Ref("refs/heads/" + c.branch); err != nil || got != c.new {
			t.Errorf("%s: branch at %q, %v", c.name, got, err)
		}
	}
	stock(t, r.Dir(), "pack-refs", "--all")
	if err := r.SetBranch("x", left, base); !errors.Is(err, ErrMoved) {
		t.Errorf("a packed branch from elsewhere: %v", err)
	}
	if err := r.SetBranch("x", base, left); err != nil {
		t.Errorf("a packed branch: %v", err)
	}
	if got := stock(t, r.Dir(), "rev-parse", "x"); got != left {
		t.Errorf("git sees %s", got)
	}
	wantKind(t, r.SetBranch("x/below", "", base), fleet.Invalid, "in the way")
	for _, name := range []string{"", "..", "a..b", "a.lock", "/a", "a b", "a\x00", "-x/../y", "@{-1}", "a~1"} {
		wantKind(t, r.SetBranch(name, "", base), fleet.Invalid)
	}
	wantKind(t, r.SetBranch("y", "", strings.Repeat("1", 40)), fleet.Invalid)
}

func TestSetBranchSparesTheWorkTree(t *testing.T) {
	r, err := Init(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	first := commitFiles(t, r, "First", files{"a": "1"})
	if err := r.SetBranch("main", "", first); err != nil {
		t.Fatal(err)
	}
	second := commitFiles(t, r, "Second", files{"a": "2"}, first)
	wantKind(t, r.SetBranch("main", first, second), fleet.Refused, "checked out")
	if err := r.SetBranch("other", "", second); err != nil {
		t.Error(err)
	}
}

// TestOneWins lets many move one branch from the same place, through two
// handles as two processes would.
func TestOneWins(t *testing.T) {
	r, base, _, _, _ := history(t)
	other, err := Open(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			repo := []*Repo{r, other}[i%2]
			id, err := repo.Commit(t.Context(), spec(fmt.Sprintf("Try %d", i), files{"n": fmt.Sprint(i)}, base))
			if err == nil {
				err = repo.SetBranch("race", "", id)
			}
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrMoved):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
	if left, err := filepath.Glob(filepath.Join(r.Dir(), "packmill-*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLockFiles(t *testing.T) {
	r, base, left, _, _ := history(t)
	lock := filepath.Join(r.Dir(), "refs", "heads", "main2.lock")
	if err := r.SetBranch("main2", "", base); err != nil {
		t.Fatal(err)
	}
	// git holds it: its lock file is empty or holds the new id.
	for _, text := range []string{"", left + "\n"} {
		if err := os.WriteFile(lock, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		wantKind(t, r.SetBranch("main2", base, left), fleet.Waiting, "another git process")
	}
	if refs, err := r.Refs("refs/heads/main2"); err == nil && len(refs) != 1 {
		t.Errorf("a lock file is taken for a branch: %v", refs)
	}
	// a killed packmill left it, and a file it was writing.
	rest := filepath.Join(r.Dir(), "packmill-1.tmp")
	if err := os.WriteFile(rest, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, []byte(lockMark), 0o644); err != nil {
		t.Fatal(err)
	}
	if refs, err := r.Refs("refs/heads/main2"); err != nil || len(refs) != 1 {
		t.Errorf("with a lock file of ours: %v, %v", refs, err)
	}
	if err := r.SetBranch("main2", base, left); err != nil {
		t.Errorf("a lock left behind stops the branch: %v", err)
	}
	if _, err := os.Stat(lock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock file stayed: %v", err)
	}
	if _, err := os.Stat(rest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file stayed: %v", err)
	}
}
