package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A State is everything that engines share: the clock, main, evidence, pull
// requests and what tenants hold. Engines take turns at it, they do not run at
// once.
type State struct {
	Now     time.Time
	Pulls   []Pull                   // packmill's own, in the order they were made
	Tenants map[rollout.Slot]*Holder // what consoles hold
	Calls   []Call                   // every change that was made on a tenant, in order

	facts   rollout.Facts
	pending map[string]fleet.Merge // merges that evidence has no record of, by commit
	then    func(heads map[string]string) (*fleet.Record, error)
	number  int // of the last pull request
	changes int // that were made, of any kind
	luck    map[string][]lucky
}

// A Pull is a proposal of packmill's own.
type Pull struct {
	rollout.Proposal
	Number int
	Title  string
	Made   time.Time
	Merged time.Time // zero while it is open
}

// A Holder is what a tenant's console holds for one package.
type Holder struct {
	Candidate map[string]Assigned // by wave
	Stable    fleet.Entry         // zero until a promotion or a way back
	Removed   bool                // the way back was to uninstall
	Left      fleet.Entry         // what was stable when devices were to lose it
}

// An Assigned is an assignment of a release to a wave's devices.
type Assigned struct {
	fleet.Entry
	Opens, Deadline time.Time
	Local           bool
	At              time.Time
}

// A Call is one change that was made on a tenant.
type Call struct {
	Runner string
	fleet.Intent
	Made time.Time
}

// Input is what a rehearsal starts from.
type Input struct {
	Facts rollout.Facts
	// Pending are the records of the merges that Facts.Unrecorded names, by
	// commit: what a run would write of them.
	Pending map[string]fleet.Merge
	// Then gives evidence as of the heads that a plan names.
	Then func(heads map[string]string) (*fleet.Record, error)
	Now  time.Time
}

// NewState is a state that nothing has happened in yet. The input is not
// changed by anything that happens later.
func NewState(in Input) *State {
	rec := *in.Facts.Record
	rec.Heads, rec.PlanRows = maps.Clone(rec.Heads), maps.Clone(rec.PlanRows)
	if rec.Heads == nil {
		rec.Heads = map[string]string{}
	}
	if rec.PlanRows == nil {
		rec.PlanRows = map[fleet.Digest][]fleet.PlanRow{}
	}
	clip(&rec)
	facts := in.Facts
	facts.Record, facts.Unrecorded = &rec, slices.Clone(facts.Unrecorded)
	facts.Plans = clonePlans(facts.Plans)
	s := &State{
		Now: in.Now.UTC(), Tenants: map[rollout.Slot]*Holder{}, facts: facts, pending: maps.Clone(in.Pending), then: in.Then,
		luck: map[string][]lucky{},
	}
	if s.pending == nil {
		s.pending = map[string]fleet.Merge{}
	}
	for _, m := range rec.Merges {
		s.number = max(s.number, m.PR)
	}
	for _, m := range s.pending {
		s.number = max(s.number, m.PR)
	}
	s.replay()
	return s
}

// clip makes appending to a record leave the rows alone that others read.
func clip(r *fleet.Record) {
	r.Detections, r.Builds, r.Tests, r.Merges = slices.Clip(r.Detections), slices.Clip(r.Builds), slices.Clip(r.Tests), slices.Clip(r.Merges)
	r.Starts, r.Members, r.Intents, r.Receipts = slices.Clip(r.Starts), slices.Clip(r.Members), slices.Clip(r.Intents), slices.Clip(r.Receipts)
	r.Reports, r.Verdicts, r.Notices = slices.Clip(r.Reports), slices.Clip(r.Verdicts), slices.Clip(r.Notices)
	r.Inventory, r.Heartbeats = slices.Clip(r.Inventory), slices.Clip(r.Heartbeats)
}

func clonePlans(plans map[fleet.CycleID]map[string]fleet.Plan) map[fleet.CycleID]map[string]fleet.Plan {
	out := map[fleet.CycleID]map[string]fleet.Plan{}
	for id, gates := range plans {
		out[id] = maps.Clone(gates)
	}
	return out
}

// replay makes tenants hold what evidence says was done to them.
func (s *State) replay() {
	intents := make(map[string]*fleet.Intent, len(s.facts.Record.Intents))
	for i := range s.facts.Record.Intents {
		in := &s.facts.Record.Intents[i]
		intents[in.ID] = in
	}
	local := map[fleet.Digest]map[rollout.Slot]bool{} // rows in the tenant's local time, by plan
	for digest, rows := range s.facts.Record.PlanRows {
		for i := range rows {
			if rows[i].LocalTime {
				if local[digest] == nil {
					local[digest] = map[rollout.Slot]bool{}
				}
				local[digest][rollout.Slot{Tenant: rows[i].Tenant, Package: rows[i].Package}] = true
			}
		}
	}
	for _, r := range s.facts.Record.Receipts {
		if in := intents[r.Intent]; in != nil && r.Outcome == "done" {
			s.change(*in, local[in.Plan][rollout.Slot{Tenant: in.Tenant, Package: in.Package}], r.At)
		}
	}
}

