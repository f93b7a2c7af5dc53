package fleets

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// rollOut freezes a wave and assigns its releases on every tenant of its plan,
// chunk by chunk, each with its intents and receipts.
func (m *mill) rollOut(ctx context.Context, id fleet.CycleID, w fleet.Wave, opens time.Time) error {
	plan, err := rollout.Plan(m.repo, m.then(id), id, m.repo.Cycles[id], w.Name)
	if err != nil {
		return err
	}
	members, err := rollout.MembersOf(m.repo, m.then(id), id, m.repo.Cycles[id], w.Name)
	if err != nil {
		return err
	}
	byTenant := map[fleet.TenantID][]fleet.PlanRow{}
	var tenants []fleet.TenantID
	for _, row := range plan.Rows {
		if byTenant[row.Tenant] == nil {
			tenants = append(tenants, row.Tenant)
		}
		byTenant[row.Tenant] = append(byTenant[row.Tenant], row)
	}
	if err := m.freeze(ctx, id, w, opens, plan.Rows, tenants, members); err != nil {
		return err
	}
	digest := m.repo.Plans[id][w.Name].Digest
	for chunk := range slices.Chunk(tenants, chunkTenants) {
		var rows []fleet.PlanRow
		for _, t := range chunk {
			rows = append(rows, byTenant[t]...)
		}
		if err := m.carryOut(ctx, id, w.Name, "assign", w.Order, digest, rows); err != nil {
			return err
		}
	}
	return nil
}

// then is evidence as of the heads that a cycle's plans name.
func (m *mill) then(id fleet.CycleID) *fleet.Record {
	past := *m.rec
	for _, p := range m.repo.Plans[id] {
		past.Heads = p.Inputs
	}
	return &past
}

// freeze writes the wave's memberships, plan rows and start.
func (m *mill) freeze(ctx context.Context, id fleet.CycleID, w fleet.Wave, opens time.Time, planned []fleet.PlanRow, tenants []fleet.TenantID, members map[fleet.TenantID]rollout.Members) error {
	var all []string
	rows := map[shardDir][]fleet.Membership{}
	for _, t := range tenants {
		row := fleet.Membership{Cycle: id, Wave: w.Name, Tenant: t, Inactive: members[t].Inactive, Devices: []string{}}
		for i := range members[t].Devices {
			row.Devices = append(row.Devices, members[t].Devices[i].Device)
		}
		row.Root = rollout.Root(row.Devices)
		all = append(all, row.Devices...)
		at := shardDir{evidence.Shard(t), evidence.MembersDir(id, w.Name)}
		rows[at] = append(rows[at], row)
		m.rec.Members = append(m.rec.Members, row)
	}
	slices.Sort(all)
	digest := m.repo.Plans[id][w.Name].Digest
	start := []fleet.WaveStart{{Cycle: id, Wave: w.Name, Opens: opens, Devices: len(all), Root: rollout.Root(all), Plan: digest, At: m.now}}
	m.rec.PlanRows[digest], m.rec.Starts = planned, append(m.rec.Starts, start...)
	batches := append(shardBatches(m, rows), m.tell(evidence.Control, evidence.PlanDir(id, digest), planned), m.tell(evidence.Control, evidence.WavesDir(id), start))
	return m.write(ctx, batches...)
}

// carryOut makes one change for each row of a plan: an intent, and ten seconds
// later its receipt.
func (m *mill) carryOut(ctx context.Context, id fleet.CycleID, wave, action string, generation int, plan fleet.Digest, rows []fleet.PlanRow) error {
	intents, receipts := map[shardDir][]fleet.Intent{}, map[shardDir][]fleet.Receipt{}
	at := m.now
	for _, row := range rows {
		i := fleet.Intent{
			ID: fleet.DeriveID(string(id), wave, action, string(row.Tenant), string(row.Package)), Cycle: id, Wave: wave, Tenant: row.Tenant, Package: row.Package,
			Release: row.To, Artifact: row.Artifact, Action: action, Generation: generation, Main: m.repo.Commit, Plan: plan, Opens: row.NotBefore, Deadline: row.Deadline,
			NotAfter: at.Add(rollout.Lease), At: at,
		}
		r := fleet.Receipt{
			Intent: i.ID, Cycle: id, Wave: wave, Tenant: row.Tenant, Package: row.Package, Artifact: row.Artifact, Action: action, Outcome: "done", Observed: row.Artifact, At: at.Add(10 * time.Second),
		}
		m.rec.Intents, m.rec.Receipts = append(m.rec.Intents, i), append(m.rec.Receipts, r)
		shard := evidence.Shard(row.Tenant)
		intended, received := shardDir{shard, evidence.IntentsDir(id, wave)}, shardDir{shard, evidence.ReceiptsDir(id, wave)}
		intents[intended], receipts[received] = append(intents[intended], i), append(receipts[received], r)
	}
	if err := m.write(ctx, shardBatches(m, intents)...); err != nil {
		return err
	}
	m.now = at.Add(10 * time.Second)
	return m.write(ctx, shardBatches(m, receipts)...)
}

