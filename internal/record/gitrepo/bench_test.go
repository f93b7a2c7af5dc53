package gitrepo

import (
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// large is a packed repository of 5,000 packages, a package and a release file
// each, and a commit that adds one release.
func large(b *testing.B) (r *Repo, before, after string) {
	b.Helper()
	r = newRepo(b)
	all := files{}
	for i := range 5000 {
		dir := fmt.Sprintf("catalog/publisher%04d/package", i)
		all[dir+"/package.cue"] = fmt.Sprintf("package catalog\n\nname: \"Package %d\"\n", i)
		all[dir+"/1.0.0.cue"] = fmt.Sprintf("package catalog\n\ncounter: %d\n", i)
	}
	before = commitFiles(b, r, "Begin", all)
	after = commitFiles(b, r, "Bump", files{"catalog/publisher2500/package/1.1.0.cue": "package catalog\n"}, before)
	if err := r.SetBranch("main", "", after); err != nil {
		b.Fatal(err)
	}
	stock(b, r.Dir(), "repack", "-a", "-d", "-q")
	stock(b, r.Dir(), "prune-packed")
	fresh, err := Open(r.Dir())
	if err != nil {
		b.Fatal(err)
	}
	return fresh, before, after
}

// BenchmarkChanged compares one commit with its parent, and says how many times
// longer go-git's own object.DiffTree takes for the same.
func BenchmarkChanged(b *testing.B) {
	r, before, after := large(b)
	trees := make([]*object.Tree, 2)
	for i, id := range []string{before, after} {
		c, err := object.GetCommit(r.store, plumbing.NewHash(id))
		if err != nil {
			b.Fatal(err)
		}
		if trees[i], err = c.Tree(); err != nil {
			b.Fatal(err)
		}
	}
	perOp := map[string]float64{}
	for name, compare := range map[string]func() (int, error){
		"theirs": func() (int, error) {
			changes, err := object.DiffTree(trees[0], trees[1])
			return len(changes), err
		},
		"own": func() (int, error) {
			changes, err := r.Changed(b.Context(), before, after)
			return len(changes), err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := compare(); err != nil || n != 1 {
					b.Fatal(n, err)
				}
			}
			perOp[name] = float64(b.Elapsed()) / float64(b.N)
			if perOp["own"] > 0 && perOp["theirs"] > 0 {
				b.ReportMetric(perOp["theirs"]/perOp["own"], "theirs/own")
			}
		})
	}
}

// BenchmarkList lists and reads a whole catalog, in a repository that was just
// opened.
func BenchmarkList(b *testing.B) {
	r, _, after := large(b)
	for b.Loop() {
		fresh, err := Open(r.Dir())
		if err != nil {
			b.Fatal(err)
		}
		t, err := fresh.Tree(after)
		if err != nil {
			b.Fatal(err)
		}
		list, err := t.Desired(b.Context()).Files("catalog")
		if err != nil || len(list) != 10001 {
			b.Fatal(len(list), err)
		}
		for _, f := range list {
			if _, err := t.Read(f.Path); err != nil {
				b.Fatal(err)
			}
		}
	}
}
