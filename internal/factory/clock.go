package factory

import (
	"context"
	"errors"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// maxSkew is how far a machine's clock may be behind that of the one which
// wrote evidence last.
const maxSkew = 5 * time.Minute

// behindAtMost is how far a clock may be behind evidence. One that --now holds
// still costs nothing to wait on, and a run that is tried again at the same instant
// finds evidence that the first one wrote after all its waits: no longer than a
// lease.
func behindAtMost(clock fleet.Clock) time.Duration {
	if _, still := clock.(*fleet.ManualClock); still {
		return rollout.Lease
	}
	return maxSkew
}

// catchUp waits until this machine's clock is not behind evidence. What is
// written next rests on what is there, and the order of their times is what an
// audit goes by: a runner that takes over from one whose clock was ahead would
// write receipts older than their intents.
func (f *Factory) catchUp(ctx context.Context, rec *fleet.Record) error {
	behind := newest(rec).Sub(f.Clock.Now())
	switch {
	case behind <= 0:
		return nil
	case behind > behindAtMost(f.Clock):
		return &fleet.Error{Op: "factory.run", Object: "the clock", Kind: fleet.Refused,
			Err: errors.New("is " + behind.Round(time.Second).String() + " behind the newest evidence"), Hint: "set this machine's clock right, or give --now a later instant"}
	}
	f.Log.Warn("the clock is behind the newest evidence: waiting", "behind", behind)
	return f.Clock.Sleep(ctx, behind)
}

// newest is the latest instant of any fact that decisions rest on.
func newest(rec *fleet.Record) time.Time {
	var t time.Time
	later := func(at time.Time) {
		if at.After(t) {
			t = at
		}
	}
	for _, x := range rec.Detections {
		later(x.At)
	}
	for _, x := range rec.Builds {
		later(x.At)
	}
	for _, x := range rec.Tests {
		later(x.At)
	}
	for _, x := range rec.Starts {
		later(x.At)
	}
	for _, x := range rec.Intents {
		later(x.At)
	}
	for _, x := range rec.Receipts {
		later(x.At)
	}
	for _, x := range rec.Reports {
		later(x.At)
	}
	for _, x := range rec.Verdicts {
		later(x.At)
	}
	for _, x := range rec.Notices {
		later(x.At)
	}
	for _, x := range rec.Heartbeats {
		later(x.At)
	}
	return t
}
