package factory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An Outcome is one action that a run carried out, and what came of it.
type Outcome = rollout.Outcome

// A RunResult is everything a run did, and what is left to wait for.
type RunResult struct {
	Done    []Outcome      `json:"done"`
	Waits   []rollout.Wait `json:"waits"`
	Tenants []TenantResult `json:"tenants"` // where changes were to be made, by name
}

// Only limits a run to some kinds of action and to one shard; the zero value
// limits nothing.
type Only struct {
	Kinds map[string]bool
	Shard Shard
	Plan  fleet.Digest // waves of this plan alone
}

// Allows reports whether an action is within the limits of kind and shard.
func (o Only) Allows(a rollout.Action) bool {
	return (o.Kinds == nil || o.Kinds[a.Kind]) && o.Shard.Owns(a.Tenant)
}

// A Shard is the part I of N of the evidence shards: those s with s mod N = I.
// The zero value is all of them. Only part 0 writes control.
type Shard struct{ I, N int }

// Owns reports whether the part does an action: those on a tenant by the
// tenant's shard, all others by part 0.
func (s Shard) Owns(t fleet.TenantID) bool {
	if s.N <= 1 {
		return true
	}
	if t == "" {
		return s.I == 0
	}
	var n int
	fmt.Sscanf(t.Shard(), "%x", &n)
	return n%s.N == s.I
}

// maxRounds bounds how often a run reads all facts again. Each round does
// something no earlier one did, so this is never reached unless two runs
// fight.
const maxRounds = 200

// Run does whatever is due now: it observes, asks rollout.Step, carries out
// what it says, and asks again until nothing new is due. A failed action does
// not stop the others; it is tried again by the next run.
//
// Tenants where changes fail do not stop the others. When many of them fail
// alike, no more are begun, and the error is Stalled: a person must look.
func (f *Factory) Run(ctx context.Context, only Only, told func(Outcome)) (RunResult, error) {
	own := *f
	own.toll = newToll()
	result, failures := own.rounds(ctx, only, told)
	result.Tenants = own.toll.results()
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	return result, own.toll.ended(failures)
}

// rounds asks what is due and does it until nothing new is.
func (f *Factory) rounds(ctx context.Context, only Only, told func(Outcome)) (result RunResult, failures []error) {
	tried := map[string]bool{}
	var theirs, held []rollout.Wait // for other runs, for people of a tenant
	for range maxRounds {
		facts, err := f.Observe(ctx)
		if err != nil {
			return result, append(failures, err)
		}
		if err := f.catchUp(ctx, facts.Record); err != nil {
			return result, append(failures, err)
		}
		actions, waits, err := rollout.Step(facts, f.Clock.Now())
		if err != nil {
			return result, append(failures, err)
		}
		result.Waits = slices.Concat(waits, stillDue(theirs, actions), held)
		if actions, err = only.approved(facts, actions, f.Clock.Now()); err != nil {
			return result, []error{err}
		}
		batch := rollout.Batch(actions, tried, only.Allows)
		if len(batch) == 0 {
			if only.Shard.Owns("") && len(result.Done) > 0 {
				failures = append(failures, f.Ledger.Checkpoint(ctx))
			}
			return result, failures
		}
		note, err := f.do(ctx, facts, batch)
		batch, begun, err := settle(tried, batch, err)
		theirs = append(theirs, begun...)
		if ctx.Err() != nil {
			return result, nil
		}
		if err != nil {
			failures = append(failures, err)
		}
		waiting := heldIn(err)
		held = append(held, waiting...)
		if len(waiting) > 0 {
			note += fmt.Sprintf(", %d wait for an approval in the tenant", len(waiting))
		}
		for _, a := range batch {
			o := Outcome{Action: a, Note: note}
			if err == nil || len(waiting) == 0 || fleet.KindOf(err) != fleet.Stalled {
				o.Err = f.errorOf(a, err)
			}
			result.Done = append(result.Done, o)
			if told != nil {
				told(o)
			}
		}
	}
	return result, append(failures, fleet.Errorf(fleet.Internal, "factory.run", "", "still not at rest after %d rounds; another run may be at work", maxRounds))
}

