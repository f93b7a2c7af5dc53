package factory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// spread is how many tenants more may be served at once for each that took a
// change: a run begins with a chunk and reaches hundreds within a few calls,
// so that a defect of ours is met by a handful of tenants before it is met by
// all.
const spread = 4

// A crew serves the tenants of a campaign, each by one goroutine. The intents
// of some tenants are pushed before the first call to them, main is looked at
// once more, and receipts are pushed after what they tell, while other tenants
// go on: one that is slow delays nobody but itself. What touches git or evidence
// is done by serve alone, one thing after another.
//
// A Factory that serves one tenant at a time works chunk by chunk instead: all
// intents of a chunk, its calls, its receipts, so that the same run gives the
// same bytes.
type crew struct {
	*campaign
	queue   [][]rollout.Effect // tenant by tenant, not begun
	place   map[fleet.TenantID]int
	ended   chan []attempted // of one tenant each
	active  int
	waiting [][]attempted // for their receipts, tenant by tenant

	results []attempted
	unbegun []rollout.Effect // must be decided anew
	untried []rollout.Effect // after an outage
}

func (c *campaign) crew(effects []rollout.Effect) *crew {
	w := &crew{campaign: c, place: map[fleet.TenantID]int{}}
	for _, e := range effects {
		n, known := w.place[e.Tenant]
		if !known {
			n = len(w.queue)
			w.place[e.Tenant] = n
			w.queue = append(w.queue, nil)
		}
		w.queue[n] = append(w.queue[n], e)
	}
	// After the first chunk, those with the most work begin first: nobody waits
	// for a large tenant that came last.
	if c.Parallel > 1 && len(w.queue) > rollout.ChunkTenants {
		slices.SortStableFunc(w.queue[rollout.ChunkTenants:], func(a, b []rollout.Effect) int { return len(b) - len(a) })
	}
	c.total = len(w.queue)
	w.ended = make(chan []attempted, len(w.queue))
	return w
}

// serve is done when every tenant is, or nothing more may begin. The results
// are in the order of the effects, tenant by tenant.
func (w *crew) serve(ctx context.Context) error {
	err := w.work(ctx)
	for ; w.active > 0; w.active-- { // on an error; their intents stay open
		w.results = append(w.results, <-w.ended...)
	}
	slices.SortStableFunc(w.results, func(a, b attempted) int { return w.place[a.Effect.Tenant] - w.place[b.Effect.Tenant] })
	if ctx.Err() != nil {
		return ctx.Err() // the next run looks what became of open intents
	}
	return err
}

func (w *crew) work(ctx context.Context) error {
	for {
		if why := w.toll.outage(); why != nil {
			w.untried = append(w.untried, w.stoppable()...)
		}
		switch n := w.room(); {
		case ctx.Err() != nil:
			return ctx.Err()
		case n > 0:
			err := w.begin(ctx, n)
			if errors.Is(err, errMoved) {
				w.unbegun = slices.Concat(w.queue...)
				w.queue = nil
			} else if err != nil {
				return err
			}
		case w.receiptsDue():
			if err := w.receipts(ctx); err != nil {
				return err
			}
		case w.active == 0:
			return nil
		default:
			w.take(<-w.ended)
		}
		for w.active > 0 && len(w.ended) > 0 {
			w.take(<-w.ended)
		}
	}
}

func (w *crew) take(results []attempted) {
	w.active--
	w.served.Add(1)
	w.results = append(w.results, results...)
	w.waiting = append(w.waiting, results)
}

// stops reports whether an action takes a release back, or ends a removal: that is
// tried whatever else fails.
func stops(action string) bool {
	return action == "withdraw" || action == "rollback" || action == "reinstate"
}

// stoppable takes out of the queue what an outage stops: all but what takes a
// release back.
func (w *crew) stoppable() (out []rollout.Effect) {
	var rest [][]rollout.Effect
	for _, effects := range w.queue {
		var back []rollout.Effect
		for _, e := range effects {
			if stops(e.Action) {
				back = append(back, e)
			} else {
				out = append(out, e)
			}
		}
		if len(back) > 0 {
			rest = append(rest, back)
		}
	}
	w.queue = rest
	return out
}

// room is how many tenants may begin now: a chunk's worth or nothing, since each
// beginning costs a push.
func (w *crew) room() int {
	if w.Parallel <= 1 {
		if w.active > 0 || len(w.waiting) > 0 {
			return 0
		}
		return min(rollout.ChunkTenants, len(w.queue))
	}
	most := min(w.Parallel, rollout.ChunkTenants+spread*w.toll.proven())
	free := min(most-w.active, len(w.queue))
	if free < min(rollout.ChunkTenants, most, len(w.queue)) {
		return 0
	}
	return free
}

// receiptsDue reports whether receipts are worth a push: a chunk's worth, or
// the last ones.
func (w *crew) receiptsDue() bool {
	if len(w.waiting) == 0 || w.Parallel <= 1 && w.active > 0 {
		return false
	}
	return len(w.waiting) >= rollout.ChunkTenants || w.active+len(w.queue) <= rollout.ChunkTenants
}

