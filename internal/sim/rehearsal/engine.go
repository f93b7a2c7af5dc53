package rehearsal

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// An Engine is one runner of packmill. Its zero guards are those of production;
// a test takes one away and sees which invariant breaks.
type Engine struct {
	Name  string // told with every change, for who watches two of them
	State *State
	Model *Model

	// Step decides; nil is rollout.Step.
	Step func(rollout.Facts, time.Time) ([]rollout.Action, []rollout.Wait, error)
	// Verdict judges the counts of one entry at one look; nil is the gate's.
	Verdict func(facts rollout.Facts, a rollout.Action, id fleet.PackageID, reports []fleet.Report) (fleet.Verdict, error)
	// Only says which actions the runner takes; nil is all.
	Only func(rollout.Action) bool
	// Without are guards that this runner does not have.
	Without Guards

	done  []rollout.Outcome // of the run under way
	waits []rollout.Wait
	chunk int // of changes on tenants in this run
	yield func(Change, error) bool
}

// Guards are what keeps a runner from doing harm when it is late, one at a
// time to be taken away.
type Guards struct {
	Lease  bool // that a call begins within the lease of its intent
	Again  bool // that main is looked at once more before calls
	Intent bool // that an intent is written before a call
	Taken  bool // that an intent which an earlier run left is taken up, and not doubled
	Expiry bool // that a run decides anew when its decision has become old
}

// The kinds of Change, beside those of writes, which are named after what is
// written.
const (
	CallMade  = "call"     // a tenant was changed
	PullMade  = "pull"     // a pull request was opened
	Intents   = "intents"  // of one chunk of tenants
	Receipts  = "receipts" // of one chunk of tenants
	Verdicts  = "verdicts"
	Reports   = "reports"
	Members   = "members"
	PlanRows  = "plan"
	Started   = "start"
	Merges    = "merges"
	Inventory = "inventory"
	Notices   = "notices"
	Mill      = "mill" // detections, builds, tests
	Heartbeat = "heartbeat"
)

// A Change is one thing that an engine has just done: one push to evidence, one
// call to a tenant, one pull request. A runner may be killed after any of them.
type Change struct {
	Runner string
	Kind   string
	Action string // rollout kind of what it was done for
	At     time.Time
	Chunk  int // of tenants, from 1 within the run; 0 for what is not done in chunks
	Call   *Call
}

// errStopped says that whoever watches a run has ended it.
var errStopped = errors.New("the runner was killed")

// Run is one run at the state's clock: it decides, does what is due and asks
// again until nothing new is due. It yields every change after it was made.
// Ending the loop early is the death of the runner at that point: what is in
// the state then stays so.
func (e *Engine) Run() iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		e.done, e.waits, e.chunk, e.yield = nil, nil, 0, yield
		if err := e.run(); err != nil && !errors.Is(err, errStopped) {
			yield(Change{Runner: e.Name, At: e.State.Now}, err)
		}
	}
}

// Done are the outcomes of the last run, and what it left to wait for. Of a run
// that was killed it is what came to its end before.
func (e *Engine) Done() ([]rollout.Outcome, []rollout.Wait) { return e.done, e.waits }

// maxRounds bounds how often a run asks; see factory.
const maxRounds = 200

func (e *Engine) run() error {
	tried := map[string]bool{}
	step := e.Step
	if step == nil {
		step = rollout.Step
	}
	for range maxRounds {
		facts := e.State.Facts()
		actions, waits, err := step(facts, e.State.Now)
		if err != nil {
			return err
		}
		e.waits = waits
		batch := rollout.Batch(actions, tried, e.allowed)
		if len(batch) == 0 {
			return nil
		}
		note, err := e.do(facts, batch)
		if errors.Is(err, errStopped) {
			return err
		}
		var u *undone
		if errors.As(err, &u) {
			batch, err = u.settle(tried, batch)
		}
		for _, a := range batch {
			o := rollout.Outcome{Action: a, Note: note}
			if err != nil {
				o.Err = err.Error()
			}
			e.done = append(e.done, o)
		}
	}
	return fleet.Errorf(fleet.Internal, "rehearsal.run", "", "still not at rest after %d rounds; another run may be at work", maxRounds)
}

func (e *Engine) allowed(a rollout.Action) bool { return e.Only == nil || e.Only(a) }

// tell says that something was done. Everything that a reader of evidence could
// see has then been seen to be written.
func (e *Engine) tell(kind, action string, call *Call) error {
	s := e.State
	s.changes++
	if kind != CallMade && kind != PullMade {
		s.facts.Record.Heads = put(s.facts.Record.Heads, "evidence/control", fleet.DeriveID("head", s.facts.Record.Heads["evidence/control"], kind, fmt.Sprint(s.changes)))
	}
	c := Change{Runner: e.Name, Kind: kind, Action: action, At: s.Now, Call: call}
	if kind == Intents || kind == Receipts || kind == CallMade {
		c.Chunk = e.chunk
	}
	if !e.yield(c, nil) {
		return errStopped
	}
	return nil
}

