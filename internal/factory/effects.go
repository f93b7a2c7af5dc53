package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// maxExpired is how often one effect may run out of its lease before a run
// gives it up: what it uploaded is kept, so that the next try is shorter.
const maxExpired = 2

// A campaign is a batch of effects that is being carried out.
type campaign struct {
	*Factory
	facts   rollout.Facts
	history *rollout.History
	ready   map[fleet.TenantID]fleet.Readiness // as last recorded
	started time.Time
	toll    *toll
	served  atomic.Int64 // tenants that are done with
	total   int          // tenants

	texts   sync.Mutex
	scripts map[string]string                // of packages, as main has them
	checked map[fleet.Digest]fleet.PackageID // artifacts whose provenance was verified
}

// carryOut makes effects happen with a trace that survives being killed at any
// point, many tenants side by side (crew). An intent that an earlier run left
// behind is taken up again, not doubled: the calls find what was made. One that
// another run has just begun is left to it. One tenant's failure does not stop
// the others, unless many fail alike (toll).
//
// It gives the number of effects made. What was decided on facts that do not
// hold any longer, what ran out of time, and what is left to another run is an
// undone error: read and decide again.
func (f *Factory) carryOut(ctx context.Context, facts rollout.Facts, effects []rollout.Effect) (int, error) {
	c := &campaign{
		Factory: f, facts: facts, history: rollout.HistoryOf(facts.Record), ready: newestReadiness(facts.Record), started: f.Clock.Now(), toll: f.toll,
		scripts: map[string]string{}, checked: map[fleet.Digest]fleet.PackageID{},
	}
	if c.toll == nil {
		c.toll = newToll()
	}
	effects, failures := c.asApproved(ctx, effects)
	effects, early, err := c.early(effects)
	if err != nil {
		return 0, errors.Join(append(failures, err)...)
	}
	w := c.crew(effects)
	served := w.serve(ctx)
	left := &undone{slots: map[rollout.Slot]bool{}, theirs: map[rollout.Slot]time.Time{}, early: early}
	left.add(w.unbegun...)
	made := 0
	for _, r := range w.results {
		switch {
		case !r.theirs.IsZero():
			left.theirs[r.Effect.Slot()] = r.theirs
			c.toll.wait(r.Effect, "another run has begun with it")
		case r.skipped:
			c.toll.skip(r.Effect)
		case r.err != nil:
			failures = append(failures, r.err)
			c.toll.fail(r.Effect, r.err)
		case r.Outcome == "done":
			made++
			c.toll.done(r.Effect)
		case c.history.Expired(r.Effect) < maxExpired:
			left.add(r.Effect)
		default:
			err := fleet.Errorf(fleet.Stalled, "factory.effect", string(r.Effect.Tenant), "%s of %s ran out of its %s again", r.Effect.Action, r.Effect.Package, rollout.Lease)
			failures = append(failures, err)
			c.toll.fail(r.Effect, err)
		}
	}
	if served != nil {
		return made, errors.Join(append(failures, served)...)
	}
	f.progress(c.total, c.total, "done")
	for _, e := range w.untried {
		c.toll.skip(e)
	}
	if len(left.slots)+len(left.theirs)+len(left.early) > 0 {
		left.failures = errors.Join(failures...)
		return made, left
	}
	return made, errors.Join(failures...)
}

// errMoved says that main or evidence changed while intents were written, or that
// the decision has become old: read and decide again before calling anyone.
var errMoved = errors.New("main or evidence has moved since the decision")

func movedError(moved bool) error {
	if moved {
		return errMoved
	}
	return nil
}

// undone are effects that were not made and must be decided anew, those that
// another run has begun and has to itself until an instant, those whose time has
// not come, and what went wrong with others.
type undone struct {
	slots    map[rollout.Slot]bool
	theirs   map[rollout.Slot]time.Time
	early    map[rollout.Slot]time.Time // whose time comes then
	failures error
}

func (u *undone) Error() string {
	return fmt.Sprintf("%d changes on tenants must be decided anew, %d are another run's, %d are too early", len(u.slots), len(u.theirs), len(u.early))
}

func (u *undone) Unwrap() error { return u.failures }

func (u *undone) add(effects ...rollout.Effect) {
	for _, e := range effects {
		u.slots[e.Slot()] = true
	}
}

// settle takes the actions out of a batch that a run must decide anew, so that
// it may try them again, and those that another run has begun, of which it makes
// waits. It gives the others with what went wrong with them.
func settle(tried map[string]bool, batch []rollout.Action, err error) ([]rollout.Action, []rollout.Wait, error) {
	var u *undone
	if !errors.As(err, &u) {
		return batch, nil, err
	}
	var out []rollout.Action
	var waits []rollout.Wait
	for _, a := range batch {
		again, until := false, time.Time{}
		early := u.tooEarly(a)
		for _, id := range a.Packages {
			at := rollout.Slot{Tenant: a.Tenant, Package: id}
			again = again || u.slots[at]
			if t := u.theirs[at]; t.After(until) {
				until = t
			}
		}
		switch {
		case again:
			delete(tried, rollout.Key(a))
		case !until.IsZero():
			waits = append(waits, rollout.Wait{
				Cycle: a.Cycle, Wave: a.Wave, Tenants: []fleet.TenantID{a.Tenant}, Packages: a.Packages, Kind: fleet.Waiting,
				Why: "another run has begun with " + string(a.Tenant) + "; if it is gone, the next run takes over", Until: until,
			})
		default:
			if len(early.Packages) > 0 {
				waits = append(waits, early)
			}
			if len(early.Packages) == len(a.Packages) {
				continue
			}
			out = append(out, a)
		}
	}
	return out, waits, u.failures
}

