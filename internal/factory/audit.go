package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Verifiable ledger can be audited as a whole.
type Verifiable interface {
	Ledger
	Verify(ctx context.Context, known ...map[string]string) ([]evidence.Finding, error)
}

// Audit proves from a clone alone what ran where, who let it, on what
// evidence. It trusts nothing that evidence says about main: merges, trees,
// approvals and whose word counts are read from the commits again. fresh are
// readings of the tenants' own audits that are not in evidence.
func (f *Factory) Audit(ctx context.Context, ledger Verifiable, fresh ...fleet.Reconciliation) (fleet.Audit, error) {
	main, err := f.Git.Main()
	if err != nil {
		return fleet.Audit{}, err
	}
	repo, err := f.Desired(ctx, main)
	if err != nil {
		return Unreadable(main, err)
	}
	a := auditor{f: f, repo: repo, out: fleet.Audit{Main: main}}
	findings, err := ledger.Verify(ctx, planInputs(repo)...)
	if err != nil {
		return fleet.Audit{}, err
	}
	for _, x := range findings {
		if !x.Note {
			a.find("evidence", x.What, placeOf(x))
		}
	}
	if len(a.out.Findings) > 0 {
		return a.out, nil // rows that rest on altered evidence say nothing
	}
	if a.rec, err = ledger.Read(ctx); err != nil {
		return fleet.Audit{}, err
	}
	a.out.Heads = a.rec.Heads
	if a.out.Batches, err = f.batches(ctx); err != nil {
		return fleet.Audit{}, err
	}
	if err := a.merges(ctx, main); err != nil {
		return fleet.Audit{}, err
	}
	if err := a.noes(ctx, main); err != nil {
		return fleet.Audit{}, err
	}
	for _, id := range repo.CycleIDs() {
		if err := a.plans(ctx, id); err != nil {
			return fleet.Audit{}, err
		}
	}
	a.verdicts()
	a.rows(ctx)
	AuditWrites(&a.out, repo, slices.Concat(a.rec.Reconciled, fresh))
	return a.out, nil
}

// Unreadable is the audit of a main that cannot be read as a repository: every
// reason is a finding. An error about anything but what the commit holds is
// returned.
func Unreadable(main string, err error) (fleet.Audit, error) {
	a := auditor{out: fleet.Audit{Main: main, Rows: []fleet.AuditRow{}}}
	if err := a.unreadable(main, err); err != nil {
		return fleet.Audit{}, err
	}
	return a.out, nil
}

const cannotRead = "cannot be read as a repository: "

// unreadable notes why a commit cannot be read, unless that is no fault of what
// it holds.
func (a *auditor) unreadable(commit string, err error) error {
	if kind := fleet.KindOf(err); kind != fleet.Invalid && kind != fleet.Refused {
		return err
	}
	var list fleet.Errors
	if !errors.As(err, &list) {
		a.find(commit, cannotRead+err.Error(), "git show "+commit)
	}
	for _, e := range list {
		a.find(commit, cannotRead+e.Error(), e.Pos.String())
	}
	return nil
}

// placeOf is where a finding of the ledger is: branch, file, commit.
func placeOf(x evidence.Finding) string {
	where := x.Branch
	if x.Path != "" {
		where += ":" + x.Path
	}
	if x.Commit != "" {
		where += " at " + x.Commit
	}
	return where
}

// batches counts the batches on all evidence branches.
func (f *Factory) batches(ctx context.Context) (int, error) {
	n := 0
	for _, branch := range evidence.Branches() {
		head, err := f.remoteBranch(branch)
		if err != nil {
			return 0, err
		}
		if head == "" {
			continue
		}
		tree, err := f.Git.Tree(head)
		if err != nil {
			return 0, err
		}
		files, err := tree.Files(ctx, "")
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			if strings.HasSuffix(file.Path, evidence.SignatureSuffix) {
				n++
			}
		}
	}
	return n, nil
}

