package desired

import (
	"context"
	"maps"
	"path"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// now is an instant in the week of the test repository.
var now = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// msp is the test repository, a fresh copy.
func msp(t testing.TB) MapTree {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/msp.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tree := bare()
	for _, f := range archive.Files {
		tree[f.Name] = f.Data
	}
	return tree
}

// bare is a repository that holds nothing but its module.
func bare() MapTree {
	tree := MapTree{modulePath: ModuleFile("example.com/packages")}
	for name, data := range schema.Files() {
		tree[path.Join(schema.VendorDir, name)] = data
	}
	return tree
}

// with is the tree with some files replaced; an empty text removes the file.
func with(tree MapTree, files map[string]string) MapTree {
	tree = maps.Clone(tree)
	for name, text := range files {
		if text == "" {
			delete(tree, name)
		} else {
			tree[name] = []byte(text)
		}
	}
	return tree
}

func load(t testing.TB, tree Tree) (*fleet.Repository, error) {
	t.Helper()
	return Load(context.Background(), tree, Options{Evaluator: InProcess{}, Now: now, Workers: 1})
}

func TestLoad(t *testing.T) {
	repo, err := load(t, msp(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", repo)
}