// Facts are the facts as a run that reads now finds them. They stay as they
// are whatever happens later.
func (s *State) Facts() rollout.Facts {
	rec := *s.facts.Record // rows are only ever added behind it, maps are replaced
	out := s.facts
	out.Record = &rec
	return out
}

// holder is what a tenant's console holds for a package.
func (s *State) holder(at rollout.Slot) *Holder {
	h := s.Tenants[at]
	if h == nil {
		h = &Holder{Candidate: map[string]Assigned{}}
		s.Tenants[at] = h
	}
	return h
}

// change makes a tenant hold what an intent says, and gives the artifact that
// the changed slot holds then, "" where it was emptied.
func (s *State) change(i fleet.Intent, local bool, at time.Time) fleet.Digest {
	h := s.holder(rollout.Slot{Tenant: i.Tenant, Package: i.Package})
	switch i.Action {
	case "assign":
		for wave, a := range h.Candidate {
			if a.Artifact != i.Artifact {
				delete(h.Candidate, wave) // the slot holds one release
			}
		}
		h.Candidate[i.Wave] = Assigned{fleet.Entry{Release: i.Release, Artifact: i.Artifact}, i.Opens, i.Deadline, local, at}
		return i.Artifact
	case "promote":
		h.Stable, h.Removed = fleet.Entry{Release: i.Release, Artifact: i.Artifact}, false
		clear(h.Candidate)
		return i.Artifact
	case "rollback":
		return s.back(h, i)
	case "restore":
		return ""
	case "reinstate":
		if h.Left.Release != "" {
			h.Stable, h.Removed, h.Left = h.Left, false, fleet.Entry{}
		}
		return ""
	case "uninstall", "remove":
		if i.Action == "remove" {
			h.Left = fleet.Entry{}
		} else if h.Stable.Release != "" { // else it is done once more
			h.Left = h.Stable
		}
		h.Stable, h.Removed = fleet.Entry{}, i.Action == "uninstall"
	}
	clear(h.Candidate)
	return ""
}

// back makes a tenant go back from what an intent names, and gives the artifact
// that it goes back to, "" for none.
func (s *State) back(h *Holder, i fleet.Intent) fleet.Digest {
	way := rollout.WayBackOf(s.facts.Repo, s.facts.Record, i.Tenant, i.Package, fleet.Entry{Release: i.Release, Artifact: i.Artifact})
	var candidate fleet.Digest
	for _, a := range h.Candidate {
		candidate = a.Artifact // the slot holds one release
	}
	if len(h.Candidate) == 0 && h.Stable.Artifact != i.Artifact {
		candidate = i.Artifact // withdrawn before: the content is still there
	}
	does := rollout.SlotsBackOf(way.Mode, i.Artifact, candidate, h.Stable.Artifact)
	if does.Candidate != rollout.SlotKept {
		clear(h.Candidate)
	}
	h.Removed = does.Candidate == rollout.SlotRemoves || does.Stable == rollout.SlotRemoves
	switch does.Stable {
	case rollout.SlotEmptied, rollout.SlotRemoves:
		h.Stable = fleet.Entry{}
	case rollout.SlotFilled:
		h.Stable = way.To
		return way.To.Artifact
	}
	return ""
}

// Merge is what a person does with a proposal: it becomes desired state, by a
// merge that evidence does not know of yet.
func (s *State) Merge(n int, approvers []string) error { return s.merge(n, Word{Approvers: approvers}) }

// A Word is what a proposal is merged on.
type Word struct {
	Approvers []string // logins that count
	Auto      string   // what let packmill merge it alone, "" for nothing
}

