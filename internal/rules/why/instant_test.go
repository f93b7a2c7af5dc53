package why

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestInstant: a local time is told as devices take it, whatever the week says
// of its own steps.
func TestInstant(t *testing.T) {
	at := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
	}
	for _, rule := range []fleet.DSTRule{{Gap: "later", Fold: "first"}, {Gap: "skip", Fold: "second"}} {
		p := &pair{facts: rollout.Facts{Repo: &fleet.Repository{Week: fleet.Week{Zone: "UTC", DST: rule}}}, tenant: fleet.Tenant{Zone: "America/New_York"}}
		for _, c := range []struct {
			what       string
			local      bool
			said, want time.Time
		}{
			{"shown twice", true, at(11, 1, 1, 30), at(11, 1, 5, 30)},
			{"skipped", true, at(3, 8, 2, 30), at(3, 8, 7, 0)},
			{"shown once", true, at(11, 2, 1, 30), at(11, 2, 6, 30)},
			{"no local time", false, at(11, 1, 1, 30), at(11, 1, 1, 30)},
		} {
			if got := p.instant(fleet.PlanRow{LocalTime: c.local}, c.said); !got.Equal(c.want) {
				t.Errorf("%s, under %+v: %s, want %s", c.what, rule, got, c.want)
			}
		}
	}
}
