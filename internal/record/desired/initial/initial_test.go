package initial

import (
	"context"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/record/desired"
)

func TestFilesValidate(t *testing.T) {
	first := map[string]string{"monday-friday": "Wed", "tuesday": "Tue"}
	for _, week := range Weeks() {
		files, err := Files(Options{Week: week})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := desired.Load(context.Background(), desired.MapTree(files), desired.Options{
			Evaluator: desired.InProcess{}, Now: time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatalf("%s:\n%v", week, err)
		}
		if got := repo.Week.Steps["detect"].On; got != first[week] {
			t.Errorf("%s: detect is on %s, want %s", week, got, first[week])
		}
		if len(repo.Packages) != 2 || len(repo.Tenants) != 2 || len(repo.Waves) != 2 {
			t.Errorf("%s: %d packages, %d tenants, %d waves; want 2 of each", week, len(repo.Packages), len(repo.Tenants), len(repo.Waves))
		}
		for id, p := range repo.Packages {
			if len(p.Releases) != 0 {
				t.Errorf("%s has a release: its digest would be invented", id)
			}
		}
	}
}

func TestUnknownWeek(t *testing.T) {
	if _, err := Files(Options{Week: "sunday"}); err == nil {
		t.Error("an unknown week is accepted")
	}
}

func TestModulePath(t *testing.T) {
	for path, ok := range map[string]bool{"": true, "git.example.com/ops/packages": true, "example.com/packages@v1": true, "bad module": false, "packages": false, "Example.com/x": false, "../x": false} {
		if _, err := Files(Options{Module: path}); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}
