package gitrepo

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// rawTree writes a tree object as it comes, without any check.
func rawTree(t *testing.T, r *Repo, entries ...entry) plumbing.Hash {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e.mode + " " + e.name + "\x00")
		b.Write(e.id[:])
	}
	return rawObject(t, r, plumbing.TreeObject, b.String())
}

func rawObject(t *testing.T, r *Repo, kind plumbing.ObjectType, text string) plumbing.Hash {
	t.Helper()
	id, err := r.write(kind, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func rawCommit(t *testing.T, r *Repo, tree plumbing.Hash) string {
	t.Helper()
	return rawObject(t, r, plumbing.CommitObject, "tree "+tree.String()+"\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nHostile\n").String()
}

func TestHostileTreesAreRefused(t *testing.T) {
	r := newRepo(t)
	content := rawObject(t, r, plumbing.BlobObject, "x")
	good := rawTree(t, r, entry{"ok", modeFile, content})
	file := func(name string) entry { return entry{name, modeFile, content} }
	for name, entries := range map[string][]entry{
		"parent":        {{"..", modeTree, good}},
		"itself":        {{".", modeTree, good}},
		"git":           {{".git", modeTree, good}},
		"git by case":   {{".Git", modeTree, good}},
		"git file":      {file(".git")},
		"separator":     {file("a/b")},
		"backslash":     {file(`..\x`)},
		"no name":       {file("")},
		"case clash":    {file("A"), file("a")},
		"twice":         {file("a"), file("a")},
		"file, folder":  {file("a"), {"a", modeTree, good}},
		"out of order":  {file("b"), file("a")},
		"odd mode":      {{"a", "100600", content}},
		"padded folder": {{"a", "040000", good}},
		"control":       {file("a\x1b[2J")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, top := range []plumbing.Hash{rawTree(t, r, entries...), rawTree(t, r, entry{"sub", modeTree, rawTree(t, r, entries...)})} {
				commit := rawCommit(t, r, top)
				tree, err := r.Tree(commit)
				if err != nil {
					t.Fatal(err)
				}
				_, err = tree.Files(t.Context(), "")
				wantKind(t, err, fleet.Refused, "not safe")
				_, err = r.Changed(t.Context(), "", commit)
				wantKind(t, err, fleet.Refused, "not safe")
			}
			_, err := r.Commit(t.Context(), CommitSpec{
				Base: rawCommit(t, r, rawTree(t, r, entries...)), Files: map[string][]byte{"z": []byte("z")},
				Message: "Over it", Author: fleet.Identity{Name: "A"},
			})
			wantKind(t, err, fleet.Refused, "not safe")
		})
	}
}

func TestSymlinksAndSubmodulesAreNotFollowed(t *testing.T) {
	r := newRepo(t)
	content := rawObject(t, r, plumbing.BlobObject, "x")
	target := rawObject(t, r, plumbing.BlobObject, "../../etc")
	folder := rawTree(t, r, entry{"file", modeFile, content})
	commit := rawCommit(t, r, rawTree(t, r,
		entry{"dir", modeTree, folder}, entry{"link", modeSymlink, target}, entry{"module", modeSubmodule, content}))
	tree, err := r.Tree(commit)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link", "module"} {
		_, err := tree.Read(path)
		wantKind(t, err, fleet.Refused, "symlink or a submodule")
	}
	for _, path := range []string{"link/passwd", "dir", "none", "dir/file/x"} {
		_, err := tree.Read(path)
		wantKind(t, err, fleet.Invalid)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is not fs.ErrNotExist", path, err)
		}
	}
	_, err = r.Commit(t.Context(), CommitSpec{Base: commit, Files: map[string][]byte{"link/x": []byte("x")}, Message: "Through", Author: fleet.Identity{Name: "A"}})
	wantKind(t, err, fleet.Invalid, "there is a file of that name")

	list, err := tree.Desired(t.Context()).Files("")
	if err != nil {
		t.Fatal(err)
	}
	want := []desired.File{
		{Path: "dir/file", Blob: content.String(), Size: 1},
		{Path: "link", Blob: target.String(), Size: 9, Mode: desired.Symlink},
		{Path: "module", Blob: content.String(), Mode: desired.Submodule},
	}
	if len(list) != len(want) {
		t.Fatalf("got %v, want %v", list, want)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("got %+v, want %+v", list[i], want[i])
		}
	}
}

func TestDeepAndLargeAreRefused(t *testing.T) {
	r := newRepo(t)
	content := rawObject(t, r, plumbing.BlobObject, strings.Repeat("x", desired.MaxPayload+1))
	deep := rawTree(t, r, entry{"file", modeFile, content})
	for range maxDepth + 1 {
		deep = rawTree(t, r, entry{"d", modeTree, deep})
	}
	tree, err := r.Tree(rawCommit(t, r, deep))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.Files(t.Context(), "")
	wantKind(t, err, fleet.Refused, "deeper")
	if tree, err = r.Tree(rawCommit(t, r, rawTree(t, r, entry{"big", modeFile, content}))); err != nil {
		t.Fatal(err)
	}
	_, err = tree.Read("big")
	wantKind(t, err, fleet.Refused, "larger")
}

func TestHostileCommitsAreRefused(t *testing.T) {
	r := newRepo(t)
	tree := rawTree(t, r).String()
	who := "author A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n"
	for name, text := range map[string]string{
		"no tree":     who + "\nx\n",
		"two trees":   "tree " + tree + "\n" + who + "tree " + tree + "\n\nx\n",
		"late parent": "tree " + tree + "\n" + who + "parent " + tree + "\n\nx\n",
		"no author":   "tree " + tree + "\n\nx\n",
		"two authors": "tree " + tree + "\n" + who + "author B <b@example.com> 1 +0000\n\nx\n",
		"no time":     "tree " + tree + "\nauthor A <a@example.com>\ncommitter A <a@example.com> 1 +0000\n\nx\n",
		"bad parent":  "tree " + tree + "\nparent main\n" + who + "\nx\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.CommitInfo(rawObject(t, r, plumbing.CommitObject, text).String())
			wantKind(t, err, fleet.Refused, "malformed")
		})
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 b\x00bbbbbbbbbbbbbbbbbbbb"))
	f.Add([]byte("40000 ..\x00aaaaaaaaaaaaaaaaaaaa"))
	f.Add([]byte("100644 a\x00short"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseTree(data)
		if err != nil {
			return
		}
		for _, e := range entries {
			if err := CheckPath(e.name); err != nil || strings.Contains(e.name, "/") {
				t.Errorf("%q was let through: %v", e.name, err)
			}
		}
	})
}

func FuzzParseCommit(f *testing.F) {
	id := strings.Repeat("0a", 20)
	f.Add("tree " + id + "\nparent " + id + "\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nTitle\n\nRisk: low\n")
	f.Add("tree " + id + "\nauthor <> 99999999999999999999 +0000\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCommit(text)
		if err == nil && c.tree.IsZero() && !strings.Contains(text, strings.Repeat("0", 40)) {
			t.Errorf("a commit without a tree was read from %q", text)
		}
		ParseTrailers(c.message)
	})
}
