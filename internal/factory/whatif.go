package factory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/why"
)

// WhatIf tells what head, merged on base, would do to the plans of the open
// cycles and of the one that follows: rows that come, go, move to another wave
// or get other dates, and what a hold or a freeze stops. Both sides are planned by the rules that plan for real,
// from the commits' files and the same evidence. As Diff, it compares from the
// commit that both come from, so that what base gained meanwhile is not told
// backwards.
func (f *Factory) WhatIf(ctx context.Context, base, head string) (why.Comparison, error) {
	before, after, err := f.sides(ctx, base, head)
	if err != nil {
		return why.Comparison{}, err
	}
	rec, err := f.Ledger.Read(ctx)
	if err != nil {
		return why.Comparison{}, err
	}
	now := Instant(rec, f.Clock.Now())
	w := whatIf{f: f, before: before, after: after, rec: rec, out: why.Comparison{Base: before.Commit, Head: after.Commit}}
	open := map[fleet.CycleID]bool{}
	for _, repo := range []*fleet.Repository{before, after} {
		for _, id := range repo.CycleIDs() {
			open[id] = open[id] || !closedOn(repo, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(open)) {
		if !open[id] {
			continue
		}
		if err := w.open(ctx, id); err != nil {
			return w.out, err
		}
	}
	if err := w.next(now); err != nil {
		return w.out, err
	}
	w.out.Tenants = why.PerTenant(w.out.Rows)
	return w.out, nil
}

// sides reads both commits.
func (f *Factory) sides(ctx context.Context, base, head string) (before, after *fleet.Repository, err error) {
	from, err := f.Git.Resolve(base)
	if err != nil {
		return nil, nil, err
	}
	to, err := f.Git.Resolve(head)
	if err != nil {
		return nil, nil, err
	}
	common, err := f.Git.MergeBase(ctx, from, to)
	if err != nil {
		return nil, nil, err
	}
	if common != "" {
		from = common
	}
	if before, err = f.Desired(ctx, from); err != nil {
		return nil, nil, err
	}
	after, err = f.Desired(ctx, to)
	return before, after, err
}

// closedOn reports whether a commit says that a cycle is closed.
func closedOn(repo *fleet.Repository, id fleet.CycleID) bool {
	return repo.Approvals[id][rollout.CloseGate].Decision == "approved"
}

type whatIf struct {
	f             *Factory
	before, after *fleet.Repository
	rec           *fleet.Record
	out           why.Comparison
}

// open compares the plans of a cycle that is on one side at least, by the
// evidence that its plans name. A wave that has started goes by the plan it was
// started with, whatever main says since.
func (w *whatIf) open(ctx context.Context, id fleet.CycleID) error {
	_, was := w.before.Cycles[id]
	_, is := w.after.Cycles[id]
	d := why.CycleDiff{Cycle: id, State: "open"}
	switch {
	case !was:
		d.State = "opens"
	case !is:
		d.State = "gone"
	}
	var before, after []fleet.Plan
	for _, wave := range bothOf(w.before.Cycles[id].Waves, w.after.Cycles[id].Waves) {
		if slices.ContainsFunc(w.rec.Starts, func(s fleet.WaveStart) bool { return s.Cycle == id && s.Wave == wave }) {
			d.Started = append(d.Started, wave)
			continue
		}
		d.Waves = append(d.Waves, wave)
		then, err := w.evidenceOf(ctx, id, wave)
		if err != nil {
			return err
		}
		for _, side := range []struct {
			repo  *fleet.Repository
			plans *[]fleet.Plan
		}{{w.before, &before}, {w.after, &after}} {
			cycle, there := side.repo.Cycles[id]
			if !there || closedOn(side.repo, id) || !slices.Contains(cycle.Waves, wave) {
				continue
			}
			plan, err := rollout.Plan(side.repo, then, id, cycle, wave)
			if err != nil {
				return err
			}
			*side.plans = append(*side.plans, why.Stops(side.repo, w.rec, cycle, plan))
		}
	}
	w.compare(d, before, after)
	return nil
}

// evidenceOf is the evidence that a wave's plan is made from, on both sides: up
// to the heads that the plan names, base's if it has one.
func (w *whatIf) evidenceOf(ctx context.Context, id fleet.CycleID, wave string) (*fleet.Record, error) {
	for _, repo := range []*fleet.Repository{w.before, w.after} {
		if plan, ok := repo.Plans[id][wave]; ok {
			return w.f.Ledger.ReadAt(ctx, plan.Inputs)
		}
	}
	return w.rec, nil
}

// next compares what the cycle that follows would do, were its cut-off now:
// with the releases of both sides taken for built and tested.
func (w *whatIf) next(now time.Time) error {
	id, _, err := why.NextCycle(w.before, now)
	if err != nil {
		return err
	}
	if _, opens := w.after.Cycles[id]; opens {
		return nil // it was compared as that
	}
	rec, assumed := why.Assume(w.rec, now, w.before, w.after)
	d := why.CycleDiff{Cycle: id, State: "next"}
	var plans [2][]fleet.Plan
	travels := map[string]bool{}
	for n, repo := range []*fleet.Repository{w.before, w.after} {
		steps, err := calendar.StepsOf(repo.Week, id)
		if err != nil {
			return err
		}
		cutOff := steps[calendar.CutOff]
		cycle := rollout.NewCycle(repo, rec, id, cutOff, nil)
		d.Waves = bothOf(d.Waves, cycle.Waves)
		for pkg, e := range cycle.Entries {
			travels[string(pkg)+"@"+e.Release] = true
		}
		for _, wave := range cycle.Waves {
			plan, err := rollout.Plan(repo, rec, id, cycle, wave)
			if err != nil {
				return err
			}
			plans[n] = append(plans[n], why.Stops(repo, rec, cycle, plan))
		}
	}
	w.out.Assumed = slices.DeleteFunc(assumed, func(name string) bool { return !travels[name] })
	w.compare(d, plans[0], plans[1])
	return nil
}

func (w *whatIf) compare(d why.CycleDiff, before, after []fleet.Plan) {
	d.Before, d.After = why.Summed(before), why.Summed(after)
	w.out.Cycles = append(w.out.Cycles, d)
	w.out.Rows = append(w.out.Rows, why.Compare(d.Cycle, before, after)...)
}

// bothOf is a and then what b has beyond it.
func bothOf(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
