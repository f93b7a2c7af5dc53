package factory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Judge reads what the devices of a wave reported for some entries and gives
// the gate's verdict on each. Reports go into evidence before the verdicts
// that rest on them.
func (f *Factory) Judge(ctx context.Context, facts rollout.Facts, a rollout.Action) ([]fleet.Verdict, error) {
	wave, ok := facts.Repo.Wave(a.Wave)
	if !ok {
		return nil, fleet.Errorf(fleet.Invalid, "factory.judge", a.Wave, "no such wave")
	}
	cycle := facts.Repo.Cycles[a.Cycle]
	reports, err := f.reports(ctx, facts, a)
	if err != nil {
		return nil, err
	}
	inputs := maps.Clone(facts.Record.Heads)
	inputs["main"] = facts.Repo.Commit
	var verdicts []fleet.Verdict
	for _, id := range a.Packages {
		counts := map[fleet.TenantID]fleet.Counts{}
		for _, r := range reports {
			if r.Package == id {
				counts[r.Tenant] = r.Counts
			}
		}
		sum := gate.Pool(counts)
		v := guarded(facts.Repo, wave.Gate, counts, gate.Judge(wave.Gate, sum, a.Look, a.Last))
		verdicts = append(verdicts, fleet.Verdict{
			Cycle: a.Cycle, Wave: a.Wave, Package: id, Artifact: cycle.Entries[id].Artifact, Look: a.Look, Decision: v.Decision,
			Counts: sum, Lower: v.Lower, Upper: v.Upper, Rule: v.Rule, Inputs: inputs, At: f.Clock.Now(),
		})
	}
	return verdicts, f.Ledger.Append(ctx, evidence.Control, evidence.VerdictsDir(a.Cycle), verdicts)
}

// guarded is a gate's answer with the tenants' own limits: a wave that passes as
// a whole does not pass while one tenant has more failures than its policy
// bears. A person decides then.
func guarded(repo *fleet.Repository, g fleet.Gate, counts map[fleet.TenantID]fleet.Counts, answer gate.Answer) gate.Answer {
	if answer.Decision != "pass" {
		return answer
	}
	over := gate.Guard(g, counts, func(t fleet.TenantID) float64 { return repo.Tenants[t].Policy.MaxFailuresPercent })
	if len(over) > 0 {
		answer.Decision = "inconclusive"
		answer.Rule += fmt.Sprintf("; but more failures than the policy bears on %v", over)
	}
	return answer
}

// reports reads, tenant by tenant, what the frozen members of a wave reported
// for some packages, and writes it to evidence.
func (f *Factory) reports(ctx context.Context, facts rollout.Facts, a rollout.Action) ([]fleet.Report, error) {
	var all []fleet.Report
	rows := map[place][]fleet.Report{}
	platform := platforms(facts.Record)
	for _, m := range facts.Record.Members {
		if m.Cycle != a.Cycle || m.Wave != a.Wave {
			continue
		}
		tenant := facts.Repo.Tenants[m.Tenant]
		console, err := f.Consoles(ctx, tenant)
		if err != nil {
			return nil, err
		}
		key, err := f.HashKey(tenant.ID)
		if err != nil {
			return nil, err
		}
		for _, id := range a.Packages {
			artifact := facts.Repo.Cycles[a.Cycle].Entries[id].Artifact
			if !assignedTo(facts.Record, a, m.Tenant, id, artifact) {
				continue
			}
			statuses, err := console.Statuses(ctx, id, fleet.Candidate)
			if err != nil {
				return nil, err
			}
			r := fleet.Report{Cycle: a.Cycle, Wave: a.Wave, Tenant: m.Tenant, Package: id, Artifact: artifact, Look: a.Look, At: f.Clock.Now()}
			r.Counts, r.Errors = count(m, facts.Repo.Packages[id], platform, statuses, key)
			all = append(all, r)
			at := place{evidence.Shard(m.Tenant), evidence.ReportsDir(a.Cycle, a.Wave)}
			rows[at] = append(rows[at], r)
		}
		f.progress(len(all), len(facts.Record.Members)*len(a.Packages), "reports of "+string(m.Tenant))
	}
	return all, f.Ledger.AppendAll(ctx, batches(rows))
}

// platforms are the platforms of all devices that any inventory told of.
func platforms(rec *fleet.Record) map[string]string {
	out := map[string]string{}
	for _, r := range rec.Inventory {
		out[string(r.Tenant)+"/"+r.Device] = r.Platform
	}
	return out
}

func assignedTo(rec *fleet.Record, a rollout.Action, t fleet.TenantID, id fleet.PackageID, artifact fleet.Digest) bool {
	return slices.ContainsFunc(rec.Receipts, func(r fleet.Receipt) bool {
		return r.Cycle == a.Cycle && r.Wave == a.Wave && r.Tenant == t && r.Package == id && r.Artifact == artifact && r.Action == "assign" && r.Outcome == "done"
	})
}

// count sorts a wave's frozen members by what they reported: those the package
// has nothing for are excluded, those that said nothing are silent.
func count(m fleet.Membership, pkg fleet.Package, platform map[string]string, statuses []fleet.DeviceStatus, key []byte) (fleet.Counts, []string) {
	said := make(map[string]fleet.DeviceStatus, len(statuses))
	for _, s := range statuses {
		said[hashDevice(key, s.Device)] = s
	}
	var c fleet.Counts
	codes := map[string]bool{}
	for _, device := range m.Devices {
		s, reported := said[device]
		switch {
		case !rollout.Serves(pkg, platform[string(m.Tenant)+"/"+device]):
			c.Excluded++
		case reported && s.State == "installed":
			c.Succeeded++
		case reported && s.State == "failed":
			c.Failed++
			if s.Error != "" {
				codes[s.Error] = true
			}
		default:
			c.Silent++
		}
	}
	return c, slices.Sorted(maps.Keys(codes))
}
