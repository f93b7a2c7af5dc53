package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/view"
)

// onlyDemo are the steps in which the demo shows something beside the cycle.
var onlyDemo = []string{"report", "audit"}

// rehearsedEve is a copy of a seed's world on the eve of its first wave, whose
// runner is to be killed at a point.
func rehearsedEve(t *testing.T, seed int64, kill killPoint) string {
	t.Helper()
	from, err := worlds.until(seed, "dogfood")
	dir := copied(t, got(t, from, err))
	if err := setKill(dir, kill); err != nil {
		t.Fatal(err)
	}
	d, err := openDemo(context.Background(), packmillProgram(t), dir, seed, kill)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if err := d.keepModel(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// simulated is what simulate prints for a world's clone.
func simulated(t *testing.T, dir string, args ...string) simulation {
	t.Helper()
	code, stdout, stderr := run(t, nil, append([]string{"simulate", "-C", filepath.Join(dir, "work"), "--format", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := validDocument("simulation", stdout); err != nil {
		t.Fatal(err)
	}
	var s simulation
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// toldFrom are the lines that a demo printed from an instant on.
func toldFrom(t *testing.T, dir string, from time.Time) []view.Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var journal demoJournal
	if err := json.Unmarshal(data, &journal); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(journal.Events, func(e view.Event) bool { return !e.At.After(from) || slices.Contains(onlyDemo, e.Step) })
}

func lines(events []view.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s %s\n", e.At.UTC().Format(time.RFC3339), e.Step, e.Text)
	}
	return b.String()
}

// TestSimulateTellsTheDemo compares, for several seeds, what simulate tells
// before the first wave with what the demo prints after. TestSimulateTellsKills
// does it for seed 1.
func TestSimulateTellsTheDemo(t *testing.T) {
	thorough(t, "runs two weeks")
	stories := map[string]bool{}
	for _, seed := range []int64{2, 3} {
		dir := rehearsedEve(t, seed, afterCall)
		s := simulated(t, dir, "2026-W47")
		if !s.Closed || s.Seed != seed || len(s.Timeline) != 12 || len(s.Stops) != 1 {
			t.Errorf("seed %d: closed %v, seed %d, %d legs, %d stops", seed, s.Closed, s.Seed, len(s.Timeline), len(s.Stops))
		}
		if err := worlds.week(dir, seed, afterCall, ""); err != nil {
			t.Fatal(err)
		}
		want := lines(toldFrom(t, dir, s.From))
		if got := lines(s.Events); got != want || strings.Count(want, "\n") < 15 {
			t.Errorf("seed %d: simulate and demo differ:\n%s", seed, differing(got, want))
		}
		stories[want] = true
	}
	if len(stories) != 2 {
		t.Errorf("two seeds tell %d story: nothing depends on the seed", len(stories))
	}
}

// TestSimulateTellsKills does the same for each point at which the runner may
// be killed.
func TestSimulateTellsKills(t *testing.T) {
	long(t, "runs a week for each kill point")
	for _, kill := range []killPoint{afterIntent, afterUpload, afterCall, afterReceipt, neverKill} {
		s := simulated(t, rehearsedEve(t, 1, kill))
		want := lines(toldFrom(t, finishedWorld(t, kill), s.From))
		if got := lines(s.Events); got != want || kill != neverKill && !strings.Contains(want, "SIGKILL, "+kill.words()) {
			t.Errorf("killed %s: simulate and demo differ:\n%s", kill, differing(got, want))
		}
	}
}

// TestDemoUntil refuses a step that there is not.
func TestDemoUntil(t *testing.T) {
	code, _, told := demoProcess(t, "--dir", t.TempDir(), "--until", "noon")
	if code != exitInvalid || !strings.Contains(told, "dogfood") {
		t.Errorf("exit %d: %s", code, told)
	}
}
