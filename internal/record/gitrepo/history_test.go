package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// a history with a merge: base ← left, base ← right, both ← merge.
func history(t *testing.T) (r *Repo, base, left, right, merge string) {
	t.Helper()
	r = newRepo(t)
	base = commitFiles(t, r, "Base", files{"a": "1"})
	left = commitFiles(t, r, "Left", files{"a": "2"}, base)
	right = commitFiles(t, r, "Right", files{"b": "1"}, base)
	merge = commitFiles(t, r, "Merge (#7)\r\n\r\nText.\r\n\r\nRisk: low\r\nImpact: none\r\n to speak of\r\n", files{"b": "1"}, left, right)
	for name, id := range map[string]string{"main": merge, "bump/x/1.0": right} {
		if err := r.SetBranch(name, "", id); err != nil {
			t.Fatal(err)
		}
	}
	return r, base, left, right, merge
}

func TestResolve(t *testing.T) {
	r, base, left, right, merge := history(t)
	stock(t, r.Dir(), "tag", "-a", "-m", "x", "v1", left)
	stock(t, r.Dir(), "update-ref", "refs/remotes/origin/main", base)
	stock(t, r.Dir(), "update-ref", "refs/remotes/origin/only", base)
	for rev, want := range map[string]string{
		"main": merge, "HEAD": merge, "refs/heads/main": merge, "origin/main": base, "only": base, "bump/x/1.0": right, "v1": left,
		merge: merge, strings.ToUpper(merge): merge, merge[:7]: merge, merge[:12]: merge,
		"main^": left, "main~1": left, "main^2": right, "main^2~1": base, "main~2": base, "main^^": base, "main~0": merge, "main^0": merge,
	} {
		got, err := r.Resolve(rev)
		if err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", rev, got, err, want)
		}
	}
	tree, err := r.Tree("main")
	if err != nil {
		t.Fatal(err)
	}
	for _, rev := range []string{"", "nothing", "main^3", "main~9", "main^x", "main~99999999999999999999", "abc", "zzzz", "refs/heads/nothing", "../../config", tree.ID(), strings.Repeat("1", 40)} {
		if got, err := r.Resolve(rev); err == nil {
			t.Errorf("Resolve(%q) = %q, want an error", rev, got)
		} else if fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("Resolve(%q): kind %s: %v", rev, fleet.KindOf(err), err)
		}
	}
}

func TestHistory(t *testing.T) {
	r, base, left, right, merge := history(t)
	ctx := t.Context()
	ids := func(list []CommitInfo) (out []string) {
		for _, c := range list {
			out = append(out, c.ID)
		}
		return out
	}
	line, err := r.FirstParents(ctx, merge, "")
	if err != nil || !slices.Equal(ids(line), []string{merge, left, base}) {
		t.Errorf("FirstParents to the root: %v, %v", ids(line), err)
	}
	if line, err = r.FirstParents(ctx, merge, base); err != nil || !slices.Equal(ids(line), []string{merge, left}) {
		t.Errorf("FirstParents to base: %v, %v", ids(line), err)
	}
	if line, err = r.FirstParents(ctx, merge, merge); err != nil || len(line) != 0 {
		t.Errorf("FirstParents to itself: %v, %v", ids(line), err)
	}
	_, err = r.FirstParents(ctx, merge, right)
	wantKind(t, err, fleet.Refused, "first-parent line")

	for _, c := range []struct {
		old, new string
		want     bool
	}{{base, merge, true}, {right, merge, true}, {merge, merge, true}, {merge, base, false}, {left, right, false}} {
		if got, err := r.IsAncestor(ctx, c.old, c.new); err != nil || got != c.want {
			t.Errorf("IsAncestor(%.7s, %.7s) = %v, %v", c.old, c.new, got, err)
		}
	}
	for _, c := range []struct{ a, b, want string }{{left, right, base}, {merge, right, right}, {base, merge, base}} {
		if got, err := r.MergeBase(ctx, c.a, c.b); err != nil || got != c.want {
			t.Errorf("MergeBase(%.7s, %.7s) = %.7s, %v; want %.7s", c.a, c.b, got, err, c.want)
		}
	}
	alone := commitFiles(t, r, "Alone", files{"z": "1"})
	if got, err := r.MergeBase(ctx, alone, merge); err != nil || got != "" {
		t.Errorf("MergeBase of strangers: %q, %v", got, err)
	}
}

func TestCommitInfo(t *testing.T) {
	r, _, left, right, merge := history(t)
	info, err := r.CommitInfo(merge)
	if err != nil {
		t.Fatal(err)
	}
	if info.Title() != "Merge (#7)" || !slices.Equal(info.Parents, []string{left, right}) || info.Author.Name != "Mill" || info.When != time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC) {
		t.Errorf("got %+v", info)
	}
	if got := info.Trailer("impact"); got != "none to speak of" {
		t.Errorf("Impact: %q", got)
	}
	if got := info.Trailer("Risk"); got != "low" {
		t.Errorf("Risk: %q", got)
	}
	if got := info.Trailer("Text"); got != "" {
		t.Errorf("Text: %q", got)
	}
}

