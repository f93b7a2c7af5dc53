package factory

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// OpenCycle proposes a cycle (rollout.NewCycle): its entries with the artifacts
// that were built, one plan for each wave, and the approval of the first wave.
// Merging it opens the cycle.
func (f *Factory) OpenCycle(ctx context.Context, facts rollout.Facts, id fleet.CycleID, cycle fleet.Cycle) (fleet.Pull, bool, error) {
	repo := facts.Repo
	// The plan names the blobs of main: what it will be recomputed from once
	// this is merged. The cycle's own files are not among them.
	plans := map[string]fleet.PlanRecord{}
	var previews []fleet.Plan
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(repo, facts.Record, id, cycle, gate)
		if err != nil {
			return fleet.Pull{}, false, err
		}
		digest := plan.Digest()
		plans[gate] = fleet.PlanRecord{Digest: digest, Inputs: plan.Evidence, Summary: plan.Summary()}
		previews = append(previews, plan)
	}
	first := cycle.Waves[0]
	approval, err := approvalOf(repo, id, cycle, first, plans[first])
	if err != nil {
		return fleet.Pull{}, false, err
	}
	text := view.CyclePull(repo, id, cycle, previews)
	dir := id.Dir()
	return f.propose(ctx, repo.Commit, proposal{
		files: map[string][]byte{
			path.Join(dir, "cycle.cue"):               desired.CycleFile(id, cycle),
			path.Join(dir, "plan.cue"):                desired.PlanFile(id, plans),
			path.Join(dir, "approvals", first+".cue"): desired.ApprovalFile(approval),
		},
		spec: fleet.PullSpec{Branch: "cycle/" + string(id), Title: text.Title, Body: text.Text, Labels: []string{"cycle"}},
	})
}

// ProposeApproval proposes to open the next gate of a cycle.
func (f *Factory) ProposeApproval(ctx context.Context, facts rollout.Facts, id fleet.CycleID, gate string) (fleet.Pull, bool, error) {
	p, err := approvalProposal(facts, id, gate)
	if err != nil {
		return fleet.Pull{}, false, err
	}
	return f.propose(ctx, facts.Repo.Commit, p)
}

func approvalProposal(facts rollout.Facts, id fleet.CycleID, gate string) (proposal, error) {
	approval, err := approvalOf(facts.Repo, id, facts.Repo.Cycles[id], gate, facts.Repo.Plans[id][gate])
	if err != nil {
		return proposal{}, err
	}
	text := view.ApprovalPull(facts.Repo, facts.Record, approval, facts.Plans[id][gate])
	return proposal{
		files:   map[string][]byte{path.Join(id.Dir(), "approvals", gate+".cue"): desired.ApprovalFile(approval)},
		spec:    fleet.PullSpec{Branch: "approve/" + string(id) + "/" + gate, Title: text.Title, Body: text.Text, Labels: []string{"approval"}},
		answers: true,
	}, nil
}

// ProposeTenantApprovals asks a partner for its word on a cycle: one pull
// request with a file for each of its tenants that have a say and have not
// answered.
func (f *Factory) ProposeTenantApprovals(ctx context.Context, facts rollout.Facts, id fleet.CycleID, partner string) (fleet.Pull, bool, error) {
	list, err := rollout.TenantApprovals(facts, id, partner, func(gate string) (time.Time, error) {
		opens, err := waveOpens(facts.Repo, id, facts.Repo.Cycles[id], gate)
		return opens.Add(rollout.ApprovalLasts), err
	})
	if err != nil || len(list) == 0 {
		return fleet.Pull{}, false, err
	}
	files := map[string][]byte{}
	for t, a := range list {
		files[desired.TenantApprovalPath(t, id)] = desired.TenantApprovalFile(a)
	}
	text := view.TenantsPull(facts.Repo, view.TenantsAsked{Cycle: id, Partner: partner, Approvals: list, Rows: rollout.RowsOf(facts, id)})
	return f.propose(ctx, facts.Repo.Commit, proposal{
		files:   files,
		spec:    fleet.PullSpec{Branch: "answer/" + string(id) + "/" + partner, Title: text.Title, Body: text.Text, Labels: []string{"approval"}},
		answers: true,
	})
}