// do carries out a batch of actions of one kind and says in one line what came
// of it, in the words of factory.
func (e *Engine) do(facts rollout.Facts, batch []rollout.Action) (string, error) {
	a := batch[0]
	switch a.Kind {
	case rollout.RecordMerge:
		return fmt.Sprintf("%d merges recorded", len(batch)), e.recordMerges(batch)
	case rollout.Detect:
		return "", e.beat("detect", facts)
	case rollout.Build:
		return "", e.build(facts, batch)
	case rollout.Test:
		return "", e.test(facts, batch)
	case rollout.TakeInventory:
		return fmt.Sprintf("devices of %d tenants read", len(batch)), e.inventory(facts, batch)
	case rollout.StartWave:
		return "membership frozen", e.start(facts, a)
	case rollout.Deploy, rollout.Withdraw, rollout.RollBack, rollout.Promote, rollout.Uninstall, rollout.Reinstate, rollout.Remove, rollout.Restore:
		made, err := e.carryOut(facts, batch)
		return fmt.Sprintf("%d changes on tenants", made), err
	case rollout.Judge:
		return e.judge(facts, a)
	case rollout.Announce:
		return e.announce(facts, a)
	default:
		return e.propose(facts, a)
	}
}

// recordMerges writes what is known of merges, in a chain.
func (e *Engine) recordMerges(batch []rollout.Action) error {
	s := e.State
	rec := s.facts.Record
	rows := rec.Merges
	for _, a := range batch {
		m, ok := s.pending[a.Commit]
		if !ok {
			return fleet.Errorf(fleet.Invalid, "rehearsal.merges", a.Commit, "nothing is known of this merge")
		}
		if slices.ContainsFunc(rows, func(r fleet.Merge) bool { return r.Commit == a.Commit }) {
			continue // the other runner was first
		}
		if n := len(rows); n > 0 {
			m.Previous = rows[n-1].Commit
		}
		rows = append(rows, m)
	}
	rec.Merges = rows
	s.facts.Unrecorded = slices.DeleteFunc(slices.Clone(s.facts.Unrecorded), func(c string) bool {
		return slices.ContainsFunc(rows, func(r fleet.Merge) bool { return r.Commit == c })
	})
	return e.tell(Merges, rollout.RecordMerge, nil)
}

// autoMerge merges a pull request of packmill's own, as policy lets it.
func (e *Engine) autoMerge(facts rollout.Facts, a rollout.Action) (string, error) {
	p, auto, err := rollout.Proposal{}, rollout.AutoAdvance, error(nil)
	if len(a.Packages) > 0 {
		p, auto = rollout.Revoking(facts, a), rollout.AutoRevoke
	} else if p, err = rollout.Approving(facts, a.Cycle, a.Wave); err != nil {
		return "", err
	}
	s := e.State
	i := slices.IndexFunc(s.Pulls, func(x Pull) bool { return x.Branch == p.Branch && x.Merged.IsZero() })
	if i < 0 {
		return "no pull request of " + p.Branch + " is open yet", nil
	}
	if err := s.merge(s.Pulls[i].Number, Word{Auto: auto}); err != nil {
		return "", err
	}
	return fmt.Sprintf("merged by itself, pull request %d: %s", s.Pulls[i].Number, s.Pulls[i].Title), e.tell(PullMade, a.Kind, nil)
}

// propose opens a pull request, or finds the one that is open.
func (e *Engine) propose(facts rollout.Facts, a rollout.Action) (string, error) {
	var p rollout.Proposal
	var err error
	switch a.Kind {
	case rollout.OpenCycle:
		p, err = e.opening(facts, a)
	case rollout.ProposeApproval:
		p, err = rollout.Approving(facts, a.Cycle, a.Wave)
	case rollout.ProposeClose:
		p = rollout.Closing(facts, a.Cycle)
	case rollout.ProposeRevoke:
		p = rollout.Revoking(facts, a)
	case rollout.ProposeTenantApprovals:
		if p, err = rollout.Answering(facts, a.Cycle, a.Partner); err == nil && len(p.Answers) == 0 {
			return "", nil
		}
	case rollout.AutoMerge:
		return e.autoMerge(facts, a)
	default:
		err = fleet.Errorf(fleet.Internal, "rehearsal.run", a.Kind, "no such kind of action")
	}
	if err != nil {
		return "", err
	}
	s := e.State
	i := slices.IndexFunc(s.Pulls, func(x Pull) bool { return x.Branch == p.Branch && x.Merged.IsZero() })
	if i < 0 {
		s.number++
		s.Pulls = append(s.Pulls, Pull{Proposal: p, Number: s.number, Title: view.Title(facts.Repo, p), Made: s.Now})
		i = len(s.Pulls) - 1
		if err := e.tell(PullMade, a.Kind, nil); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("pull request %d: %s", s.Pulls[i].Number, s.Pulls[i].Title), nil
}
