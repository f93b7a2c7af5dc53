package cli

import (
	"strings"
	"testing"
	"time"
)

// TestStatusReplayed compares what cycle status told during the demo's week with
// what --at tells of the same instants when the week is over: byte for byte.
// In between a release failed and was taken back, waves were approved, a runner
// was killed, and the cycle was closed.
func TestStatusReplayed(t *testing.T) {
	long(t, "runs a week")
	over := repositoryOf(t, finishedWorld(t, afterCall)).Dir()
	steps := demoSteps()
	compared := 0
	for _, waypoint := range waypoints[1:] { // before the first, no cycle was open
		dir, err := worlds.until(1, waypoint)
		then := repositoryOf(t, got(t, dir, err)).Dir()
		for i, s := range steps {
			if s.name != waypoint {
				continue
			}
			since := steps[i-1].at.Add(time.Minute) // what the step before did took some seconds
			for _, at := range []time.Time{since, since.Add(s.at.Sub(since) / 2), s.at.Add(-time.Second)} {
				now := at.Format(time.RFC3339)
				code, live, stderr := run(t, nil, "-C", then, "--now", now, "cycle", "status", "--format", "json")
				if code != exitDone {
					t.Fatalf("%s: code %d: %s", now, code, stderr)
				}
				code, replayed, stderr := run(t, nil, "-C", over, "--now", "2026-11-30T00:00:00Z", "cycle", "status", "--at", now, "--format", "json")
				if code != exitDone {
					t.Fatalf("%s: code %d: %s", now, code, stderr)
				}
				if live != replayed {
					told, again := firstDiffering(live, replayed)
					t.Errorf("at %s it told\n%s\nreplayed it tells\n%s", now, told, again)
				}
				compared++
			}
		}
	}
	if compared != 3*(len(waypoints)-1) {
		t.Errorf("%d instants were compared", compared)
	}
}

// firstDiffering are the first lines in which two texts differ.
func firstDiffering(a, b string) (string, string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i], y[i]
		}
	}
	return "", ""
}
