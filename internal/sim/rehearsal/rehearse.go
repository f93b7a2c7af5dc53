package rehearsal

import (
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// Options say what is rehearsed.
type Options struct {
	Cycle fleet.CycleID // no other cycle is opened
	// Watch is told of every change, and ends the rehearsal with an error.
	Watch func(*State, Change) error
	// Die is asked after every change whether the runner is killed there.
	Die func(Change) bool
	// Engine sets up a runner before it runs, nil for one as production has it.
	Engine func(*Engine)
}

// A Result is what came of a rehearsal.
type Result struct {
	State  *State
	Events []view.Event
	Closed bool   // the cycle came to its end
	Why    string // it did not, and what it waits for
	Runs   int
}

// horizon is how long a rehearsal looks ahead: what has not come to its end
// five weeks later waits for a person.
const horizon = 5 * 7 * 24 * time.Hour

// Rehearse runs a cycle from where the facts end to its closing.
func Rehearse(in Input, m Model, o Options) (*Result, error) {
	r := rehearser{state: NewState(in), model: &m, o: o, result: &Result{}, told: map[string]bool{}, until: in.Now.Add(horizon)}
	r.result.State = r.state
	zone, err := calendar.Zone(in.Facts.Repo.Week.Zone)
	if err != nil {
		return nil, err
	}
	r.zone = zone
	for {
		more, err := r.next()
		if err != nil || !more {
			return r.result, err
		}
	}
}

type rehearser struct {
	state  *State
	model  *Model
	o      Options
	zone   *time.Location
	result *Result
	until  time.Time
	told   map[string]bool // proposals that the story has

	moment int       // of Runs.At that comes next
	last   time.Time // of the last run of Runs.Every
	wake   time.Time // when something may be due again; zero for at once
	failed bool      // the last run left something to be tried again
	waits  []rollout.Wait
}

// next does what comes next, a merge or a run, and reports whether there is
// more to come.
func (r *rehearser) next() (bool, error) {
	pull, merge := r.merge()
	run, ok := r.run()
	if !ok && pull == nil {
		return false, r.stuck("nobody merges anything, and packmill does not run again")
	}
	if pull != nil && (!ok || !merge.At.After(run.At)) {
		r.state.Now = merge.At
		r.wake = time.Time{}
		return true, r.merged(*pull, merge)
	}
	if run.At.After(r.until) {
		return false, r.stuck("it is not over after five weeks")
	}
	r.state.Now = run.At
	if err := r.runs(run); err != nil {
		return false, err
	}
	return r.goesOn()
}

// merge is the pull request that is merged next, nil when none ever is.
func (r *rehearser) merge() (*Pull, Moment) {
	var first *Pull
	var at Moment
	for i := range r.state.Pulls {
		p := &r.state.Pulls[i]
		rule := r.model.person(p.Branch)
		if !p.Merged.IsZero() || rule == nil || rule.Never {
			continue
		}
		if m := rule.merges(p.Made); first == nil || m.At.Before(at.At) {
			first, at = p, m
		}
	}
	return first, at
}

func (r *rehearser) merged(p Pull, at Moment) error {
	rule := r.model.person(p.Branch)
	if err := r.state.Merge(p.Number, r.state.persons(rule.Login)); err != nil {
		return err
	}
	r.result.Events = append(r.result.Events, view.Merged(at.At, at.Step, rule.Approves, rule.Merges, p.Number, p.Title))
	return nil
}

// run is the run that comes next.
func (r *rehearser) run() (Moment, bool) {
	var next Moment
	ok := false
	for r.moment < len(r.model.Runs.At) && r.model.Runs.At[r.moment].At.Before(r.state.Now) {
		r.moment++ // before the rehearsal began
	}
	if r.moment < len(r.model.Runs.At) {
		next, ok = r.model.Runs.At[r.moment], true
	}
	if every := r.model.Runs.Every.Std(); every > 0 {
		from := later(r.state.Now, r.wake)
		if !r.last.IsZero() {
			from = later(from, r.last.Add(time.Nanosecond))
		}
		at := from.Truncate(every)
		if at.Before(from) {
			at = at.Add(every)
		}
		if late := r.model.Runs.Late.Std(); late > 0 {
			at = at.Add(time.Duration(r.model.number("late", at.String()) % uint64(late)))
		}
		if !ok || at.Before(next.At) {
			next, ok = Moment{At: at, Step: "run"}, true
		}
	}
	return next, ok
}

// runs lets packmill run at a moment, and tells what it did.
func (r *rehearser) runs(at Moment) error {
	if r.moment < len(r.model.Runs.At) && at == r.model.Runs.At[r.moment] {
		r.moment++
	} else {
		r.last = at.At
	}
	e := &Engine{Name: "run", State: r.state, Model: r.model, Only: r.only}
	if r.o.Engine != nil {
		r.o.Engine(e)
	}
	r.result.Runs++
	var dead *Kill
	died := false
	for c, err := range e.Run() {
		if err != nil {
			return err
		}
		if r.o.Watch != nil {
			if err := r.o.Watch(r.state, c); err != nil {
				return err
			}
		}
		if dead = r.killed(at.Step, c); dead != nil || r.o.Die != nil && r.o.Die(c) {
			died = true
			break
		}
	}
	done, waits := e.Done()
	if died {
		done, waits = nil, nil // a dead runner tells nothing
	}
	r.waits, r.failed = waits, died
	for _, o := range done {
		r.failed = r.failed || o.Err != ""
	}
	r.tell(view.Week(view.WeekRun{At: at.At, Step: at.Step, Zone: r.zone, Facts: r.state.Facts(), Done: r.news(done)}))
	if dead != nil {
		r.result.Events = append(r.result.Events, view.Killed(at.At, at.Step, dead.Says))
	}
	r.wake = r.wakes()
	return nil
}

func (r *rehearser) tell(events []view.Event) { r.result.Events = append(r.result.Events, events...) }

// news are outcomes without the proposals that were told of already: each run
// makes sure of its open pull requests, and nothing new comes of that.
func (r *rehearser) news(done []rollout.Outcome) []rollout.Outcome {
	var out []rollout.Outcome
	for _, o := range done {
		proposal := strings.HasPrefix(o.Note, "pull request ")
		if proposal && o.Err == "" && r.told[o.Note] {
			continue
		}
		r.told[o.Note] = r.told[o.Note] || proposal
		out = append(out, o)
	}
	return out
}

// only keeps a rehearsal to its cycle: no other one is opened.
func (r *rehearser) only(a rollout.Action) bool {
	return a.Kind != rollout.OpenCycle || r.o.Cycle == "" || a.Cycle == r.o.Cycle
}

// killed is the kill that a change is the point of, nil for none.
func (r *rehearser) killed(step string, c Change) *Kill {
	for i := range r.model.Kills {
		k := &r.model.Kills[i]
		if k.Step == step && k.Chunk == c.Chunk && k.After == c.Kind {
			return k
		}
	}
	return nil
}

// wakes is the earliest instant at which something may be due that is not due
// now: what the last run waits for, and the steps of the week. A day later
// packmill looks in any case.
func (r *rehearser) wakes() time.Time {
	now := r.state.Now
	if r.failed {
		return time.Time{}
	}
	at := now.Add(24 * time.Hour)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(at) {
			at = t
		}
	}
	for _, w := range r.waits {
		if !w.Until.IsZero() && !w.Until.After(now) {
			return time.Time{}
		}
		sooner(w.Until)
	}
	for name := range r.state.facts.Repo.Week.Steps {
		if t, err := calendar.After(r.state.facts.Repo.Week, name, now); err == nil {
			sooner(t)
		}
	}
	return at
}

// goesOn reports whether the cycle has not come to its end.
func (r *rehearser) goesOn() (bool, error) {
	if r.o.Cycle == "" || len(r.state.facts.Unrecorded) > 0 {
		return true, nil
	}
	if a, ok := r.state.facts.Repo.Approvals[r.o.Cycle][rollout.CloseGate]; !ok || a.Decision != "approved" || r.failed {
		return true, nil
	}
	for _, w := range r.waits {
		if w.Cycle == r.o.Cycle && !w.Until.IsZero() {
			return true, nil
		}
	}
	cycles, err := rollout.Derive(r.state.Facts(), r.state.Now)
	if err != nil {
		return false, err
	}
	for _, c := range cycles {
		if c.ID == r.o.Cycle && c.Closed {
			r.result.Closed = true
			return false, nil
		}
	}
	return true, nil
}

func (r *rehearser) stuck(why string) error {
	r.result.Why = why
	for _, w := range r.waits {
		if w.Cycle == r.o.Cycle && w.Why != "" {
			r.result.Why = why + ": " + w.Why
		}
	}
	return nil
}