// ProposeClose proposes to close a cycle whose entries all have their last
// word. Its plan is that of the last wave: nothing new happens.
func (f *Factory) ProposeClose(ctx context.Context, facts rollout.Facts, id fleet.CycleID) (fleet.Pull, bool, error) {
	cycle := facts.Repo.Cycles[id]
	last := facts.Repo.Plans[id][cycle.Waves[len(cycle.Waves)-1]]
	approval := fleet.Approval{
		Cycle: id, Gate: rollout.CloseGate, Decision: "approved", Summary: last.Summary, Plan: last.Digest,
		ValidUntil: last.Summary.Deadline.AddDate(0, 0, 28).UTC(),
	}
	text := view.ClosePull(facts.Repo, facts.Record, id)
	return f.propose(ctx, facts.Repo.Commit, proposal{
		files: map[string][]byte{path.Join(id.Dir(), "approvals", rollout.CloseGate+".cue"): desired.ApprovalFile(approval)},
		spec:  fleet.PullSpec{Branch: "close/" + string(id), Title: text.Title, Body: text.Text, Labels: []string{"cycle"}},
	})
}

// ProposeRevocation proposes to take a release back that its gate failed.
func (f *Factory) ProposeRevocation(ctx context.Context, facts rollout.Facts, a rollout.Action) (fleet.Pull, bool, error) {
	return f.propose(ctx, facts.Repo.Commit, revocationProposal(facts, a))
}

func revocationProposal(facts rollout.Facts, a rollout.Action) proposal {
	id := a.Packages[0]
	hold := rollout.RevocationOf(facts.Repo, id, a.Version, a.Artifact, a.Why)
	name := "revoke-" + id.Slug() + "-" + strings.ReplaceAll(a.Version, ".", "-")
	text := view.RevocationPull(facts.Repo, facts.Record, hold, a.Cycle)
	return proposal{
		files: map[string][]byte{path.Join("schedules/holds", name+".cue"): desired.HoldFile(name, hold)},
		spec:  fleet.PullSpec{Branch: "revert/" + string(a.Cycle) + "/" + id.Slug(), Title: text.Title, Body: text.Text, Labels: []string{"revocation"}},
	}
}

// approvalOf is the approval of a gate for the plan as recorded.
func approvalOf(repo *fleet.Repository, id fleet.CycleID, cycle fleet.Cycle, gate string, plan fleet.PlanRecord) (fleet.Approval, error) {
	opens, err := waveOpens(repo, id, cycle, gate)
	if err != nil {
		return fleet.Approval{}, err
	}
	return fleet.Approval{
		Cycle: id, Gate: gate, Decision: "approved", Summary: plan.Summary, Plan: plan.Digest, ValidUntil: opens.Add(rollout.ApprovalLasts),
	}, nil
}

// waveOpens is the instant a wave of a cycle opens.
func waveOpens(repo *fleet.Repository, id fleet.CycleID, cycle fleet.Cycle, gate string) (time.Time, error) {
	wave, err := rollout.WaveOf(repo, id, gate)
	if err != nil {
		return time.Time{}, err
	}
	return calendar.Opens(repo.Week, id, cycle.CutOff, wave)
}

// recordPlans writes the rows of a cycle's plans into evidence, once.
func (f *Factory) recordPlans(ctx context.Context, rec *fleet.Record, id fleet.CycleID, plans map[string]fleet.Plan) error {
	for _, gate := range slices.Sorted(maps.Keys(plans)) {
		digest := plans[gate].Digest()
		if _, known := rec.PlanRows[digest]; known || len(plans[gate].Rows) == 0 {
			continue
		}
		if err := f.Ledger.Append(ctx, evidence.Control, evidence.PlanDir(id, digest), plans[gate].Rows); err != nil {
			return err
		}
	}
	return nil
}

// Revocation is the action of taking back a release that a person names as
// PACKAGE@VERSION: with the artifact that travels in the newest cycle.
func Revocation(facts rollout.Facts, name, reason string) (rollout.Action, error) {
	id, version, ok := strings.Cut(name, "@")
	pkg, known := facts.Repo.Packages[fleet.PackageID(id)]
	if _, released := pkg.Releases[version]; !ok || !known || !released {
		return rollout.Action{}, &fleet.Error{Op: "factory.revoke", Object: name, Kind: fleet.Invalid, Err: errNoRelease, Hint: "name it as PACKAGE@VERSION, for example igor-pavlov/7-zip@24.09"}
	}
	a := rollout.Action{Kind: rollout.ProposeRevoke, Packages: []fleet.PackageID{pkg.ID}, Version: version, Why: reason}
	for _, cycle := range facts.Repo.CycleIDs() {
		if e, travels := facts.Repo.Cycles[cycle].Entries[pkg.ID]; travels && e.Release == version {
			a.Cycle, a.Artifact = cycle, e.Artifact
		}
	}
	return a, nil
}

var errNoRelease = errors.New("there is no such release")
