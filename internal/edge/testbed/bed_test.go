package testbed

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// realBed is the bed of this machine's user, whose bases tests share.
func realBed(t testing.TB) Bed {
	t.Helper()
	testreq.Program(t, "bwrap")
	dir := os.Getenv("PACKMILL_TESTBED")
	if dir == "" {
		cache, err := os.UserCacheDir()
		testreq.Need(t, "cache folder", err == nil, "the user has none")
		dir = filepath.Join(cache, "packmill", "testbed")
	}
	return Bed{Dir: dir, System: os.DirFS("/"), Getenv: os.Getenv, Say: func(what string) { t.Log(what) }}
}

// prepared needs a base to be there already, unless all parts are required: a
// plain `go test` does not fetch a system.
func prepared(t testing.TB, bed Bed, glob string) {
	t.Helper()
	if os.Getenv("PACKMILL_REQUIRE") == "all" {
		return
	}
	found, err := filepath.Glob(filepath.Join(bed.Dir, "base", glob))
	found = slices.DeleteFunc(found, func(name string) bool {
		return strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".partial")
	})
	testreq.Need(t, "a prepared base", err == nil && len(found) > 0, "run `packmill test --prepare` once")
}

// files is content that a test has in memory, and the name of what is installed.
func files(setup string, content map[string][]byte) func(context.Context, *os.Root) (string, error) {
	return func(_ context.Context, dir *os.Root) (string, error) {
		for name, data := range content {
			if err := dir.WriteFile(name, data, 0o644); err != nil {
				return "", err
			}
		}
		return setup, nil
	}
}

// results are the steps that want names, as "name:result", and all that failed.
func results(steps []fleet.TestStep, want []string) []string {
	named := map[string]bool{}
	for _, w := range want {
		name, _, _ := strings.Cut(w, ":")
		named[name] = true
	}
	var out []string
	for _, s := range steps {
		if named[s.Name] || s.Result == "failed" {
			out = append(out, s.Name+":"+s.Result)
		}
	}
	return out
}

// wantSteps compares the steps that want names, and that no other failed, and
// tells the details of what differs.
func wantSteps(t testing.TB, steps []fleet.TestStep, want ...string) {
	t.Helper()
	if got := results(steps, want); !slices.Equal(got, want) {
		t.Errorf("steps\n got %v\nwant %v", got, want)
		tellSteps(t, steps)
	}
}

func tellSteps(t testing.TB, steps []fleet.TestStep) {
	t.Helper()
	for _, s := range steps {
		t.Logf("%-13s %-8s %s", s.Name, s.Result, s.Detail)
	}
}

// detailOf is what a step says.
func detailOf(steps []fleet.TestStep, name string) string {
	for _, s := range steps {
		if s.Name == name {
			return s.Detail
		}
	}
	return ""
}

// noLeftovers checks that a bed has no layer and no mount left.
func noLeftovers(t testing.TB, bed Bed) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(bed.Dir, "run", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(table), filepath.Join(bed.Dir, "run")) {
		t.Errorf("a mount is left below %s", bed.Dir)
	}
}

// contextThatEndsIn is a context that ends while a cell runs.
func contextThatEndsIn(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// TestScratchAtOnce makes and removes folders from many sides at once: none may
// take another's for what a killed run left.
func TestScratchAtOnce(t *testing.T) {
	bed := Bed{Dir: t.TempDir()}
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 40 {
				l, err := bed.scratch(t.Context())
				if err != nil {
					return err
				}
				if err := os.Mkdir(filepath.Join(l.dir, "upper"), 0o755); err != nil {
					return err
				}
				if err := l.remove(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	noLeftovers(t, bed)
}
