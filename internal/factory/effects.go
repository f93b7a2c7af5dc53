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
	git     sync.Mutex // tenants take turns at reading the clone
	started time.Time
	begun   atomic.Int64
	total   int
}

// carryOut makes effects happen with a trace that survives being killed at any
// point, some tenants at a time: the intents of a chunk are pushed before its
// first call, main is looked at once more, and its receipts are pushed after
// what they tell. An intent that an earlier run left behind is taken up again,
// not doubled: the calls find what was made. One that another run has just begun is
// left to it. One tenant's failure does not stop the others.
//
// It gives the number of effects made. What was decided on facts that do not
// hold any longer, what ran out of time, and what is left to another run is an
// undone error: read and decide again.
func (f *Factory) carryOut(ctx context.Context, facts rollout.Facts, effects []rollout.Effect) (int, error) {
	c := &campaign{Factory: f, facts: facts, history: rollout.HistoryOf(facts.Record), started: f.Clock.Now(), total: len(effects)}
	effects, failures := c.asApproved(ctx, effects)
	left := &undone{slots: map[rollout.Slot]bool{}, theirs: map[rollout.Slot]time.Time{}, early: map[rollout.Slot]time.Time{}}
	effects, err := f.notYet(facts, effects, left)
	if err != nil {
		return 0, errors.Join(append(failures, err)...)
	}
	made := 0
	for chunks := rollout.Chunks(effects); len(chunks) > 0; chunks = chunks[1:] {
		results, err := c.chunk(ctx, chunks[0])
		if errors.Is(err, errMoved) {
			for _, chunk := range chunks {
				left.add(chunk...)
			}
			break
		}
		for _, r := range results {
			switch {
			case !r.theirs.IsZero():
				left.theirs[r.Effect.Slot()] = r.theirs
			case r.err != nil:
				failures = append(failures, r.err)
			case r.Outcome == "done":
				made++
			case c.history.Expired(r.Effect) < maxExpired:
				left.add(r.Effect)
			default:
				failures = append(failures, fleet.Errorf(fleet.Stalled, "factory.effect", string(r.Effect.Tenant), "%s of %s ran out of its %s again", r.Effect.Action, r.Effect.Package, rollout.Lease))
			}
		}
		if err != nil {
			return made, errors.Join(append(failures, err)...)
		}
	}
	f.progress(len(effects), len(effects), "done")
	if len(left.slots)+len(left.theirs)+len(left.early) > 0 {
		left.failures = errors.Join(failures...)
		return made, left
	}
	return made, errors.Join(failures...)
}

// chunk carries out the effects of some tenants. errMoved says that nobody was
// called, because what was decided may not hold any longer.
func (c *campaign) chunk(ctx context.Context, effects []rollout.Effect) ([]attempted, error) {
	if c.Clock.Now().Sub(c.started) > rollout.Lease {
		return nil, errMoved // a gate may have failed since
	}
	intents, err := c.intend(ctx, effects)
	if errors.Is(err, evidence.ErrOvertaken) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	if moved, err := c.moved(ctx, c.facts.Repo.Commit); err != nil || moved {
		return nil, errors.Join(err, movedError(moved))
	}
	results := c.calls(ctx, effects, intents)
	if ctx.Err() != nil {
		return nil, ctx.Err() // the intents stay open: the next run looks what became of them
	}
	rows := map[place][]fleet.Receipt{}
	for _, r := range results {
		if !r.theirs.IsZero() {
			continue
		}
		at := place{evidence.Shard(r.Effect.Tenant), evidence.ReceiptsDir(r.Receipt.Cycle, r.Receipt.Wave)}
		rows[at] = append(rows[at], r.Receipt)
		if r.Outcome != "done" {
			continue
		}
		for _, closed := range c.history.Superseded(r.Effect, r.At) {
			at := place{evidence.Shard(closed.Tenant), evidence.ReceiptsDir(closed.Cycle, closed.Wave)}
			rows[at] = append(rows[at], closed)
		}
	}
	return results, c.Ledger.AppendAll(ctx, batches(rows))
}