// judge writes what the members of a wave reported at its first look, and the
// verdicts on it: everything passes.
func (m *mill) judge(ctx context.Context, id fleet.CycleID, w fleet.Wave, opens time.Time) error {
	start := m.rec.Starts[len(m.rec.Starts)-1]
	rows := map[shardDir][]fleet.Report{}
	sums := map[fleet.PackageID]fleet.Counts{}
	for _, row := range m.rec.PlanRows[start.Plan] {
		counts := fleet.Counts{Succeeded: row.Devices}
		r := fleet.Report{Cycle: id, Wave: w.Name, Tenant: row.Tenant, Package: row.Package, Artifact: row.Artifact, Look: w.Gate.Looks[0], Counts: counts, At: m.now}
		sums[row.Package] = sums[row.Package].Add(counts)
		at := shardDir{evidence.Shard(row.Tenant), evidence.ReportsDir(id, w.Name)}
		rows[at] = append(rows[at], r)
		m.rec.Reports = append(m.rec.Reports, r)
	}
	if err := m.write(ctx, shardBatches(m, rows)...); err != nil {
		return err
	}
	var verdicts []fleet.Verdict
	for i := range m.size.Packages {
		pkg := m.size.pkg(i)
		entry, ok := m.repo.Cycles[id].Entries[pkg]
		if !ok {
			continue
		}
		verdicts = append(verdicts, fleet.Verdict{
			Cycle: id, Wave: w.Name, Package: pkg, Artifact: entry.Artifact, Look: w.Gate.Looks[0], Decision: "pass", Counts: sums[pkg], Lower: 99, Upper: 100,
			Rule: "at least 95 % succeeded", Inputs: map[string]string{"main": m.repo.Commit}, At: m.now,
		})
	}
	m.rec.Verdicts = append(m.rec.Verdicts, verdicts...)
	return m.write(ctx, m.tell(evidence.Control, evidence.VerdictsDir(id), verdicts))
}

// finish makes everything of a cycle stable on every tenant that took it, and
// closes the cycle once its last wave was judged.
func (m *mill) finish(ctx context.Context, id fleet.CycleID) error {
	last := m.rec.Starts[len(m.rec.Starts)-1]
	m.now = last.Opens.Add(25 * time.Hour)
	rows, tenants := m.reached(id)
	for chunk := range slices.Chunk(tenants, chunkTenants) {
		var of []fleet.PlanRow
		for _, t := range chunk {
			of = append(of, rows[t]...)
		}
		if err := m.carryOut(ctx, id, last.Wave, "promote", generations, last.Plan, of); err != nil {
			return err
		}
	}
	m.now = m.now.Add(time.Hour)
	closing := m.approval(id, rollout.CloseGate, m.now.AddDate(0, 0, 28))
	return m.merge(ctx, closing, map[string][]byte{desired.ApprovalPath(id, rollout.CloseGate): desired.ApprovalFile(closing)})
}

// generations is more than any slot has before it is made stable.
const generations = 4

// reached are the rows of all waves of a cycle, one for each package of a
// tenant, and the tenants in their order.
func (m *mill) reached(id fleet.CycleID) (map[fleet.TenantID][]fleet.PlanRow, []fleet.TenantID) {
	rows := map[fleet.TenantID][]fleet.PlanRow{}
	for _, s := range m.rec.Starts {
		if s.Cycle != id {
			continue
		}
		for _, row := range m.rec.PlanRows[s.Plan] {
			known := slices.ContainsFunc(rows[row.Tenant], func(r fleet.PlanRow) bool { return r.Package == row.Package })
			if !known {
				rows[row.Tenant] = append(rows[row.Tenant], row)
			}
		}
	}
	return rows, slices.Sorted(maps.Keys(rows))
}