func TestParseTrailers(t *testing.T) {
	for message, want := range map[string][]Trailer{
		"Title":                                nil,
		"Title: no trailer":                    nil,
		"Title\n\nA: 1\nB: 2\n":                {{"A", "1"}, {"B", "2"}},
		"Title\n\nWords here.\nA: 1":           nil,
		"Title\n\nBody\n\nBack-out:\n  revert": {{"Back-out", "revert"}},
		"Title\n\nhttps://example.com/x":       {{"https", "//example.com/x"}}, // as git reads it
		"Title\n\nA: 1\n\n":                    {{"A", "1"}},
		"Title\n\nA: 1\n\nNot a trailer":       nil,
	} {
		got := ParseTrailers(message)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", message, got, want)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "nothing"))
	wantKind(t, err, fleet.Invalid, "no git repository")
	_, err = Open(dir)
	wantKind(t, err, fleet.Invalid, "no git repository")

	work, err := Init(filepath.Join(dir, "work"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Init(filepath.Join(dir, "work"), false); err == nil {
		t.Error("Init over a repository did not fail")
	}
	id := commitFiles(t, work, "First", files{"sub/a": "1"})
	if err := work.SetBranch("main", "", id); err != nil {
		t.Fatal(err)
	}
	if err := work.CheckOut(); err != nil {
		t.Fatal(err)
	}
	bare, err := Init(filepath.Join(dir, "work", "bare.git"), true)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Open(filepath.Join(dir, "work", "sub")); err != nil || r.Dir() != work.Dir() {
		t.Errorf("a folder below a work tree: %v", err)
	}
	if r, err := Open(bare.Dir()); err != nil || !r.Bare() || r.Dir() != bare.Dir() {
		t.Errorf("a bare repository in a work tree: %v", err)
	}
	linked := filepath.Join(dir, "linked")
	stock(t, work.WorkTree(), "worktree", "add", "-q", "-b", "other", linked)
	r, err := Open(linked)
	if err != nil {
		t.Fatal(err)
	}
	if main, err := r.Main(); err != nil || main != id {
		t.Errorf("main from a linked work tree: %q, %v", main, err)
	}
	if err := r.SetBranch("third", "", id); err != nil {
		t.Fatal(err)
	}
	if got := stock(t, work.WorkTree(), "rev-parse", "third"); got != id {
		t.Errorf("a branch set from a linked work tree: %q", got)
	}
}

func TestObjectsThatGitPackedMeanwhile(t *testing.T) {
	r, _, _, _, merge := history(t)
	content(t, r, merge) // the pack index is read now
	other := filepath.Join(t.TempDir(), "clone")
	stock(t, ".", "clone", "-q", r.Dir(), other)
	for i := range 3 {
		name := filepath.Join(other, "file"+string(rune('a'+i)))
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stock(t, other, "add", ".")
	stock(t, other, "commit", "-q", "-m", "Later")
	stock(t, r.Dir(), "config", "receive.unpackLimit", "1")
	stock(t, r.Dir(), "config", "fetch.unpackLimit", "1")
	stock(t, r.Dir(), "fetch", "-q", other, "main:later")
	stock(t, r.Dir(), "repack", "-a", "-d", "-q")
	if got := content(t, r, "later"); len(got) != 5 {
		t.Errorf("got %v", got)
	}
}

// TestManyReaders reads one packed repository from many sides while another
// process adds to it.
func TestManyReaders(t *testing.T) {
	r, _, _, _, merge := history(t)
	all := files{}
	for i := range 200 {
		all[fmt.Sprintf("dir%d/file%d", i%7, i)] = strings.Repeat(fmt.Sprint(i), 50)
	}
	id := commitFiles(t, r, "Many", all, merge)
	if err := r.SetBranch("many", "", id); err != nil {
		t.Fatal(err)
	}
	stock(t, r.Dir(), "repack", "-a", "-d", "-q")
	stock(t, r.Dir(), "prune-packed")
	fresh, err := Open(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	shared, err := fresh.Tree("many")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if i == 0 {
				if _, err := fresh.Commit(t.Context(), spec("Beside", files{"beside": "x"}, id)); err != nil {
					t.Error(err)
				}
			}
			for path, want := range all {
				if got, err := shared.Read(path); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", path, got, err)
					return
				}
			}
		})
	}
	stock(t, r.Dir(), "repack", "-a", "-d", "-q")
	wg.Wait()
}
