package gitrepo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage"
)

// inode tells a file that was replaced from one that was written over.
func inode(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestReplaced proves that refs and the config file are replaced and never
// written over: there is no moment at which they are empty.
func TestReplaced(t *testing.T) {
	r, err := Init(filepath.Join(t.TempDir(), "r"), true)
	if err != nil {
		t.Fatal(err)
	}
	one, two := plumbing.NewHash("1111111111111111111111111111111111111111"), plumbing.NewHash("2222222222222222222222222222222222222222")
	name := plumbing.ReferenceName("refs/remotes/origin/evidence/00")
	path := filepath.Join(r.Dir(), "refs", "remotes", "origin", "evidence", "00")
	if err := r.store.SetReference(plumbing.NewHashReference(name, one)); err != nil {
		t.Fatal(err)
	}
	before := inode(t, path)
	if err := r.store.CheckAndSetReference(plumbing.NewHashReference(name, two), plumbing.NewHashReference(name, one)); err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, inode(t, path)) {
		t.Error("the ref's file was written over")
	}
	if id, err := r.Ref(name.String()); err != nil || id != two.String() {
		t.Errorf("the ref is at %s: %v", id, err)
	}
	if err := r.store.CheckAndSetReference(plumbing.NewHashReference(name, one), plumbing.NewHashReference(name, one)); err != storage.ErrReferenceHasChanged {
		t.Errorf("a ref that moved is set: %v", err)
	}

	before = inode(t, filepath.Join(r.Dir(), "config"))
	if err := r.SetRemote("http://forge.example/a/b.git"); err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, inode(t, filepath.Join(r.Dir(), "config"))) || r.remoteURL() != "http://forge.example/a/b.git" {
		t.Errorf("the config file was written over, or the remote is %q", r.remoteURL())
	}
	left, err := filepath.Glob(filepath.Join(r.Dir(), "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// A branch where a folder of longer names was is no obstacle; one with
	// branches in it is.
	if err := r.store.SetReference(plumbing.NewHashReference("refs/remotes/origin/evidence", one)); err == nil {
		t.Error("a ref took the place of a folder with refs in it")
	}
}
