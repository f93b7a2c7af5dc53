package gitrepo

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestCommitIsWhatGitMakes(t *testing.T) {
	r := newRepo(t)
	first := commitFiles(t, r, "First", files{"a.txt": "a", "b/c.txt": "c", "b/d/e.txt": "", "b.txt": "b"})
	second := commitFiles(t, r, "Second\n\nRisk: low", files{"b/c.txt": "changed", "b/d/e.txt": gone, "new": "n"}, first)
	if err := r.SetBranch("main", "", second); err != nil {
		t.Fatal(err)
	}
	stock(t, r.Dir(), "fsck", "--strict", "--no-dangling")
	if got, want := stock(t, r.Dir(), "ls-tree", "-r", "--name-only", "main"), "a.txt\nb.txt\nb/c.txt\nnew"; got != want {
		t.Errorf("files %q, want %q", got, want)
	}
	if got, want := stock(t, r.Dir(), "log", "--format=%an <%ae> %cI %s|%(trailers:key=Risk,valueonly)"),
		"Mill <mill@example.com> 2026-11-18T06:00:00+00:00 Second|low\n\nMill <mill@example.com> 2026-11-18T06:00:00+00:00 First|"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if again := commitFiles(t, r, "First", files{"b/d/e.txt": "", "b.txt": "b", "a.txt": "a", "b/c.txt": "c"}); again != first {
		t.Errorf("the same spec gave %s and %s", first, again)
	}
}

func TestCommitKeepsExecutable(t *testing.T) {
	r, err := Init(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	id := commitFiles(t, r, "First", files{"run.sh": "#!/bin/sh\n"})
	if err := r.SetBranch("main", "", id); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckOut(); err != nil {
		t.Fatal(err)
	}
	if got := stock(t, r.WorkTree(), "status", "--porcelain"); got != "" {
		t.Errorf("after CheckOut git sees changes: %q", got)
	}
	stock(t, r.WorkTree(), "update-index", "--chmod=+x", "run.sh")
	stock(t, r.WorkTree(), "commit", "-q", "-m", "x")
	head, err := r.Resolve("HEAD")
	if err != nil {
		t.Fatal(err)
	}
	id = commitFiles(t, r, "Change", files{"run.sh": "#!/bin/sh\ntrue\n"}, head)
	if got := stock(t, r.WorkTree(), "ls-tree", id); !strings.HasPrefix(got, "100755 ") {
		t.Errorf("the mode was lost: %s", got)
	}
}

func TestCommitRefuses(t *testing.T) {
	r := newRepo(t)
	base := commitFiles(t, r, "Base", files{"dir/file": "x", "file": "y"})
	for name, c := range map[string]struct {
		files files
		says  string
	}{
		"dots":             {files{"a/../b": "x"}, "no name"},
		"absolute":         {files{"/etc/passwd": "x"}, "no name"},
		"empty part":       {files{"a//b": "x"}, "no name"},
		"backslash":        {files{`a\b`: "x"}, "separator"},
		"git folder":       {files{".git/config": "x"}, "git's own"},
		"git by case":      {files{"x/.GiT/config": "x"}, "git's own"},
		"git by dot":       {files{".git./config": "x"}, "git's own"},
		"git short name":   {files{"GIT~1/config": "x"}, "git's own"},
		"git by stream":    {files{".git::$INDEX_ALLOCATION/config": "x"}, "git's own"},
		"git by no width":  {files{".g\u200cit/config": "x"}, "git's own"},
		"control":          {files{"a\nb": "x"}, "control"},
		"not UTF-8":        {files{"a\xff": "x"}, "UTF-8"},
		"long name":        {files{strings.Repeat("n", 300): "x"}, "longer"},
		"long path":        {files{strings.Repeat("n/", 600) + "x": "x"}, "longer"},
		"deep":             {files{strings.Repeat("n/", 70) + "x": "x"}, "deeper"},
		"file and folder":  {files{"n": "x", "n/m": "x"}, "cannot be a file and a folder"},
		"over a folder":    {files{"dir": "x"}, "there is a folder"},
		"under a file":     {files{"file/x": "x"}, "there is a file"},
		"remove nothing":   {files{"nothing": gone}, "no such file"},
		"remove a folder":  {files{"dir": gone}, "no such file"},
		"case clash":       {files{"FILE": "x"}, "one name"},
		"case of folders":  {files{"Dir/other": "x"}, "one name"},
		"composed letters": {files{"\u00e9": "x", "e\u0301": "y"}, "one name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Commit(t.Context(), spec("Bad", c.files, base))
			wantKind(t, err, fleet.Invalid, c.says)
		})
	}
	for name, change := range map[string]func(*CommitSpec){
		"no message":     func(s *CommitSpec) { s.Message = " \n" },
		"author's line":  func(s *CommitSpec) { s.Author.Name = "A\nparent x" },
		"author's mail":  func(s *CommitSpec) { s.Author.Email = "a>b" },
		"no author":      func(s *CommitSpec) { s.Author = fleet.Identity{} },
		"no such parent": func(s *CommitSpec) { s.Parents = []string{strings.Repeat("1", 40)} },
		"no id":          func(s *CommitSpec) { s.Parents = []string{"main"} },
	} {
		t.Run(name, func(t *testing.T) {
			s := spec("Message", files{"ok": "x"}, base)
			change(&s)
			_, err := r.Commit(t.Context(), s)
			wantKind(t, err, fleet.Invalid)
		})
	}
}