// moved reports whether main is no longer at the commit decisions were made
// on. It narrows the window in which a revocation could be missed; the lease
// of every intent closes it.
func (f *Factory) moved(ctx context.Context, commit string) (bool, error) {
	if err := f.Git.Fetch(ctx); err != nil {
		return false, err
	}
	now, err := f.Git.Main()
	return now != commit, err
}

// intend writes the intents of effects, one batch for each shard, and gives
// them in the order of effects. It fails with evidence.ErrOvertaken when another
// run may have written intents of the same effects.
func (c *campaign) intend(ctx context.Context, effects []rollout.Effect) ([]rollout.Written, error) {
	all, fresh, expired := c.history.Intend(effects, c.Runner, c.facts.Repo.Commit, c.Clock.Now())
	intents, receipts := map[place][]fleet.Intent{}, map[place][]fleet.Receipt{}
	for _, i := range fresh {
		at := place{evidence.Shard(i.Tenant), evidence.IntentsDir(i.Cycle, i.Wave)}
		intents[at] = append(intents[at], i)
	}
	for _, r := range expired {
		at := place{evidence.Shard(r.Tenant), evidence.ReceiptsDir(r.Cycle, r.Wave)}
		receipts[at] = append(receipts[at], r)
	}
	return all, c.Ledger.AppendNext(ctx, append(batches(receipts), batches(intents)...))
}

// A place is a folder of an evidence branch.
type place struct{ branch, dir string }

// batches are rows by place, in the order of the places.
func batches[T any](rows map[place][]T) []evidence.Batch {
	places := slices.SortedFunc(maps.Keys(rows), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.branch, b.branch), cmp.Compare(a.dir, b.dir))
	})
	out := make([]evidence.Batch, len(places))
	for i, p := range places {
		out[i] = evidence.Batch{Branch: p.branch, Dir: p.dir, Rows: rows[p]}
	}
	return out
}

// An attempted effect is its receipt, and the error behind an outcome "failed".
// One that is another run's until an instant has no receipt of this one.
type attempted struct {
	rollout.Effect
	fleet.Receipt
	err     error
	theirs  time.Time
	skipped bool // not tried, because the tenant fails again and again
}

// errExpired says that the lease of an intent ended before its call began.
var errExpired = errors.New("the lease has ended")

// fenced is a console on which nothing is begun after an instant: an upload may
// take long, and a way back waits no longer than the lease. What is under way then
// the effect's context ends (leased). It notes what the slots of the effect's
// package hold.
type fenced struct {
	Console
	clock  fleet.Clock
	until  time.Time
	states slotStates
	blind  map[string]bool // slots that were changed and never read
}

func (c fenced) Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	if s, known := c.states[slot]; known {
		return s, nil
	}
	s, err := c.Console.Observe(ctx, id, slot)
	if err == nil {
		c.states[slot] = s
	}
	return s, err
}

func (c fenced) Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error) {
	if c.clock.Now().After(c.until) {
		return fleet.AppState{}, errExpired
	}
	s, err := c.Console.Publish(ctx, app, content)
	if err == nil {
		c.states[app.Slot] = s
	}
	return s, err
}

func (c fenced) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	if err := c.Console.Assign(ctx, id, slot, targets); err != nil {
		return err
	}
	c.assigned(ctx, id, slot, targets)
	return nil
}

// Stop is Assign without targets, which nothing in the tenant may keep back.
func (c fenced) Stop(ctx context.Context, id fleet.PackageID, slot string) error {
	s, ok := c.Console.(Stopper)
	if !ok {
		return c.Assign(ctx, id, slot, nil)
	}
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	if err := s.Stop(ctx, id, slot); err != nil {
		return err
	}
	c.assigned(ctx, id, slot, nil)
	return nil
}

// assigned notes what a slot is assigned to from now on. A console that does not
// tell targets as they were given is asked; a slot it cannot tell of is unknown.
func (c fenced) assigned(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) {
	s, known := c.states[slot]
	s.Targets = targets
	if k, ok := c.Console.(byKind); known && ok && !k.tells(id) {
		var err error
		s, err = c.Console.Observe(ctx, id, slot)
		known = err == nil
	}
	if known {
		c.states[slot] = s
		return
	}
	delete(c.states, slot)
	c.blind[slot] = true
}

func (c fenced) Probe(ctx context.Context, p fleet.DeviceProbe) error {
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	return c.Console.Probe(ctx, p)
}

func (c fenced) Unprobe(ctx context.Context, id fleet.PackageID) error {
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	return c.Console.Unprobe(ctx, id)
}
