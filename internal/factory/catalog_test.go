package factory_test

import (
	"path/filepath"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/detection"
)

// TestCatalogDetects tries the detection rules of the catalog that is shipped,
// as it was last committed: each release, on a device without it, with it, and
// with the release before.
func TestCatalogDetects(t *testing.T) {
	git, err := gitrepo.Open(filepath.Join("..", ".."))
	if err != nil {
		t.Skipf("the sources are no git checkout: %v", err)
	}
	tree, err := git.Tree("HEAD")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := desired.LoadPart(t.Context(), tree.Desired(t.Context()), desired.Part{Catalog: []string{"catalog"}, Policy: &fleet.Repository{}}, desired.Options{})
	if err != nil {
		t.Fatal(err)
	}
	releases := 0
	for _, id := range repo.PackageIDs() {
		releases += len(repo.Packages[id].Releases)
		for _, c := range detection.Contradictions(repo.Packages[id]) {
			t.Errorf("%s %s, installer %s: %s", id, c.Release, c.Installer, c.What)
		}
	}
	if len(repo.Packages) < 15 || releases < 6 {
		t.Errorf("only %d packages with %d releases were looked at", len(repo.Packages), releases)
	}
}
