package cli

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func TestParseInstant(t *testing.T) {
	week := fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "skip", Fold: "second"}}
	for text, want := range map[string]string{
		"2026-11-19T13:00:00Z":      "2026-11-19T13:00:00Z",
		"2026-11-19T15:00:00+02:00": "2026-11-19T13:00:00Z",
		"2026-11-19 15:00":          "2026-11-19T13:00:00Z",
		"2026-11-19T15:00":          "2026-11-19T13:00:00Z",
		"2026-11-19":                "2026-11-19T21:59:59Z",
		"2026-10-25":                "2026-10-25T21:59:59Z", // the day has 25 hours
		"2026-10-25 03:30":          "2026-10-25T01:30:00Z", // the second of two
	} {
		if got, err := parseInstant(text, week); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-11-31", "2026-11-19 25:00", "2026-11-19 15:00:00", "2026-03-29 03:30", "2026-11-19 "} {
		if got, err := parseInstant(text, week); exitCode(err) != exitInvalid {
			t.Errorf("%q is taken for %s (%v)", text, got, err)
		}
	}
}