// calls attempts the effects of a chunk, in the order given for each tenant,
// and gives the results in the order of the effects however many tenants are
// served side by side.
func (c *campaign) calls(ctx context.Context, effects []rollout.Effect, intents []rollout.Written) []attempted {
	results := make([]attempted, len(effects))
	var all sync.WaitGroup
	free := make(chan struct{}, max(c.Parallel, 1))
	for from := 0; from < len(effects); {
		to := from + 1
		for to < len(effects) && effects[to].Tenant == effects[from].Tenant {
			to++
		}
		first, last := from, to
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			visit := &visit{}
			for i := first; i < last; i++ {
				e := effects[i]
				c.progress(int(c.begun.Add(1)-1), c.total, fmt.Sprintf("%s %s on %s", e.Action, e.Package, e.Tenant))
				if intents[i].Theirs {
					results[i] = attempted{Effect: e, theirs: intents[i].At.Add(rollout.Claim)}
					continue
				}
				results[i] = c.attempt(ctx, visit, e, intents[i].Intent)
				results[i].Recovered = intents[i].Left
			}
		})
		from = to
	}
	all.Wait()
	return results
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
// another run has begun and has to itself until an instant, those for which it is
// too early, and what went wrong with others.
type undone struct {
	slots    map[rollout.Slot]bool
	theirs   map[rollout.Slot]time.Time
	early    map[rollout.Slot]time.Time
	failures error
}

func (u *undone) Error() string {
	return fmt.Sprintf("%d changes on tenants must be decided anew, %d are another run's, for %d it is too early", len(u.slots), len(u.theirs), len(u.early))
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
		again, until, why := false, time.Time{}, ""
		for _, id := range a.Packages {
			at := rollout.Slot{Tenant: a.Tenant, Package: id}
			again = again || u.slots[at]
			if t := u.theirs[at]; t.After(until) {
				until, why = t, "another run has begun with "+string(a.Tenant)+"; if it is gone, the next run takes over"
			}
			if t := u.early[at]; t.After(until) {
				until, why = t, "a configuration is in force once it is assigned, so that "+string(a.Tenant)+" gets it when it is time"
			}
		}
		switch {
		case again:
			delete(tried, rollout.Key(a))
		case !until.IsZero():
			waits = append(waits, rollout.Wait{
				Cycle: a.Cycle, Wave: a.Wave, Tenants: []fleet.TenantID{a.Tenant}, Packages: a.Packages, Kind: fleet.Waiting,
				Why: why, Until: until,
			})
		default:
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
	err    error
	theirs time.Time
}

// errExpired says that the lease of an intent ended before its call began.
var errExpired = errors.New("the lease has ended")

// attempt makes one effect happen and says what came of it.
func (c *campaign) attempt(ctx context.Context, v *visit, e rollout.Effect, i fleet.Intent) attempted {
	if c.Clock.Now().After(i.NotAfter) {
		return attempted{Effect: e, Receipt: rollout.ReceiptFor(i, "expired", c.Clock.Now())}
	}
	observed, err := c.make(ctx, v, e, i)
	now := c.Clock.Now()
	if errors.Is(err, errExpired) {
		return attempted{Effect: e, Receipt: rollout.ReceiptFor(i, "expired", now)}
	}
	if err != nil {
		r := rollout.ReceiptFor(i, "failed", now)
		r.Detail = fleet.KindOf(err).String()
		return attempted{Effect: e, Receipt: r, err: fmt.Errorf("%s: %s of %s: %w", e.Tenant, e.Action, e.Package, err)}
	}
	r := rollout.ReceiptFor(i, "done", now)
	r.Observed = observed
	return attempted{Effect: e, Receipt: r}
}

// fenced is a console on which nothing is assigned after an instant: an upload
// may take long, and a way back waits no longer than the lease.
type fenced struct {
	Console
	clock fleet.Clock
	until time.Time
}

func (c fenced) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	return c.Console.Assign(ctx, id, slot, targets)
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