func (s *State) merge(n int, word Word) error {
	approvers := word.Approvers
	i := slices.IndexFunc(s.Pulls, func(p Pull) bool { return p.Number == n })
	if i < 0 || !s.Pulls[i].Merged.IsZero() {
		return fleet.Errorf(fleet.Invalid, "rehearsal.merge", fmt.Sprint(n), "no pull request of this number is open")
	}
	p := &s.Pulls[i]
	p.Merged = s.Now
	repo := *s.facts.Repo
	base := repo.Commit
	repo.Commit = fleet.DeriveID("commit", base, p.Branch, s.Now.String())
	m := fleet.Merge{
		PR: p.Number, Title: p.Title, Base: base, Head: fleet.DeriveID("head", base, p.Branch), Commit: repo.Commit, At: s.Now,
		Tree: fleet.DeriveID("tree", repo.Commit), BaseTree: fleet.DeriveID("tree", base), Approvers: approvers, Checks: []fleet.Check{},
	}
	for _, login := range approvers {
		m.Reviews = append(m.Reviews, fleet.Review{Login: login, State: "APPROVED", Commit: m.Head, At: s.Now})
	}
	if m.Auto = word.Auto; word.Auto != "" {
		app := repo.Operator.Trust.App
		m.Author, m.MergedBy, m.Bot, m.Approvers = app, app, true, []string{}
	}
	repo.Blobs = maps.Clone(repo.Blobs)
	if repo.Blobs == nil {
		repo.Blobs = map[string]string{}
	}
	s.bring(&repo, p.Proposal, &m)
	s.facts.Repo = &repo
	s.facts.Unrecorded = append(slices.Clip(s.facts.Unrecorded), m.Commit)
	s.pending[m.Commit] = m
	return nil
}

// Hold merges a hold or a revocation that people wrote themselves.
func (s *State) Hold(name string, h fleet.Hold) {
	s.number++
	s.Pulls = append(s.Pulls, Pull{Proposal: rollout.Proposal{Branch: rollout.BranchRevert + name, HoldName: name, Hold: &h}, Number: s.number, Title: name, Made: s.Now})
	_ = s.Merge(s.number, s.persons("")) // it is open: it was made just now
}

// bring puts what a proposal brings into a repository, and notes it on the
// merge.
func (s *State) bring(repo *fleet.Repository, p rollout.Proposal, m *fleet.Merge) {
	blob := fleet.DeriveID("blob", m.Commit)
	if p.Opens != "" {
		repo.Cycles, repo.Plans = put(repo.Cycles, p.Opens, p.Cycle), put(repo.Plans, p.Opens, p.Plans)
		plans := map[string]fleet.Plan{}
		for _, plan := range p.Previews {
			plans[plan.Gate] = plan
		}
		s.facts.Plans = put(s.facts.Plans, p.Opens, plans)
	}
	if a := p.Approval; a != nil {
		repo.Approvals = put(repo.Approvals, a.Cycle, put(repo.Approvals[a.Cycle], a.Gate, *a))
		file := fleet.ApprovalFile(a.Cycle, a.Gate)
		repo.Blobs[file] = blob
		m.Approves, m.Plan, m.ApprovalBlobs = string(a.Cycle)+"/"+a.Gate, a.Plan, map[string]string{file: blob}
	}
	for _, t := range slices.Sorted(maps.Keys(p.Answers)) {
		a := p.Answers[t]
		repo.TenantApprovals = put(repo.TenantApprovals, t, put(repo.TenantApprovals[t], a.Cycle, a))
		file := fleet.TenantApprovalFile(t, a.Cycle)
		repo.Blobs[file] = blob
		m.ApprovalBlobs = put(m.ApprovalBlobs, file, blob)
		m.Counted = put(m.Counted, file, s.speakers(t))
	}
	if p.Hold != nil {
		repo.Holds = put(repo.Holds, p.HoldName, *p.Hold)
		repo.Blobs["schedules/holds/"+p.HoldName+".cue"] = blob
		if p.Hold.Kind == "revocation" {
			m.Revokes = []fleet.Hold{*p.Hold}
		}
	}
}

// persons are as many approvers of the policy as it asks for, the named one
// first.
func (s *State) persons(first string) []string {
	repo := s.facts.Repo
	var out []string
	add := func(login string) {
		if login != "" && !slices.Contains(out, login) && repo.Approver(login, s.Now) {
			out = append(out, login)
		}
	}
	add(first)
	for _, role := range slices.Sorted(maps.Keys(repo.Operator.Approvers)) {
		for _, p := range repo.Operator.Approvers[role] {
			if len(out) < max(1, repo.Operator.Trust.Approvals) {
				add(p.Login)
			}
		}
	}
	slices.Sort(out)
	return out
}

// speakers are those who may speak for a tenant now.
func (s *State) speakers(t fleet.TenantID) []string {
	var out []string
	for _, p := range s.facts.Repo.TenantApprovers(t) {
		if p.InForce(s.Now) && !slices.Contains(out, p.Login) {
			out = append(out, p.Login)
		}
	}
	slices.Sort(out)
	return out
}

// put is a map with one more entry; the map itself is left alone.
func put[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	out := maps.Clone(m)
	if out == nil {
		out = map[K]V{}
	}
	out[k] = v
	return out
}