// planInputs are the evidence heads that plans on main were made from.
func planInputs(repo *fleet.Repository) []map[string]string {
	var out []map[string]string
	for _, id := range repo.CycleIDs() {
		for _, gate := range slices.Sorted(maps.Keys(repo.Plans[id])) {
			out = append(out, repo.Plans[id][gate].Inputs)
		}
	}
	return out
}

type auditor struct {
	f    *Factory
	repo *fleet.Repository
	rec  *fleet.Record
	out  fleet.Audit
	good map[string]*fleet.Merge // commit → its record, once it holds
}

func (a *auditor) find(object, what, where string) {
	a.out.Findings = append(a.out.Findings, fleet.AuditFinding{Object: object, What: what, Where: where})
}

// merges checks every commit on main's first-parent line against its record:
// that there is one, that it tells the same parents and tree, that the merge
// brought in exactly what was reviewed, and that enough people had seen it.
func (a *auditor) merges(ctx context.Context, main string) error {
	a.good = map[string]*fleet.Merge{}
	records := map[string]*fleet.Merge{}
	for i := range a.rec.Merges {
		m := &a.rec.Merges[i]
		if _, twice := records[m.Commit]; twice {
			a.find(m.Commit, "is recorded twice", evidence.Control+":"+evidence.MergesDir)
		}
		records[m.Commit] = m
	}
	line, err := a.f.Git.FirstParents(ctx, main, "")
	if err != nil {
		return err
	}
	previous := ""
	for _, c := range slices.Backward(line) {
		if len(c.Parents) == 0 {
			continue
		}
		a.out.Merges++
		m := records[c.ID]
		delete(records, c.ID)
		if m == nil {
			a.find(c.ID, "a commit on main without a record of its merge", c.Title())
			continue
		}
		if m.Previous != previous {
			a.find(c.ID, "its record does not follow on the one before", evidence.Control+":"+evidence.MergesDir)
		}
		previous = c.ID
		if err := a.merge(ctx, c, m); err != nil {
			return err
		}
	}
	for _, commit := range slices.Sorted(maps.Keys(records)) {
		a.find(commit, "is recorded as a merge but is not on main", evidence.Control+":"+evidence.MergesDir)
	}
	return nil
}

// plans checks that every plan a started wave names is the one that comes out
// again.
func (a *auditor) plans(ctx context.Context, id fleet.CycleID) error {
	for _, s := range a.rec.Starts {
		if s.Cycle != id {
			continue
		}
		approval, ok := a.repo.Approvals[id][s.Wave]
		switch {
		case !ok:
			a.find(string(id)+" "+s.Wave, "the wave started without an approval on main", id.Dir()+"/approvals/"+s.Wave+".cue")
		case approval.Plan != s.Plan:
			a.find(string(id)+" "+s.Wave, "the approval names another plan than the wave was started with", id.Dir()+"/approvals/"+s.Wave+".cue")
		}
		if err := a.members(s); err != nil {
			a.find(string(id)+" "+s.Wave, err.Error(), evidence.Control+":"+evidence.WavesDir(id))
		}
	}
	return nil
}

// members checks the frozen memberships of a wave against its Merkle root.
func (a *auditor) members(s fleet.WaveStart) error {
	var all []string
	joined := 0
	for _, m := range rollout.Frozen(a.rec, s) {
		joined += m.Joined
		if rollout.Root(m.Devices) != m.Root {
			return fmt.Errorf("the membership of %s has another root than it says", m.Tenant)
		}
		all = append(all, m.Devices...)
	}
	slices.Sort(all)
	if rollout.Root(all) != s.Root || len(all) != s.Devices {
		return fmt.Errorf("the memberships of the wave do not have the root it was started with")
	}
	if limit := rollout.JoinLimit(len(all) - joined); joined > limit {
		return fmt.Errorf("%d devices joined the wave after its plan was made, and %d may", joined, limit)
	}
	return nil
}
