package factory

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A running clock is one that nobody holds still.
type running struct{ *fleet.ManualClock }

// TestCatchUp takes over from runners whose clocks were ahead.
func TestCatchUp(t *testing.T) {
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		still       bool // as --now holds it
		ahead, want time.Duration
	}{
		{false, -time.Hour, 0}, {false, 0, 0}, {false, 7 * time.Second, 7 * time.Second}, {false, maxSkew, maxSkew}, {false, maxSkew + 1, -1},
		{true, maxSkew + 1, maxSkew + 1}, {true, rollout.Lease, rollout.Lease}, {true, rollout.Lease + 1, -1}, {true, 2 * time.Hour, -1},
	} {
		ahead, want := c.ahead, c.want
		for name, rec := range map[string]*fleet.Record{
			"intent":  {Intents: []fleet.Intent{{At: now.Add(ahead)}, {At: now.Add(-time.Hour)}}},
			"verdict": {Verdicts: []fleet.Verdict{{At: now.Add(ahead)}}},
		} {
			clock := fleet.NewManualClock(now)
			f := &Factory{Clock: running{clock}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
			if c.still {
				f.Clock = clock
			}
			err := f.catchUp(t.Context(), rec)
			switch {
			case want < 0 && fleet.KindOf(err) != fleet.Refused:
				t.Errorf("%s %s ahead: %v, want it to be refused", name, ahead, err)
			case want >= 0 && (err != nil || clock.Now() != now.Add(want)):
				t.Errorf("%s %s ahead: %v, and it is %s", name, ahead, err, clock.Now())
			}
		}
	}
}
