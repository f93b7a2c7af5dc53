package factory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Replayable ledger can tell what it held at an instant.
type Replayable interface {
	Ledger
	ReadAsOf(ctx context.Context, at time.Time) (*fleet.Record, error)
}

// ObserveAsOf reads the facts as they were at an instant: what Observe read then.
// Nothing derived is ever stored, so what was derived then is derived again.
// Instants are whole seconds, as evidence counts them: what was appended within
// the second is part of it.
func (f *Factory) ObserveAsOf(ctx context.Context, ledger Replayable, at time.Time) (rollout.Facts, error) {
	head, err := f.Git.Main()
	if err != nil {
		return rollout.Facts{}, err
	}
	rec, err := ledger.ReadAsOf(ctx, at)
	if err != nil {
		return rollout.Facts{}, err
	}
	commits, err := f.Git.FirstParents(ctx, head, "")
	if err != nil {
		return rollout.Facts{}, err
	}
	line := make([]rollout.OnMain, 0, len(commits))
	for _, c := range slices.Backward(commits) {
		line = append(line, rollout.OnMain{Commit: c.ID, Made: c.When})
	}
	main := rollout.MainAt(line, rec, at)
	if main == "" {
		return rollout.Facts{}, &fleet.Error{Op: "factory.replay", Object: at.UTC().Format(time.RFC3339), Kind: fleet.Invalid,
			Err: errors.New("is before the first commit of main, which is of " + line[0].Made.UTC().Format(time.RFC3339)), Hint: "git log --first-parent main"}
	}
	return f.factsOf(ctx, main, rec)
}

// Instant is when facts are judged that were read now: at now, or at the newest
// fact where this machine's clock is behind that. Evidence cannot come from the
// future.
func Instant(rec *fleet.Record, now time.Time) time.Time {
	if newest := DataTime(rec); newest.After(now) {
		return newest
	}
	return now
}
