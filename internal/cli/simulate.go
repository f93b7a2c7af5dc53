package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/sim/rehearsal"
	"github.com/packmill/packmill/internal/view"
)

// simulation is what simulate prints as JSON.
type simulation struct {
	Cycle    string           `json:"cycle"`
	From     time.Time        `json:"from"`   // where the facts end
	Commit   string           `json:"commit"` // of main
	Model    string           `json:"model"`  // file, "built in" for none
	Seed     int64            `json:"seed"`
	Closed   bool             `json:"closed"`        // the cycle comes to its end
	Why      string           `json:"why,omitempty"` // it does not
	Timeline []rehearsal.Leg  `json:"timeline"`
	Stops    []rehearsal.Stop `json:"stops"`
	Odds     rehearsal.Odds   `json:"odds"`
	Events   []view.Event     `json:"events"`
}

func newSimulateCmd(a *app) *cobra.Command {
	var model, rev string
	var runs int
	cmd := &cobra.Command{
		Use:   "simulate [CYCLE]",
		Short: "Rehearse a cycle on a virtual clock and tell how it goes",
		Long: `simulate lets the reconciler that run and apply use go through the rest of a
cycle, in memory, against a model of what goes wrong: which share of devices a
release breaks on, which are silent, when packmill runs, who merges what, which
tenants cannot be reached, where a runner is killed. It prints who gets what
when, what is halted and taken back, and how likely the cycle is halted.

It reads the clone alone: no forge, no tenant, no token, no key. It begins
where the facts in the clone end, or at --now. The model is --model FILE, or
packmill/rehearsal.json in the clone's git folder, or a built-in one; packmill
schema rehearsal says what a model may hold. The same clone and model give the
same result.

Without --runs the probability to halt is computed in closed form; with it, the
cycle is rehearsed with as many seeds.`,
		Example: "  packmill demo --dir week --until dogfood && packmill simulate 2026-W47 -C week/work",
		Args:    cobra.MaximumNArgs(1),
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV)
	cmd.Flags().StringVar(&model, "model", "", "file of the model to rehearse against")
	cmd.Flags().StringVar(&rev, "rev", "", "commit of main to begin at (default main)")
	cmd.Flags().IntVar(&runs, "runs", 0, "find the probability to halt by so many rehearsals")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if runs < 0 {
			return usageErrorf("--runs %d is no number of rehearsals", runs)
		}
		mill, ledger, err := a.offline(cmd.Context())
		if err != nil {
			return err
		}
		mill.Ledger = ledger
		m, from, err := a.rehearsalModel(mill.Git, model)
		if err != nil {
			return err
		}
		in, err := a.rehearsalInput(cmd.Context(), mill, rev)
		if err != nil {
			return err
		}
		id, err := rehearsedCycle(in, args)
		if err != nil {
			return err
		}
		s, err := simulate(in, m, id, runs)
		if err != nil {
			return err
		}
		s.Model = from
		return a.write(*f, simulationResult(s, in.Facts.Repo))
	}
	return cmd
}

// simulate rehearses a cycle.
func simulate(in rehearsal.Input, m rehearsal.Model, id fleet.CycleID, runs int) (simulation, error) {
	o := rehearsal.Options{Cycle: id}
	r, err := rehearsal.Rehearse(in, m, o)
	if err != nil {
		return simulation{}, err
	}
	s := simulation{
		Cycle: string(id), From: in.Now, Commit: in.Facts.Repo.Commit, Seed: m.Seed, Closed: r.Closed, Why: r.Why,
		Timeline: r.Timeline(id), Stops: r.Stops(id), Events: r.Events,
	}
	if runs == 0 {
		s.Odds = r.ClosedForm(&m, id)
		return s, nil
	}
	s.Odds, err = rehearsal.Sample(in, m, o, runs)
	return s, err
}

