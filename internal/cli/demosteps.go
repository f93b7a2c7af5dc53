package cli

import (
	"context"
	"time"
)

// A demoStep is one moment of the week.
type demoStep struct {
	name string
	at   time.Time
	do   func(d *demo, ctx context.Context, s demoStep) error
}

// demoSteps are the moments of the week 2026-W47. Times are UTC; the operator
// is in Helsinki, two hours ahead.
func demoSteps() []demoStep {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	return []demoStep{
		{"found", at(17, 12, 0), (*demo).found},
		{"detect", at(18, 4, 0), (*demo).mill},
		{"review", at(18, 7, 0), people("bump/")},
		{"build", at(18, 8, 0), (*demo).mill},
		{"open", at(18, 14, 0), (*demo).mill},
		{"approve-dogfood", at(18, 14, 30), people("cycle/")},
		{"dogfood", at(19, 4, 0), (*demo).mill},
		{"first-look", at(19, 13, 0), (*demo).mill},
		{"revoke", at(19, 13, 30), people("revert/")},
		{"roll-back", at(19, 14, 0), (*demo).mill},
		{"second-look", at(20, 11, 0), (*demo).mill},
		{"approve-everyone", at(20, 12, 0), people("approve/")},
		{"everyone", at(23, 6, 0), (*demo).killAndTell},
		{"resume", at(23, 6, 10), (*demo).mill},
		{"judge", at(24, 12, 0), (*demo).mill},
		{"close", at(24, 12, 30), people("close/")},
		{"record", at(24, 12, 40), (*demo).mill},
		{"report", at(24, 13, 0), (*demo).report},
		{"audit", at(24, 13, 5), (*demo).audit},
	}
}