// errorOf is what went wrong with one action of a batch: other tenants' failures
// are not its own.
func (f *Factory) errorOf(a rollout.Action, batch error) string {
	if a.Tenant != "" {
		if text, known := f.toll.errorOf(a, rollout.EffectOf(a.Kind)); known {
			return text
		}
	}
	if batch == nil {
		return ""
	}
	return batch.Error()
}

// stillDue are the waits for other runs whose actions are due: the others have
// finished what is not.
func stillDue(theirs []rollout.Wait, due []rollout.Action) []rollout.Wait {
	return slices.DeleteFunc(slices.Clone(theirs), func(w rollout.Wait) bool {
		return !slices.ContainsFunc(due, func(a rollout.Action) bool {
			return a.Cycle == w.Cycle && a.Wave == w.Wave && a.Tenant == w.Tenants[0] && slices.Equal(a.Packages, w.Packages)
		})
	})
}

// approved keeps, of a run that was asked for one plan, what that plan's
// approval lets happen, and what stops and goes back wherever it is. It refuses
// when no approval that counts names the plan.
func (o Only) approved(facts rollout.Facts, actions []rollout.Action, now time.Time) ([]rollout.Action, error) {
	if o.Plan == "" || len(facts.Unrecorded) > 0 {
		return actions, nil
	}
	cycles, err := rollout.Derive(facts, now)
	if err != nil {
		return nil, err
	}
	waves, carrying := map[string]bool{}, map[fleet.CycleID]bool{}
	for _, c := range cycles {
		for _, w := range c.Waves {
			if w.Approval != nil && w.Approval.Plan == o.Plan && (w.Start == nil || w.Start.Plan == o.Plan) {
				waves[string(c.ID)+"/"+w.Wave.Name], carrying[c.ID] = true, true
			}
		}
	}
	if len(waves) == 0 {
		return nil, notApproved(o.Plan)
	}
	return slices.DeleteFunc(slices.Clone(actions), func(a rollout.Action) bool {
		switch a.Kind {
		case rollout.StartWave, rollout.Deploy:
			return !waves[string(a.Cycle)+"/"+a.Wave]
		case rollout.Promote:
			return !carrying[a.Cycle]
		case rollout.Uninstall, rollout.Reinstate, rollout.Remove, rollout.Restore: // a merge of its own asked for it
			return true
		default:
			return false
		}
	}), nil
}

// do carries out a batch of actions of one kind and says in one line what
// came of it.
func (f *Factory) do(ctx context.Context, facts rollout.Facts, batch []rollout.Action) (string, error) {
	a := batch[0]
	switch a.Kind {
	case rollout.RecordMerge:
		commits := make([]string, len(batch))
		for i, b := range batch {
			commits[i] = b.Commit
		}
		return fmt.Sprintf("%d merges recorded", len(commits)), f.RecordMerges(ctx, commits, facts.Record)
	case rollout.Detect:
		return f.detectStep(ctx, facts)
	case rollout.Build, rollout.Test:
		return f.mill(ctx, facts, batch)
	case rollout.TakeInventory:
		tenants := make([]fleet.Tenant, len(batch))
		for i, b := range batch {
			tenants[i] = rollout.WithGroups(facts.Repo, b.Tenant)
		}
		return fmt.Sprintf("devices of %d tenants read", len(tenants)), f.TakeInventory(ctx, tenants)
	case rollout.OpenCycle:
		return f.openCycle(ctx, facts, a)
	case rollout.StartWave:
		return "membership frozen", f.StartWave(ctx, facts, a.Cycle, a.Wave)
	case rollout.Deploy, rollout.Withdraw, rollout.RollBack, rollout.Promote, rollout.Uninstall, rollout.Reinstate, rollout.Remove, rollout.Restore:
		made, err := f.carryOut(ctx, facts, rollout.Effects(facts, rollout.HistoryOf(facts.Record), batch, f.Clock.Now()))
		note := fmt.Sprintf("%d changes on tenants", made)
		if a.Kind == rollout.Withdraw || a.Kind == rollout.RollBack {
			note += heldNote(facts.Repo, batch)
		}
		return note, err
	case rollout.Judge:
		verdicts, err := f.Judge(ctx, facts, a)
		return verdictNote(verdicts), err
	case rollout.Announce:
		return f.announceStep(ctx, facts, a)
	default:
		return f.proposeStep(ctx, facts, a)
	}
}

