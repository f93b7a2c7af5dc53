package rollout

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
)

// GateInputs are what a gate judges of one package at a look: the reports of
// that look, those of the waves before where the gate pools, the tenants' own
// limits and people's words. Who judges adds the control group.
func GateInputs(facts Facts, a Action, id fleet.PackageID, reports []fleet.Report) (gate.Inputs, error) {
	wave, err := WaveOf(facts.Repo, a.Cycle, a.Wave)
	if err != nil {
		return gate.Inputs{}, err
	}
	from := maps.Clone(facts.Record.Heads)
	if from == nil {
		from = map[string]string{}
	}
	from["main"] = facts.Repo.Commit
	in := gate.Inputs{
		Cycle: a.Cycle, Wave: a.Wave, Package: id, Artifact: facts.Repo.Cycles[a.Cycle].Entries[id].Artifact, Gate: wave.Gate, Look: a.Look,
		Counts: map[fleet.TenantID]fleet.Counts{}, Limits: map[fleet.TenantID]float64{}, From: from, Words: countedWords(facts, a, id),
	}
	for i := range reports {
		r := &reports[i]
		if r.Package != id {
			continue
		}
		in.Counts[r.Tenant] = r.Counts
		if slices.Contains(r.Errors, fleet.NotAsked) {
			in.Deaf++
		}
		if r.Stopped != "" {
			if in.Stopped == nil {
				in.Stopped = map[fleet.TenantID]string{}
			}
			in.Stopped[r.Tenant] = r.Stopped
		}
	}
	if wave.Gate.Inconclusive == "pool" {
		in.Earlier = earlier(facts, in)
	}
	for _, m := range []map[fleet.TenantID]fleet.Counts{in.Counts, in.Earlier} {
		for t := range m {
			in.Limits[t] = facts.Repo.Tenants[t].Policy.MaxFailuresPercent
		}
	}
	return in, nil
}

// earlier are the newest counts of the waves before one, on the same artifact.
func earlier(facts Facts, in gate.Inputs) map[fleet.TenantID]fleet.Counts {
	waves := facts.Repo.Cycles[in.Cycle].Waves
	before := waves[:max(0, slices.Index(waves, in.Wave))]
	type seat struct {
		wave   string
		tenant fleet.TenantID
	}
	last := map[seat]fleet.Report{}
	for _, r := range facts.Record.Reports {
		if r.Cycle == in.Cycle && r.Package == in.Package && r.Artifact == in.Artifact && slices.Contains(before, r.Wave) && !r.At.Before(last[seat{r.Wave, r.Tenant}].At) {
			last[seat{r.Wave, r.Tenant}] = r
		}
	}
	out := map[fleet.TenantID]fleet.Counts{}
	for _, r := range last {
		out[r.Tenant] = out[r.Tenant].Add(r.Counts)
	}
	return out
}

// countedWords are what people said of a release in a wave. Whoever objects is
// heard; a sign-off counts if its person may approve, by the policy as it is.
func countedWords(facts Facts, a Action, id fleet.PackageID) []fleet.Word {
	return slices.DeleteFunc(gate.About(facts.Record.Words, a.Cycle, a.Wave, id), func(w fleet.Word) bool {
		return w.Kind == fleet.SignOff && !facts.Repo.Approver(w.By, w.At)
	})
}
