package rollout

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// The first parts of the branches by which packmill proposes: what a person
// sees of a pull request before reading it.
const (
	BranchCycle   = "cycle/"
	BranchApprove = "approve/"
	BranchClose   = "close/"
	BranchRevert  = "revert/"
	BranchAnswer  = "answer/"
)

// A Proposal is what a pull request of packmill's own would bring to main, as
// values: who writes files renders them. One of its parts is set, but for the
// opening of a cycle, which brings three.
type Proposal struct {
	Branch   string
	Opens    fleet.CycleID // the cycle it brings, "" for none
	Cycle    fleet.Cycle
	Plans    map[string]fleet.PlanRecord // by gate
	Previews []fleet.Plan                // what these records are the digests of, in the order of the waves
	Approval *fleet.Approval
	HoldName string // of Hold
	Hold     *fleet.Hold
	Answers  map[fleet.TenantID]fleet.TenantApproval // asked of one partner
}

// Opening proposes a cycle (NewCycle): its entries with the artifacts that were
// built, one plan for each wave, and the approval of the first wave.
//
// Plans name the blobs of main: what they will be recomputed from once this is
// merged. The cycle's own files are not among them.
func Opening(facts Facts, id fleet.CycleID, cycle fleet.Cycle) (Proposal, error) {
	repo := facts.Repo
	p := Proposal{Branch: BranchCycle + string(id), Opens: id, Cycle: cycle, Plans: map[string]fleet.PlanRecord{}}
	for _, gate := range p.Cycle.Waves {
		plan, err := Plan(repo, facts.Record, id, p.Cycle, gate)
		if err != nil {
			return Proposal{}, err
		}
		p.Plans[gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence, Summary: plan.Summary()}
		p.Previews = append(p.Previews, plan)
	}
	first := p.Cycle.Waves[0]
	approval, err := approvalOf(repo, id, cycle, first, p.Plans[first])
	p.Approval = &approval
	return p, err
}

// Approving proposes to open the next gate of a cycle.
func Approving(facts Facts, id fleet.CycleID, gate string) (Proposal, error) {
	approval, err := approvalOf(facts.Repo, id, facts.Repo.Cycles[id], gate, facts.Repo.Plans[id][gate])
	return Proposal{Branch: BranchApprove + string(id) + "/" + gate, Approval: &approval}, err
}

// approvalOf is the approval of a gate for the plan as recorded.
func approvalOf(repo *fleet.Repository, id fleet.CycleID, cycle fleet.Cycle, gate string, plan fleet.PlanRecord) (fleet.Approval, error) {
	opens, err := WaveOpens(repo, id, cycle, gate)
	if err != nil {
		return fleet.Approval{}, err
	}
	return fleet.Approval{
		Cycle: id, Gate: gate, Decision: "approved", Summary: plan.Summary, Plan: plan.Digest, ValidUntil: opens.Add(ApprovalLasts),
	}, nil
}

// Answering asks a partner for its word on a cycle: an answer for each of its
// tenants that have a say and have given none.
func Answering(facts Facts, id fleet.CycleID, partner string) (Proposal, error) {
	list, err := TenantApprovals(facts, id, partner, func(gate string) (time.Time, error) {
		opens, err := WaveOpens(facts.Repo, id, facts.Repo.Cycles[id], gate)
		return opens.Add(ApprovalLasts), err
	})
	return Proposal{Branch: BranchAnswer + string(id) + "/" + partner, Answers: list}, err
}

// Closing proposes to close a cycle whose entries all have their last word. Its
// plan is that of the last wave: nothing new happens.
func Closing(facts Facts, id fleet.CycleID) Proposal {
	cycle := facts.Repo.Cycles[id]
	last := facts.Repo.Plans[id][cycle.Waves[len(cycle.Waves)-1]]
	return Proposal{Branch: BranchClose + string(id), Approval: &fleet.Approval{
		Cycle: id, Gate: CloseGate, Decision: "approved", Summary: last.Summary, Plan: last.Digest,
		ValidUntil: last.Summary.Deadline.AddDate(0, 0, 28).UTC(),
	}}
}

// Revoking proposes to take a release back that its gate failed.
func Revoking(facts Facts, a Action) Proposal {
	id := a.Packages[0]
	hold := RevocationOf(facts.Repo, id, a.Version, a.Artifact, a.Why)
	return Proposal{
		Branch: BranchRevert + path.Join(string(a.Cycle), id.Slug()), Hold: &hold,
		HoldName: holdName(facts.Repo, hold),
	}
}

// holdName is the name of a revocation's file: the one it stands in already, or
// one that no other hold has. Dots and dashes of different versions, and slashes
// and dashes of different packages, give the same words.
func holdName(repo *fleet.Repository, hold fleet.Hold) string {
	words := strings.Map(func(r rune) rune {
		if strings.ContainsRune(". :", r) {
			return '-'
		}
		return r
	}, hold.Release)
	plain := "revoke-" + hold.Package.Slug() + "-" + words
	name := plain
	for n := 2; ; n++ {
		h, taken := repo.Holds[name]
		if !taken || h.Kind == hold.Kind && h.Package == hold.Package && h.Release == hold.Release && h.Artifact == hold.Artifact {
			return name
		}
		name = fmt.Sprintf("%s-%d", plain, n)
	}
}
