package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// atFlag adds --at to a command that can tell of an instant that has passed.
func atFlag(cmd *cobra.Command) *string {
	at := ""
	cmd.Flags().StringVar(&at, "at", "", "tell how it was at this instant: RFC 3339, or a local time or date in the week's zone")
	return &at
}

// factsAt reads the facts that a command is about, and the instant to judge them
// at: as they are now, or, with at set, as they were then.
func (a *app) factsAt(ctx context.Context, mill *factory.Factory, ledger *evidence.Ledger, at string) (rollout.Facts, time.Time, error) {
	if at == "" {
		main, err := mill.Git.Main()
		if err != nil {
			return rollout.Facts{}, time.Time{}, err
		}
		facts, err := mill.ObserveAt(ctx, main)
		if err != nil {
			return facts, time.Time{}, err
		}
		return facts, factory.Instant(facts.Record, mill.Clock.Now()), nil
	}
	main, err := mill.Git.Main()
	if err != nil {
		return rollout.Facts{}, time.Time{}, err
	}
	repo, err := mill.Desired(ctx, main)
	if err != nil {
		return rollout.Facts{}, time.Time{}, err
	}
	then, err := parseInstant(at, repo.Week)
	if err != nil {
		return rollout.Facts{}, time.Time{}, err
	}
	if then.After(mill.Clock.Now()) {
		return rollout.Facts{}, time.Time{}, &fleet.Error{Op: "cli.at", Object: at, Kind: fleet.Invalid, Err: errors.New("is still to come: nothing is known of it"),
			Hint: "leave --at away to be told what is due next"}
	}
	facts, err := mill.ObserveAsOf(ctx, ledger, then)
	if err != nil {
		return facts, time.Time{}, err
	}
	return facts, factory.Instant(facts.Record, then), nil
}

// parseInstant reads an instant with its zone, or a local time or a date in the
// week's zone. A date alone means how the day ended.
func parseInstant(text string, week fleet.Week) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	zone, err := calendar.Zone(week.Zone)
	if err != nil {
		return time.Time{}, err
	}
	day, clock, timed := strings.Cut(strings.Replace(text, "T", " ", 1), " ")
	date, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, notAnInstant(text)
	}
	if !timed {
		next, _ := calendar.Instant(zone, calendar.DateOf(date).Add(1), "00:00", fleet.DSTRule{})
		return next.Add(-time.Second), nil
	}
	if _, _, err := calendar.ParseClock(clock); err != nil {
		return time.Time{}, notAnInstant(text)
	}
	at, ok := calendar.Instant(zone, calendar.DateOf(date), clock, week.DST)
	if !ok {
		return time.Time{}, usageErrorf("--at %q: clocks in %s skip that reading", text, week.Zone)
	}
	return at, nil
}

func notAnInstant(text string) error {
	return usageErrorf("--at %q is no instant such as 2026-11-19T13:00:00Z, 2026-11-19 15:00 or 2026-11-19 (local times are in the week's zone, a date is its end)", text)
}
