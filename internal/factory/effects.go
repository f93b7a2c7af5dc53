package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An effect is one change of one package on one tenant that is to be made.
type effect struct {
	action   string // assign, withdraw, rollback, promote
	cycle    fleet.CycleID
	wave     string
	tenant   fleet.TenantID
	pkg      fleet.PackageID
	entry    fleet.Entry
	opens    time.Time
	deadline time.Time
	local    bool
	plan     fleet.Digest
	reason   string
}

// carryOut makes effects happen with a trace that survives being killed at any
// point: every intent is pushed before the first call, main is looked at once
// more, and a tenant's receipts are pushed after what they tell. An intent that
// an earlier run left behind is taken up again, not doubled: the calls find
// what was made. One tenant's failure does not stop the others.
func (f *Factory) carryOut(ctx context.Context, facts rollout.Facts, effects []effect) error {
	intents, err := f.intend(ctx, facts, effects)
	if err != nil {
		return err
	}
	if moved, err := f.moved(ctx, facts.Repo.Commit); err != nil || moved {
		return errors.Join(err, movedError(moved))
	}
	var failures []error
	visits := map[fleet.TenantID]*visit{}
	for from := 0; from < len(effects); {
		to := from + 1
		for to < len(effects) && effects[to].tenant == effects[from].tenant && effects[to].wave == effects[from].wave {
			to++
		}
		receipts := make([]fleet.Receipt, 0, to-from)
		for i := from; i < to; i++ {
			e := effects[i]
			f.progress(i, len(effects), fmt.Sprintf("%s %s on %s", e.action, e.pkg, e.tenant))
			r := f.attempt(ctx, facts, visits, e, intents[i].Intent)
			r.Recovered = intents[i].left
			receipts = append(receipts, r.Receipt)
			if r.err != nil {
				failures = append(failures, r.err)
			}
		}
		e := effects[from]
		if err := f.Ledger.Append(ctx, evidence.Shard(e.tenant), evidence.ReceiptsDir(e.cycle, e.wave), receipts); err != nil {
			return errors.Join(append(failures, err)...)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		from = to
	}
	f.progress(len(effects), len(effects), "done")
	return errors.Join(failures...)
}

// errMoved says that main changed while intents were written: read and decide
// again before calling anyone.
var errMoved = errors.New("main has moved since the decision")

func movedError(moved bool) error {
	if moved {
		return errMoved
	}
	return nil
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

// a written is an intent, and whether an earlier run left it without a
// receipt.
type written struct {
	fleet.Intent
	left bool
}

// intend writes the intents of effects, one batch for each shard, and gives
// them in the order of effects.
func (f *Factory) intend(ctx context.Context, facts rollout.Facts, effects []effect) ([]written, error) {
	now := f.Clock.Now()
	out := make([]written, len(effects))
	fresh := map[place][]fleet.Intent{}
	expired := map[place][]fleet.Receipt{}
	for i, e := range effects {
		open, generation := openIntent(facts.Record, e)
		if open != nil && !open.NotAfter.Before(now) {
			out[i] = written{*open, true}
			continue
		}
		branch := evidence.Shard(e.tenant)
		if open != nil {
			at := place{branch, evidence.ReceiptsDir(e.cycle, e.wave)}
			expired[at] = append(expired[at], receiptFor(*open, "expired", now))
		}
		out[i] = written{Intent: intentFor(e, generation+1, facts.Repo.Commit, now)}
		at := place{branch, evidence.IntentsDir(e.cycle, e.wave)}
		fresh[at] = append(fresh[at], out[i].Intent)
	}
	return out, f.Ledger.AppendAll(ctx, append(batches(expired), batches(fresh)...))
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

// openIntent is the intent of the same effect that has no receipt, and the
// highest generation of the package on the tenant so far.
func openIntent(rec *fleet.Record, e effect) (open *fleet.Intent, generation int) {
	for i := range rec.Intents {
		in := &rec.Intents[i]
		if in.Tenant != e.tenant || in.Package != e.pkg {
			continue
		}
		generation = max(generation, in.Generation)
		if in.Cycle == e.cycle && in.Wave == e.wave && in.Artifact == e.entry.Artifact && in.Action == e.action &&
			!slices.ContainsFunc(rec.Receipts, func(r fleet.Receipt) bool { return r.Intent == in.ID }) {
			open = in
		}
	}
	return open, generation
}

func intentFor(e effect, generation int, main string, now time.Time) fleet.Intent {
	return fleet.Intent{
		ID: fleet.DeriveID("intent", string(e.cycle), e.wave, string(e.tenant), string(e.pkg), string(e.entry.Artifact), e.action,
			strconv.Itoa(generation)),
		Cycle: e.cycle, Wave: e.wave, Tenant: e.tenant, Package: e.pkg, Release: e.entry.Release, Artifact: e.entry.Artifact,
		Action: e.action, Generation: generation, Main: main, Plan: e.plan, Opens: e.opens, Deadline: e.deadline,
		NotAfter: now.Add(rollout.Lease), Reason: e.reason, At: now,
	}
}

func receiptFor(i fleet.Intent, outcome string, now time.Time) fleet.Receipt {
	return fleet.Receipt{
		Intent: i.ID, Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Artifact: i.Artifact,
		Action: i.Action, Outcome: outcome, At: now,
	}
}

type attempted struct {
	fleet.Receipt
	err error
}

// attempt makes one effect happen and says what came of it.
func (f *Factory) attempt(ctx context.Context, facts rollout.Facts, visits map[fleet.TenantID]*visit, e effect, i fleet.Intent) attempted {
	if f.Clock.Now().After(i.NotAfter) {
		return attempted{Receipt: receiptFor(i, "expired", f.Clock.Now())}
	}
	observed, err := f.effect(ctx, facts, visits, e, i)
	now := f.Clock.Now()
	if err != nil {
		r := receiptFor(i, "failed", now)
		r.Detail = fleet.KindOf(err).String()
		return attempted{r, fmt.Errorf("%s: %s of %s: %w", e.tenant, e.action, e.pkg, err)}
	}
	r := receiptFor(i, "done", now)
	r.Observed = observed
	return attempted{Receipt: r}
}
