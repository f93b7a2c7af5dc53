package msgraph

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestWindow asks for places in bursts and pauses: never are there more in a span
// than it lets pass, and nobody waits while there is room.
func TestWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := newWindow(5, 20*time.Second)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var passed []time.Time
	for range 2000 {
		now = now.Add(time.Duration(random.IntN(8000)) * time.Millisecond * time.Duration(random.IntN(2)))
		at := now.Add(w.reserve(now))
		if n := len(passed); n >= 5 {
			if gap := at.Sub(passed[n-5]); gap < 21*time.Second {
				t.Fatalf("place %d comes %s after the fifth before it", n, gap)
			}
			if free := passed[n-5].Add(21 * time.Second); at.After(now) && at.After(free) && at.After(passed[n-1]) {
				t.Fatalf("place %d waits until %s, and was free at %s", n, at, free)
			}
		} else if at != now {
			t.Fatalf("place %d waits for %s", n, at.Sub(now))
		}
		passed = append(passed, at)
	}
}
