package msgraph

import (
	"sync"
	"time"
)

// A window lets no more than n requests pass in any span of time, and as many at
// once while there is room: what a service that counts by spans grants, whenever
// it begins to count. A token bucket that keeps the same promise gives half of it
// away, since what was let through at once may follow a full span of its steady
// pace.
type window struct {
	n    int
	span time.Duration

	mu   sync.Mutex
	sent []time.Time // when the last n pass, oldest at next
	next int
}

// newWindow is a window that is longer than the service's by a twentieth: one
// request may be under way for longer than a later one.
func newWindow(n int, span time.Duration) *window {
	return &window{n: n, span: span + span/20}
}

// reserve takes the place of one request and says how long it must wait for it.
func (w *window) reserve(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := now
	if len(w.sent) < w.n {
		if last := len(w.sent) - 1; last >= 0 && w.sent[last].After(at) {
			at = w.sent[last]
		}
		w.sent = append(w.sent, at)
		return at.Sub(now)
	}
	if free := w.sent[w.next].Add(w.span); free.After(at) {
		at = free
	}
	w.sent[w.next] = at
	w.next = (w.next + 1) % w.n
	return at.Sub(now)
}

// room is how many requests would pass at once.
func (w *window) room(now time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	free := w.n
	for _, at := range w.sent {
		if at.Add(w.span).After(now) {
			free--
		}
	}
	return free
}
