package factory

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// checkParallel is how many tenants are looked at side by side: they have limits
// of their own, so that more would only cost memory here.
const checkParallel = 16

// readyFor is how long what was recorded of a tenant is new enough for a run.
const readyFor = 24 * time.Hour

// checkPatience is how long a look at one tenant may take: it delays nobody else,
// but somebody waits for the whole.
const checkPatience = 5 * time.Minute

// CheckTenants looks at tenants side by side and changes nothing there. The
// result has one entry for each, in their order; one that cannot be reached is
// among them, and keeps nobody waiting but its own entry.
func (f *Factory) CheckTenants(ctx context.Context, tenants []fleet.Tenant) ([]fleet.Readiness, error) {
	if f.Look == nil {
		return nil, fleet.Errorf(fleet.Invalid, "factory.check", "", "no connection to tenants is configured")
	}
	out := make([]fleet.Readiness, len(tenants))
	parallel := checkParallel
	if f.Parallel == 0 {
		parallel = 1 // a clock that stands is moved by whoever waits
	}
	free := make(chan struct{}, parallel)
	var all sync.WaitGroup
	var done atomic.Int64
	for i, t := range tenants {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			within, cancel := context.WithTimeout(ctx, checkPatience)
			defer cancel()
			out[i] = f.Look(within, t)
			out[i].Tenant = t.ID
			f.progress(int(done.Add(1)), len(tenants), "looked at "+string(t.ID))
		})
	}
	all.Wait()
	return out, ctx.Err()
}

// RecordReadiness keeps what looks at tenants found, but for those that could not
// be reached: of them nothing is known.
func (f *Factory) RecordReadiness(ctx context.Context, list []fleet.Readiness) error {
	rows := map[place][]fleet.Readiness{}
	for _, r := range list {
		if r.State == fleet.ReadyUnreachable {
			continue
		}
		at := place{evidence.Shard(r.Tenant), evidence.ReadinessDir(r.Tenant)}
		rows[at] = append(rows[at], r)
	}
	if len(rows) == 0 {
		return nil
	}
	return f.Ledger.AppendAll(ctx, batches(rows))
}

// RefreshReadiness looks at those tenants again of which nothing was recorded for
// a day, and records what it finds.
func (f *Factory) RefreshReadiness(ctx context.Context, repo *fleet.Repository) error {
	rec, err := f.Ledger.Read(ctx)
	if err != nil {
		return err
	}
	newest := newestReadiness(rec)
	var stale []fleet.Tenant
	for _, id := range repo.TenantIDs() {
		if t := repo.Tenants[id]; t.Intune != nil && f.Clock.Now().Sub(newest[id].At) >= readyFor {
			stale = append(stale, t)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	list, err := f.CheckTenants(ctx, stale)
	return errors.Join(err, f.RecordReadiness(ctx, list))
}

// newestReadiness is what was last recorded of each tenant.
func newestReadiness(rec *fleet.Record) map[fleet.TenantID]fleet.Readiness {
	out := map[fleet.TenantID]fleet.Readiness{}
	for _, r := range rec.Readiness {
		if known, ok := out[r.Tenant]; !ok || r.At.After(known.At) {
			out[r.Tenant] = r
		}
	}
	return out
}

// An Adapter is a console that does without what its tenant was found to lack.
type Adapter interface {
	Adapt(r fleet.Readiness)
}
