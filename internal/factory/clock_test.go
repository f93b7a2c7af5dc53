package factory

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestCatchUp takes over from runners whose clocks were ahead.
func TestCatchUp(t *testing.T) {
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]time.Duration{-time.Hour: 0, 0: 0, 7 * time.Second: 7 * time.Second, maxSkew: maxSkew, maxSkew + 1: -1, time.Hour: -1} {
		for name, rec := range map[string]*fleet.Record{
			"intent":  {Intents: []fleet.Intent{{At: now.Add(ahead)}, {At: now.Add(-time.Hour)}}},
			"verdict": {Verdicts: []fleet.Verdict{{At: now.Add(ahead)}}},
		} {
			clock := fleet.NewManualClock(now)
			f := &Factory{Clock: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
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
