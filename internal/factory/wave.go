package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// StartWave freezes who belongs to a wave. The devices are those of the
// inventory the plan was made from and, in the last wave, a few that came since;
// from here on nobody enters or leaves the wave, and evidence for its gate must
// be newer than this moment.
//
// Memberships are written before the start: a start without them cannot be.
func (f *Factory) StartWave(ctx context.Context, facts rollout.Facts, id fleet.CycleID, gate string) error {
	plan, ok := facts.Plans[id][gate]
	if !ok {
		return fleet.Errorf(fleet.Invalid, "factory.start", string(id), "no plan for the wave %q", gate)
	}
	then, err := f.Ledger.ReadAt(ctx, facts.Repo.Plans[id][gate].Inputs)
	if err != nil {
		return err
	}
	members, start, err := rollout.Freeze(facts.Repo, then, plan, f.Clock.Now())
	if err != nil {
		return err
	}
	if members, start, err = rollout.Join(facts, members, start); err != nil {
		return err
	}
	rows := map[place][]fleet.Membership{}
	for _, m := range members {
		if !rollout.IsFrozen(facts.Record, m) {
			at := place{evidence.Shard(m.Tenant), evidence.MembersDir(id, gate)}
			rows[at] = append(rows[at], m)
		}
	}
	if err := f.Ledger.AppendAll(ctx, batches(rows)); err != nil {
		return err
	}
	if err := f.recordPlans(ctx, facts.Record, id, map[string]fleet.Plan{gate: plan}); err != nil {
		return err
	}
	start.At = f.Clock.Now()
	return f.Ledger.Append(ctx, evidence.Control, evidence.WavesDir(id), []fleet.WaveStart{start})
}