func TestCommitSwapsFileAndFolder(t *testing.T) {
	r := newRepo(t)
	base := commitFiles(t, r, "Base", files{"a": "file", "b/c": "in folder"})
	id := commitFiles(t, r, "Swap", files{"a": gone, "a/x": "1", "b": "2", "b/c": gone}, base)
	if got, want := content(t, r, id), (files{"a/x": "1", "b": "2"}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRoundTrip lays random changes over random trees and compares with a map:
// content, listing and Changed must agree with it.
func TestRoundTrip(t *testing.T) {
	r := newRepo(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	path := func() string {
		parts := make([]string, 1+rnd.IntN(3))
		for i := range parts {
			parts[i] = fmt.Sprintf("%c", 'a'+rnd.IntN(4))
			if i == len(parts)-1 {
				parts[i] += []string{".x", "-", ".cue", "0"}[rnd.IntN(4)]
			}
		}
		return strings.Join(parts, "/")
	}
	have := files{}
	parent := ""
	for round := range 60 {
		change := files{}
		for range 1 + rnd.IntN(8) {
			change[path()] = fmt.Sprintf("round %d, %d", round, rnd.IntN(3))
		}
		for p := range have {
			if rnd.IntN(4) == 0 {
				change[p] = gone
			}
		}
		want := maps.Clone(have)
		for p, text := range change {
			if text == gone {
				delete(want, p)
				continue
			}
			want[p] = text
		}
		var parents []string
		if parent != "" {
			parents = []string{parent}
		}
		id := commitFiles(t, r, "Round", change, parents...)
		if got := content(t, r, id); !maps.Equal(got, want) {
			t.Fatalf("round %d: got %v, want %v", round, got, want)
		}
		compareListing(t, r, id, want)
		compareChanges(t, r, parent, id, have, want)
		have, parent = want, id
	}
	if err := r.SetBranch("main", "", parent); err != nil {
		t.Fatal(err)
	}
	stock(t, r.Dir(), "fsck", "--strict", "--no-dangling")
}

func compareListing(t *testing.T, r *Repo, id string, want files) {
	t.Helper()
	tree, err := r.Tree(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", ".", "a", "b/c", "a/a.cue", "nowhere"} {
		list, err := tree.Files(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted []string
		for _, f := range list {
			got = append(got, f.Path)
		}
		for p := range want {
			if prefix == "" || prefix == "." || p == prefix || strings.HasPrefix(p, prefix+"/") {
				wanted = append(wanted, p)
			}
		}
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Fatalf("Files(%q) = %q, want %q", prefix, got, wanted)
		}
	}
}

func compareChanges(t *testing.T, r *Repo, from, to string, have, want files) {
	t.Helper()
	changes, err := r.Changed(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	got := maps.Clone(have)
	for _, c := range changes {
		if was, ok := have[c.Path]; ok != (c.Old != "") || ok && blob(t, r, c.Old) != was {
			t.Fatalf("%s was %q, Changed says %+v", c.Path, was, c)
		}
		if c.New == "" {
			delete(got, c.Path)
			continue
		}
		if c.NewMode != modeFile || c.Old == c.New {
			t.Fatalf("odd change %+v", c)
		}
		got[c.Path] = blob(t, r, c.New)
	}
	if !maps.Equal(got, want) {
		t.Fatalf("changes lead to %v, want %v", got, want)
	}
}

func blob(t *testing.T, r *Repo, id string) string {
	t.Helper()
	data, err := r.ReadBlob(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