// rehearsalModel is the model of a file, of the clone, or the built-in one, and
// where it is from.
func (a *app) rehearsalModel(git *gitrepo.Repo, file string) (rehearsal.Model, string, error) {
	named := file != ""
	if !named {
		file = modelFile(git)
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && !named {
		return rehearsal.Builtin(), "built in", nil
	}
	if err != nil {
		return rehearsal.Model{}, "", &fleet.Error{Op: "cli.simulate", Object: file, Kind: fleet.Invalid, Err: err, Hint: "name a model with --model, or leave it out"}
	}
	m, err := rehearsal.Parse(file, data)
	if !named {
		file = "packmill/rehearsal.json in the clone's git folder"
	}
	return m, file, err
}

// rehearsalInput is what a clone tells, as of a commit of main.
func (a *app) rehearsalInput(ctx context.Context, mill *factory.Factory, rev string) (rehearsal.Input, error) {
	commit, err := mill.Git.Main()
	if rev != "" {
		commit, err = mill.Git.Resolve(rev)
	}
	if err != nil {
		return rehearsal.Input{}, err
	}
	facts, err := mill.ObserveAt(ctx, commit)
	if err != nil {
		return rehearsal.Input{}, err
	}
	pending, err := mill.Assumed(ctx, facts.Unrecorded, facts.Record)
	if err != nil {
		return rehearsal.Input{}, err
	}
	info, err := mill.Git.CommitInfo(commit)
	if err != nil {
		return rehearsal.Input{}, err
	}
	now := factory.DataTime(facts.Record)
	if info.When.After(now) {
		now = info.When.UTC()
	}
	if a.now != "" {
		now = mill.Clock.Now()
	}
	return rehearsal.Input{
		Facts: facts, Pending: pending, Now: now,
		Then: func(heads map[string]string) (*fleet.Record, error) { return mill.Ledger.ReadAt(ctx, heads) },
	}, nil
}

// rehearsedCycle is the cycle that was named, else the newest one on main. One
// that opens with the cut-off before or after the facts end can be rehearsed
// too; it is the one meant where main has none yet.
func rehearsedCycle(in rehearsal.Input, args []string) (fleet.CycleID, error) {
	week := in.Facts.Repo.Week
	known := in.Facts.Repo.CycleIDs()
	if len(args) == 0 && len(known) > 0 {
		return known[len(known)-1], nil
	}
	for _, cutOff := range []func(fleet.Week, string, time.Time) (time.Time, error){calendar.Last, calendar.After} {
		at, err := cutOff(week, calendar.CutOff, in.Now)
		if err != nil {
			return "", err
		}
		if id := calendar.CycleOf(week, at); len(args) > 0 && string(id) == args[0] || len(args) == 0 && at.After(in.Now) {
			return id, nil
		}
	}
	if len(args) > 0 && slices.Contains(known, fleet.CycleID(args[0])) {
		return fleet.CycleID(args[0]), nil
	}
	return "", &fleet.Error{Op: "cli.simulate", Object: args[0], Kind: fleet.Invalid, Hint: "packmill cycle status lists cycles",
		Err: fmt.Errorf("no such cycle on main, and none that opens by the next cut-off after %s", in.Now.Format(time.RFC3339))}
}

// simulationResult is a simulation in every form it is printed in.
func simulationResult(s simulation, repo *fleet.Repository) result {
	zone, err := calendar.Zone(repo.Week.Zone)
	if err != nil {
		zone = time.UTC
	}
	t := view.Table{
		Title:   fmt.Sprintf("%s rehearsed from %s on, model %s, seed %d", s.Cycle, s.From.In(zone).Format("Mon 2006-01-02 15:04 MST"), s.Model, s.Seed),
		Columns: view.Cols("wave", "tenant", "starts", "deadline", "packages>", "devices>", "succeeded>", "failed>", "silent>", "verdict", "ends", "end"),
		Empty:   "no wave starts",
	}
	at := func(x time.Time, local bool) string {
		switch {
		case x.IsZero():
			return "–"
		case local:
			return x.UTC().Format("Mon 02 15:04") + " local"
		}
		return x.In(zone).Format("Mon 02 15:04")
	}
	for _, l := range s.Timeline {
		t.Add(l.Wave, string(l.Tenant), at(l.Starts, l.Local), at(l.Deadline, l.Local), fmt.Sprint(l.Packages), fmt.Sprint(l.Devices),
			fmt.Sprint(l.Reports.Succeeded), fmt.Sprint(l.Reports.Failed), fmt.Sprint(l.Reports.Silent), l.Verdict, at(l.Ends, false), l.End)
	}
	stops := view.Table{Title: "Halted", Columns: view.Cols("package", "release", "wave", "at", "tenants back>", "why"), Empty: "nothing is halted"}
	for _, x := range s.Stops {
		stops.Add(string(x.Package), x.Release, x.Wave, at(x.At, false), fmt.Sprint(x.Back), x.Rule)
	}
	events := view.Table{Title: "The story", Columns: view.Cols("when", "what"), Empty: "nothing happens"}
	for _, e := range s.Events {
		events.Add(at(e.At, false), e.Text)
	}
	if !s.Closed {
		events.Add("", "The cycle does not come to its end: "+s.Why)
	}
	return result{name: "simulation", value: s, table: t, also: []view.Table{stops, oddsTable(s.Odds), events}}
}

func oddsTable(o rehearsal.Odds) view.Table {
	method := "in closed form"
	if o.Method == rehearsal.Sampled {
		method = fmt.Sprintf("%d rehearsals, ± %.1f %%", o.Runs, 100*o.Error)
	}
	t := view.Table{
		Title:   fmt.Sprintf("Probability to halt: %.1f %% (%s: %s)", 100*o.Any, method, strings.TrimSuffix(o.About, ".")),
		Columns: view.Cols("package", "release", "breaks on", "halted with"), Empty: "the cycle has no release",
	}
	for _, x := range o.Releases {
		t.Add(string(x.Package), x.Release, fmt.Sprintf("%.3g %% of devices", 100*x.Failing), fmt.Sprintf("%.3g %%", 100*x.Halt))
	}
	return t
}
