package cli

import (
	"context"
	"time"
)

// A demoStep is one moment of the week.
type demoStep struct {
	name   string
	at     time.Time
	do     func(d *demo, ctx context.Context, s demoStep) error
	mill   bool   // packmill runs
	branch string // beginning of the branches whose pull requests people merge then
}

// demoSteps are the moments of the week 2026-W47. Times are UTC; the operator
// is in Helsinki, two hours ahead.
func demoSteps() []demoStep {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	mill := func(name string, at time.Time) demoStep {
		return demoStep{name: name, at: at, do: (*demo).mill, mill: true}
	}
	people := func(name string, at time.Time, branch string) demoStep {
		return demoStep{name: name, at: at, do: (*demo).people, branch: branch}
	}
	return []demoStep{
		{name: "found", at: at(17, 12, 0), do: (*demo).found},
		mill("detect", at(18, 4, 0)),
		people("review", at(18, 7, 0), "bump/"),
		mill("build", at(18, 8, 0)),
		mill("open", at(18, 14, 0)),
		people("approve-dogfood", at(18, 14, 30), "cycle/"),
		mill("dogfood", at(19, 4, 0)),
		mill("first-look", at(19, 13, 0)),
		people("revoke", at(19, 13, 30), "revert/"),
		mill("roll-back", at(19, 14, 0)),
		mill("second-look", at(20, 11, 0)),
		people("approve-everyone", at(20, 12, 0), "approve/"),
		{name: killStep, at: at(23, 6, 0), do: (*demo).killAndTell, mill: true},
		mill("resume", at(23, 6, 10)),
		mill("judge", at(24, 12, 0)),
		people("close", at(24, 12, 30), "close/"),
		mill("record", at(24, 12, 40)),
		{name: "report", at: at(24, 13, 0), do: (*demo).report},
		{name: "audit", at: at(24, 13, 5), do: (*demo).audit},
	}
}

// killStep is the step in which the runner is killed.
const killStep = "everyone"
