package factory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Observe reads all facts there are: main, evidence, the merges that evidence
// does not know yet, and the plans of waves that may open, recomputed.
func (f *Factory) Observe(ctx context.Context) (rollout.Facts, error) {
	if err := f.Git.Fetch(ctx); err != nil {
		return rollout.Facts{}, err
	}
	main, err := f.Git.Main()
	if err != nil {
		return rollout.Facts{}, err
	}
	return f.ObserveAt(ctx, main)
}

// ObserveAt reads all facts that the clone has, as of a commit of main. It asks
// nobody else.
func (f *Factory) ObserveAt(ctx context.Context, main string) (rollout.Facts, error) {
	rec, err := f.Ledger.Read(ctx)
	if err != nil {
		return rollout.Facts{}, err
	}
	return f.factsOf(ctx, main, rec)
}

// factsOf puts one commit of main and evidence up to some point together.
func (f *Factory) factsOf(ctx context.Context, main string, rec *fleet.Record) (rollout.Facts, error) {
	repo, err := f.Desired(ctx, main)
	if err != nil {
		return rollout.Facts{}, err
	}
	if err := f.distrust(ctx, rec.Merges); err != nil {
		return rollout.Facts{}, err
	}
	facts := rollout.Facts{Repo: repo, Record: rec}
	if facts.Unrecorded, err = f.unrecorded(ctx, main, rec); err != nil {
		return rollout.Facts{}, err
	}
	facts.Plans, err = f.replan(ctx, repo, rec)
	return facts, err
}

// distrust finds fault with a merge whose record is the first one that is signed
// with some key, unless the policy before the merge trusted the key: whoever can
// push to main could else bring a key and record the push as reviewed with it.
func (f *Factory) distrust(ctx context.Context, merges []fleet.Merge) error {
	seen := map[string]bool{}
	for i := range merges {
		m := &merges[i]
		if seen[m.Key] {
			continue
		}
		seen[m.Key] = true
		parent, err := f.Desired(ctx, m.Base)
		if err != nil && !isContent(err) {
			return err
		}
		if err == nil {
			before, err := signing.NewVerifier(parent.Operator.Trust, signing.UseEvidence)
			if err == nil && before.Knows(m.Key) {
				continue
			}
		}
		m.Fault = fmt.Sprintf("is recorded with key %q, which the policy before it does not trust", m.Key)
	}
	return nil
}

// unrecorded are the merges on main's first-parent line since the newest one
// that evidence knows, oldest first. The root commit is not a merge and is
// never recorded.
func (f *Factory) unrecorded(ctx context.Context, main string, rec *fleet.Record) ([]string, error) {
	known := ""
	if n := len(rec.Merges); n > 0 {
		known = rec.Merges[n-1].Commit
	}
	line, err := f.Git.FirstParents(ctx, main, known)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range slices.Backward(line) {
		if len(c.Parents) > 0 {
			out = append(out, c.ID)
		}
	}
	return out, nil
}

// replan recomputes the plans of every open cycle's waves that have not
// started, from desired state now and evidence as of the heads that plan.cue
// names: what an approval's digest must be equal to.
func (f *Factory) replan(ctx context.Context, repo *fleet.Repository, rec *fleet.Record) (map[fleet.CycleID]map[string]fleet.Plan, error) {
	out := map[fleet.CycleID]map[string]fleet.Plan{}
	for _, id := range repo.CycleIDs() {
		if a, ok := repo.Approvals[id][rollout.CloseGate]; ok && a.Decision == "approved" {
			continue
		}
		out[id] = map[string]fleet.Plan{}
		for _, gate := range slices.Sorted(maps.Keys(repo.Plans[id])) {
			if slices.ContainsFunc(rec.Starts, func(s fleet.WaveStart) bool { return s.Cycle == id && s.Wave == gate }) {
				continue
			}
			plan, err := f.PlanOf(ctx, repo, id, gate)
			if kind := fleet.KindOf(err); err != nil && ctx.Err() == nil && (kind == fleet.Invalid || kind == fleet.Refused) {
				// Its approval does not count then; other cycles go on.
				f.Log.Warn("a plan cannot be recomputed", "cycle", id, "gate", gate, "error", err)
				continue
			}
			if err != nil {
				return nil, err
			}
			out[id][gate] = plan
		}
	}
	return out, nil
}

// PlanOf recomputes the plan of a gate from desired state and the evidence
// heads that the cycle's plan.cue names.
func (f *Factory) PlanOf(ctx context.Context, repo *fleet.Repository, id fleet.CycleID, gate string) (fleet.Plan, error) {
	recorded, ok := repo.Plans[id][gate]
	if !ok {
		return fleet.Plan{}, fleet.Errorf(fleet.Invalid, "factory.plan", string(id), "no plan for the gate %q", gate)
	}
	then, err := f.Ledger.ReadAt(ctx, recorded.Inputs)
	if err != nil {
		return fleet.Plan{}, err
	}
	return rollout.Plan(repo, then, id, repo.Cycles[id], gate)
}

// beat records that a command ran on a commit of main.
func (f *Factory) beat(ctx context.Context, command, main string) error {
	return f.Ledger.Append(ctx, evidence.Control, evidence.HeartbeatDir, []fleet.Heartbeat{{Command: command, Main: main, At: f.Clock.Now()}})
}
