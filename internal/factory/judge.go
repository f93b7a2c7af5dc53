package factory

import (
	"context"
	"errors"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/probe"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Judge reads what the devices of a wave reported for some entries and gives
// the gate's verdict on each. Reports go into evidence before the verdicts
// that rest on them.
//
// A tenant that cannot be asked stops nothing but a pass: its devices count as
// silent, the others are judged, and a fail is recorded whoever is out of
// reach. What went wrong there is the error, beside verdicts that stand.
func (f *Factory) Judge(ctx context.Context, facts rollout.Facts, a rollout.Action) ([]fleet.Verdict, error) {
	reports, unasked, err := f.reports(ctx, facts, a)
	if err != nil {
		return nil, err
	}
	others := f.control(facts, a)
	var verdicts []fleet.Verdict
	for _, id := range a.Packages {
		in, err := rollout.GateInputs(facts, a, id, reports)
		if err != nil {
			return verdicts, err
		}
		v, err := others.compared(ctx, in)
		if err != nil {
			return verdicts, err
		}
		v.At = f.Clock.Now()
		verdicts = append(verdicts, v)
	}
	if err := f.Ledger.Append(ctx, evidence.Control, evidence.VerdictsDir(a.Cycle), verdicts); err != nil {
		return verdicts, errors.Join(append(unasked, err)...)
	}
	return verdicts, errors.Join(unasked...)
}

// reports reads, tenant by tenant, what the frozen members of a wave reported
// for some packages, and writes it to evidence. unasked are the errors of
// tenants that could not be asked.
func (f *Factory) reports(ctx context.Context, facts rollout.Facts, a rollout.Action) (all []fleet.Report, unasked []error, err error) {
	start := slices.IndexFunc(facts.Record.Starts, func(s fleet.WaveStart) bool { return s.Cycle == a.Cycle && s.Wave == a.Wave })
	if start < 0 {
		return nil, nil, fleet.Errorf(fleet.Invalid, "factory.judge", string(a.Cycle)+"/"+a.Wave, "the wave has not started")
	}
	rows, silent := map[place][]fleet.Report{}, map[place][]fleet.Silence{}
	platform, assigned := platforms(facts.Record), assignedIn(facts.Record, a)
	members := rollout.Frozen(facts.Record, facts.Record.Starts[start])
	lists, quiet, errs := make([][]fleet.Report, len(members)), make([]hush, len(members)), make([]error, len(members))
	f.sideBySide(len(members), "tenants' reports", func(i int) {
		in := roll{platform: platform, since: facts.Record.Starts[start].At, assigned: assigned}
		lists[i], errs[i] = f.tenantReports(ctx, facts, a, members[i], in, &quiet[i])
	})
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	for i, m := range members {
		if err := errs[i]; err != nil {
			unasked = append(unasked, fleet.Errorf(fleet.KindOf(err), "factory.judge", string(m.Tenant), "its devices count as silent: %w", err))
		}
		all = append(all, lists[i]...)
		at := place{evidence.Shard(m.Tenant), evidence.ReportsDir(a.Cycle, a.Wave)}
		rows[at] = append(rows[at], lists[i]...)
		if s, any := quiet[i].row(m, a, f.Clock.Now()); any && errs[i] == nil {
			at.dir = evidence.SilentDir(a.Cycle, a.Wave)
			silent[at] = append(silent[at], s)
		}
	}
	return all, unasked, f.Ledger.AppendAll(ctx, append(batches(rows), batches(silent)...))
}

// tenantReports are the reports of one tenant's members on the packages that it
// was assigned. Once it cannot be asked, its members are silent in the rest of
// them. Members of a tenant that left are excluded: nothing reaches them, and
// nobody is there to ask.
func (f *Factory) tenantReports(ctx context.Context, facts rollout.Facts, a rollout.Action, m fleet.Membership, in roll, quiet *hush) (out []fleet.Report, failure error) {
	tenant, present := facts.Repo.Tenants[m.Tenant]
	wave, err := rollout.WaveOf(facts.Repo, a.Cycle, a.Wave)
	if err != nil {
		return nil, err
	}
	var console Console
	var key []byte
	for _, id := range a.Packages {
		entry := facts.Repo.Cycles[a.Cycle].Entries[id]
		if !slices.Contains(in.assigned[rollout.Slot{Tenant: m.Tenant, Package: id}], entry.Artifact) {
			continue
		}
		r := fleet.Report{Cycle: a.Cycle, Wave: a.Wave, Tenant: m.Tenant, Package: id, Artifact: entry.Artifact, Look: a.Look, At: f.Clock.Now()}
		pkg := facts.Repo.Packages[id]
		in.leftOut = rollout.LeftOutOf(facts, tenant, id)
		said := telling{release: entry.Release, signals: probe.Signals(wave.Gate, pkg)}
		if present && console == nil && failure == nil {
			console, key, failure = f.asking(ctx, facts.Repo, tenant)
		}
		if present && failure == nil {
			said, failure = said.ask(ctx, console, id, key)
		}
		if present && failure == nil && pkg.InParts() {
			r.Stopped, failure = stoppedIn(ctx, console, id)
		}
		switch {
		case !present:
			r.Counts.Excluded = len(m.Devices)
		case failure != nil:
			in.count(m, pkg, telling{signals: said.signals}, &r, nil)
			r.Errors = []string{fleet.NotAsked}
		default:
			in.count(m, pkg, said, &r, quiet)
		}
		out = append(out, r)
	}
	return out, failure
}

// stoppedIn says why a tenant's service stopped a release by itself.
func stoppedIn(ctx context.Context, console Console, id fleet.PackageID) (string, error) {
	state, err := console.Observe(ctx, id, fleet.Candidate)
	return state.Stopped, err
}

// asking is a tenant's console, and the key that its device ids are hashed
// with.
func (f *Factory) asking(ctx context.Context, repo *fleet.Repository, t fleet.Tenant) (Console, []byte, error) {
	key, err := f.HashKey(t.ID)
	if err != nil {
		return nil, nil, err
	}
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	return byKind{console, repo}, key, nil
}

// platforms are the platforms of all devices that any inventory told of.
func platforms(rec *fleet.Record) map[string]string {
	out := map[string]string{}
	for i := range rec.Inventory {
		r := &rec.Inventory[i]
		out[string(r.Tenant)+"/"+r.Device] = r.Platform
	}
	return out
}

// assignedIn are the artifacts that were assigned in a wave, by where.
func assignedIn(rec *fleet.Record, a rollout.Action) map[rollout.Slot][]fleet.Digest {
	out := map[rollout.Slot][]fleet.Digest{}
	for i := range rec.Receipts {
		if r := &rec.Receipts[i]; r.Cycle == a.Cycle && r.Wave == a.Wave && r.Action == "assign" && r.Outcome == "done" {
			at := rollout.Slot{Tenant: r.Tenant, Package: r.Package}
			out[at] = append(out[at], r.Artifact)
		}
	}
	return out
}