// begin writes the intents of the first n tenants and has them served. errMoved
// says that nobody was called, because what was decided may not hold any longer.
func (w *crew) begin(ctx context.Context, n int) error {
	if w.Clock.Now().Sub(w.started) > rollout.Lease {
		return errMoved // a gate may have failed since
	}
	chunk := w.queue[:n]
	intents, err := w.intend(ctx, slices.Concat(chunk...))
	if errors.Is(err, evidence.ErrOvertaken) {
		return errMoved
	}
	if err != nil {
		return err
	}
	if moved, err := w.moved(ctx, w.facts.Repo.Commit); err != nil || moved {
		return errors.Join(err, movedError(moved))
	}
	w.queue, w.active = w.queue[n:], w.active+n
	var visits []func()
	for _, effects := range chunk {
		own := intents[:len(effects)]
		intents = intents[len(effects):]
		visits = append(visits, func() { w.ended <- w.serveTenant(ctx, effects, own) })
	}
	if w.Parallel > 1 {
		for _, visit := range visits {
			go visit()
		}
		return nil
	}
	for _, visit := range visits {
		visit()
	}
	return nil
}

// serveTenant attempts the effects of one tenant, in their order.
func (w *crew) serveTenant(ctx context.Context, effects []rollout.Effect, intents []rollout.Written) []attempted {
	visit, results := &visit{}, make([]attempted, len(effects))
	for i, e := range effects {
		what := fmt.Sprintf("tenants, %s %s on %s", e.Action, e.Package, e.Tenant)
		if n := w.toll.failing(); n > 0 {
			what = fmt.Sprintf("%s; %d failed", what, n)
		}
		w.progress(int(w.served.Load()), w.total, what)
		if intents[i].Theirs {
			results[i] = attempted{Effect: e, theirs: intents[i].At.Add(rollout.Claim)}
			continue
		}
		ctx := ctx
		if intents[i].First() {
			ctx = fleet.WithFirst(ctx, e.Package)
		}
		results[i] = w.attempt(ctx, visit, e, intents[i].Intent)
		results[i].Recovered = intents[i].Left
	}
	return results
}

// receipts writes the receipts of the tenants that wait for them.
func (w *crew) receipts(ctx context.Context) error {
	slices.SortFunc(w.waiting, func(a, b []attempted) int { return w.place[a[0].Effect.Tenant] - w.place[b[0].Effect.Tenant] })
	rows := map[place][]fleet.Receipt{}
	for _, r := range slices.Concat(w.waiting...) {
		if !r.theirs.IsZero() {
			continue
		}
		at := place{evidence.Shard(r.Effect.Tenant), evidence.ReceiptsDir(r.Receipt.Cycle, r.Receipt.Wave)}
		rows[at] = append(rows[at], r.Receipt)
		if r.Outcome != "done" {
			continue
		}
		for _, closed := range w.history.Superseded(r.Effect, r.At) {
			at := place{evidence.Shard(closed.Tenant), evidence.ReceiptsDir(closed.Cycle, closed.Wave)}
			rows[at] = append(rows[at], closed)
		}
	}
	w.waiting = nil
	return w.Ledger.AppendAll(ctx, batches(rows))
}

// attempt makes one effect happen and says what came of it.
func (c *campaign) attempt(ctx context.Context, v *visit, e rollout.Effect, i fleet.Intent) attempted {
	if c.toll.gaveUp(e) {
		r := rollout.ReceiptFor(i, "failed", c.Clock.Now())
		r.Detail = notTried
		return attempted{Effect: e, Receipt: r, skipped: true}
	}
	if c.Clock.Now().After(i.NotAfter) {
		return attempted{Effect: e, Receipt: rollout.ReceiptFor(i, "expired", c.Clock.Now())}
	}
	observed, left, err := c.make(fleet.WithReason(ctx, reasonOf(e)), v, e, i)
	now := c.Clock.Now()
	c.toll.heard(e, err)
	if errors.Is(err, errExpired) {
		return attempted{Effect: e, Receipt: rollout.ReceiptFor(i, "expired", now)}
	}
	if err != nil {
		r := rollout.ReceiptFor(i, "failed", now)
		r.Detail = fleet.KindOf(err).String()
		if moved := (*movedSlotError)(nil); errors.As(err, &moved) {
			r.Detail, r.Left = rollout.Moved, map[string]string{moved.slot: moved.found}
		}
		err = fmt.Errorf("%s: %s of %s: %w", e.Tenant, e.Action, e.Package, err)
		if errors.Is(err, fleet.ErrAwaitsApproval) {
			r.Detail = fleet.Waiting.String()
			err = &heldError{e, err}
		}
		return attempted{Effect: e, Receipt: r, err: err}
	}
	r := rollout.ReceiptFor(i, "done", now)
	r.Observed, r.Left, r.Adopted = observed, left, e.Adopts
	return attempted{Effect: e, Receipt: r}
}
