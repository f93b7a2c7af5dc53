package factory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// OpenCycle proposes a cycle (rollout.NewCycle). Merging it opens the cycle.
func (f *Factory) OpenCycle(ctx context.Context, facts rollout.Facts, id fleet.CycleID, cycle fleet.Cycle) (fleet.Pull, bool, error) {
	p, err := rollout.Opening(facts, id, cycle)
	if err != nil {
		return fleet.Pull{}, false, err
	}
	return f.propose(ctx, facts.Repo.Commit, proposing(p, view.CyclePull(facts.Repo, id, p.Cycle, p.Previews), "cycle"))
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
	p, err := rollout.Approving(facts, id, gate)
	if err != nil {
		return proposal{}, err
	}
	out := proposing(p, view.ApprovalPull(facts.Repo, facts.Record, *p.Approval, facts.Plans[id][gate]), "approval")
	out.answers = true
	return out, nil
}

// ProposeTenantApprovals asks a partner for its word on a cycle: one pull
// request with a file for each of its tenants that have a say and have not
// answered.
func (f *Factory) ProposeTenantApprovals(ctx context.Context, facts rollout.Facts, id fleet.CycleID, partner string) (fleet.Pull, bool, error) {
	asked, err := rollout.Answering(facts, id, partner)
	if err != nil || len(asked.Answers) == 0 {
		return fleet.Pull{}, false, err
	}
	p := proposing(asked, view.TenantsPull(facts.Repo, view.TenantsAsked{Cycle: id, Partner: partner, Approvals: asked.Answers, Rows: rollout.RowsOf(facts, id)}), "approval")
	p.answers = true
	return f.propose(ctx, facts.Repo.Commit, p)
}

// ProposeClose proposes to close a cycle whose entries all have their last
// word.
func (f *Factory) ProposeClose(ctx context.Context, facts rollout.Facts, id fleet.CycleID) (fleet.Pull, bool, error) {
	return f.propose(ctx, facts.Repo.Commit, proposing(rollout.Closing(facts, id), view.ClosePull(facts.Repo, facts.Record, id), "cycle"))
}

// ProposeRevocation proposes to take a release back that its gate failed.
func (f *Factory) ProposeRevocation(ctx context.Context, facts rollout.Facts, a rollout.Action) (fleet.Pull, bool, error) {
	return f.propose(ctx, facts.Repo.Commit, revocationProposal(facts, a))
}

func revocationProposal(facts rollout.Facts, a rollout.Action) proposal {
	p := rollout.Revoking(facts, a)
	return proposing(p, view.RevocationPull(facts.Repo, facts.Record, *p.Hold, a.Cycle), "revocation")
}

// proposing is the pull request of a proposal: its values as files.
func proposing(p rollout.Proposal, text view.Pull, label string) proposal {
	files := map[string][]byte{}
	if p.Opens != "" {
		files[desired.CyclePath(p.Opens)] = desired.CycleFile(p.Opens, p.Cycle)
		files[desired.PlanPath(p.Opens)] = desired.PlanFile(p.Opens, p.Plans)
	}
	if a := p.Approval; a != nil {
		files[desired.ApprovalPath(a.Cycle, a.Gate)] = desired.ApprovalFile(*a)
	}
	for t, a := range p.Answers {
		files[desired.TenantApprovalPath(t, a.Cycle)] = desired.TenantApprovalFile(a)
	}
	if p.Hold != nil {
		files[desired.HoldPath(p.HoldName)] = desired.HoldFile(p.HoldName, *p.Hold)
	}
	return proposal{files: files, spec: fleet.PullSpec{Branch: p.Branch, Title: text.Title, Body: text.Text, Labels: []string{label}}}
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
	var newest time.Time
	for _, cycle := range facts.Repo.CycleIDs() {
		c := facts.Repo.Cycles[cycle]
		if e, travels := c.Entries[pkg.ID]; travels && e.Release == version && !c.CutOff.Before(newest) {
			a.Cycle, a.Artifact, newest = cycle, e.Artifact, c.CutOff
		}
	}
	return a, nil
}

var errNoRelease = errors.New("there is no such release")