func verdictNote(list []fleet.Verdict) string {
	count := map[string]int{}
	for _, v := range list {
		count[v.Decision]++
	}
	return fmt.Sprintf("%d pass, %d fail, %d inconclusive", count["pass"], count["fail"], count["inconclusive"])
}

// mill builds or tests releases and records each outcome at once. One that
// fails does not keep the others back.
func (f *Factory) mill(ctx context.Context, facts rollout.Facts, batch []rollout.Action) (string, error) {
	cycle, err := calendar.CycleAt(facts.Repo.Week, f.Clock.Now())
	if err != nil {
		return "", err
	}
	var notes []string
	var failures []error
	for i, a := range batch {
		id := a.Packages[0]
		f.progress(i, len(batch), fmt.Sprintf("%s %s %s", a.Kind, id, a.Version))
		note, err := f.millOne(ctx, facts, a, cycle)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		notes = append(notes, string(id)+" "+note)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	f.progress(len(batch), len(batch), "done")
	return strings.Join(notes, "; "), errors.Join(failures...)
}

func (f *Factory) millOne(ctx context.Context, facts rollout.Facts, a rollout.Action, cycle fleet.CycleID) (string, error) {
	id := a.Packages[0]
	if a.Kind == rollout.Build {
		built, err := f.Build(ctx, facts.Repo, id, a.Version)
		if err != nil {
			return "", err
		}
		return "artifact " + built.Artifact.Short(), f.Ledger.Append(ctx, evidence.Control, evidence.BuiltDir(cycle), []fleet.Built{built})
	}
	built := rollout.BuiltOf(facts.Record, id, a.Version)
	if built == nil {
		return "", fleet.Errorf(fleet.Internal, "factory.test", string(id), "evidence has no build of %s", a.Version)
	}
	tests, err := f.Test(ctx, facts.Repo, *built, facts.Record)
	if err != nil {
		return "", err
	}
	return testNote(tests), f.Ledger.Append(ctx, evidence.Control, evidence.TestedDir(cycle), tests)
}

func testNote(tests []fleet.Tested) string {
	count := map[string]int{}
	for _, t := range tests {
		count[t.Result]++
	}
	return fmt.Sprintf("%d cells passed, %d failed, %d skipped", count["passed"], count["failed"], count["skipped"])
}

// detectStep is the week's look upstream: what is new is proposed, what is odd
// is held and listed. What was seen is recorded even when a proposal failed:
// the look is not taken again for one package's sake, `packmill propose` is.
func (f *Factory) detectStep(ctx context.Context, facts rollout.Facts) (string, error) {
	result, failed := f.DetectAndPropose(ctx, facts)
	if ctx.Err() != nil || len(result) == 0 && failed != nil {
		return "", failed
	}
	if err := f.RecordLook(ctx, facts.Repo, result); err != nil {
		return "", errors.Join(failed, err)
	}
	held, found := 0, 0
	for _, d := range result {
		if d.Hold != "" {
			held++
		} else if d.Found != "" && d.Found != d.Current {
			found++
		}
	}
	return fmt.Sprintf("%d looked at, %d new, %d held", len(result), found, held), errors.Join(failed, f.beat(ctx, "detect", facts.Repo.Commit))
}

// RecordLook records what a look upstream saw: when versions were first seen
// counts from that, and what people may say of them.
func (f *Factory) RecordLook(ctx context.Context, repo *fleet.Repository, seen []fleet.Detection) error {
	if len(seen) == 0 {
		return nil
	}
	cycle, err := calendar.CycleAt(repo.Week, f.Clock.Now())
	if err != nil {
		return err
	}
	return f.Ledger.Append(ctx, evidence.Control, evidence.DetectedDir(cycle), seen)
}

// announceStep tells the partners of a cycle, then notes that it was done.
func (f *Factory) announceStep(ctx context.Context, facts rollout.Facts, a rollout.Action) (string, error) {
	n, err := f.Announce(ctx, facts, a.Cycle)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d messages", n), f.beat(ctx, "announce "+string(a.Cycle), facts.Repo.Commit)
}
