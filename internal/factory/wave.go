package factory

import (
	"context"
	"slices"

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
	devices, err := rollout.MembersOf(facts.Repo, then, id, facts.Repo.Cycles[id], gate)
	if err != nil {
		return err
	}
	var all []string
	var members []fleet.Membership
	for _, tenant := range facts.Repo.TenantIDs() {
		if !slices.ContainsFunc(plan.Rows, func(r fleet.PlanRow) bool { return r.Tenant == tenant }) {
			continue
		}
		m := devices[tenant]
		row := fleet.Membership{Cycle: id, Wave: gate, Tenant: tenant, Inactive: m.Inactive, Devices: []string{}}
		for _, d := range m.Devices {
			row.Devices = append(row.Devices, d.Device)
		}
		row.Root = rollout.Root(row.Devices)
		all = append(all, row.Devices...)
		members = append(members, row)
	}
	opens, err := waveOpens(facts.Repo, id, facts.Repo.Cycles[id], gate)
	if err != nil {
		return err
	}
	slices.Sort(all)
	start := fleet.WaveStart{Cycle: id, Wave: gate, Opens: opens, Devices: len(all), Root: rollout.Root(all), Plan: plan.Digest(), At: f.Clock.Now()}
	if members, start, err = rollout.Join(facts, members, start); err != nil {
		return err
	}
	rows := map[place][]fleet.Membership{}
	for _, m := range members {
		if !frozen(facts.Record, m) {
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

// frozen reports whether evidence's newest membership is this one already: an
// earlier run was stopped before it could write the start. One that differs was
// left by a run that acted on another plan, and is superseded.
func frozen(rec *fleet.Record, row fleet.Membership) bool {
	m := rollout.MembershipOf(rec, row.Cycle, row.Wave, row.Tenant)
	return m != nil && m.Root == row.Root && m.Inactive == row.Inactive && slices.Equal(m.Devices, row.Devices)
}
