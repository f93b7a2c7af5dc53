package msgraph

import "time"

// A window lets no more than n requests pass in any span of time, and as many at
// once while there is room: what a service that counts by spans grants, whenever
// it begins to count. A token bucket that keeps the same promise gives half of it
// away, since what was let through at once may follow a full span of its steady
// pace.
type window struct {
	n    int
	span time.Duration
	sent []time.Time // when the last n pass, in order
}

// newWindow is a window that is longer than the service's by a twentieth: one
// request may be under way for longer than a later one.
func newWindow(n int, span time.Duration) *window {
	return &window{n: n, span: span + span/20}
}

// when is the first instant from now on at which k requests may pass together,
// after all that have their place already. More than n wait for an empty window.
func (w *window) when(now time.Time, k int) time.Time {
	at := now
	if last := len(w.sent) - 1; last >= 0 && w.sent[last].After(at) {
		at = w.sent[last]
	}
	// The i-th of the last ones must have left the window by then.
	if i := len(w.sent) - w.n + min(k, w.n) - 1; i >= 0 {
		if free := w.sent[i].Add(w.span); free.After(at) {
			at = free
		}
	}
	return at
}

// take gives k requests their place at an instant that when gave.
func (w *window) take(at time.Time, k int) {
	for range min(k, w.n) {
		w.sent = append(w.sent, at)
	}
	if more := len(w.sent) - w.n; more > 0 {
		w.sent = append(w.sent[:0], w.sent[more:]...)
	}
}

// room is how many requests would pass at once.
func (w *window) room(now time.Time) int {
	free := w.n
	for _, at := range w.sent {
		if at.Add(w.span).After(now) {
			free--
		}
	}
	return free
}
