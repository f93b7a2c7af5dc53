package cli

import (
	"context"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/world"
)

// mergeScript is the command merge BRANCH [LOGIN…]: what packmill or the script
// pushed to a branch of the forge becomes main, as people do it. A pull request
// is made unless one is open, the persons approve it (Oskar when none is named),
// and Ines merges it.
func mergeScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: merge BRANCH [LOGIN…]")
	}
	now, err := time.Parse(time.RFC3339, ts.Getenv("NOW"))
	ts.Check(err)
	ts.Check(mergeBranch(context.Background(), ts.Getenv, now, args[0], args[1:]))
}

// mergeBranch merges a branch of the forge that an environment names.
func mergeBranch(ctx context.Context, getenv func(string) string, now time.Time, branch string, approvers []string) error {
	inside := &app{getenv: getenv}
	account := func(login string) (*forge.Client, error) {
		return inside.forge(fleet.NewManualClock(now), getenv("GITHUB_REPOSITORY"), world.Token(login))
	}
	bot, err := account(world.Bot)
	if err != nil {
		return err
	}
	pulls, err := bot.Pulls(ctx, "open")
	if err != nil {
		return err
	}
	pull := fleet.Pull{}
	if i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return p.Branch == branch }); i >= 0 {
		pull = pulls[i]
	} else if pull, _, err = bot.EnsurePull(ctx, fleet.PullSpec{Branch: branch, Base: "main", Title: "Merge " + branch}); err != nil {
		return err
	}
	if err := bot.SetCheck(ctx, pull.Head, "validate", "success", "looked at by a test"); err != nil {
		return err
	}
	if len(approvers) == 0 {
		approvers = []string{world.Oskar}
	}
	for _, login := range approvers {
		person, err := account(login)
		if err != nil {
			return err
		}
		if err := person.Approve(ctx, pull.Number, pull.Head); err != nil {
			return err
		}
	}
	merger, err := account(world.Ines)
	if err != nil {
		return err
	}
	_, err = merger.Merge(ctx, pull.Number, pull.Head)
	return err
}
