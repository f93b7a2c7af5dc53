package factory_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// TestOneSlowTenantDelaysNobody looks at forty tenants of which one never answers
// until all others have.
func TestOneSlowTenantDelaysNobody(t *testing.T) {
	var tenants []fleet.Tenant
	for i := range 40 {
		tenants = append(tenants, fleet.Tenant{ID: fleet.TenantID(fmt.Sprintf("p/t%02d", i))})
	}
	var answered atomic.Int32
	others := make(chan struct{})
	f := &factory.Factory{Parallel: 4, Look: func(ctx context.Context, tenant fleet.Tenant) fleet.Readiness {
		if tenant.ID == "p/t00" {
			select {
			case <-others:
			case <-ctx.Done():
			}
			return fleet.Readiness{State: fleet.ReadyUnreachable}
		}
		if answered.Add(1) == int32(len(tenants)-1) {
			close(others)
		}
		return fleet.Readiness{State: fleet.ReadyYes}
	}}
	list, err := f.CheckTenants(t.Context(), tenants)
	if err != nil || len(list) != len(tenants) {
		t.Fatal(len(list), err)
	}
	for i, r := range list {
		if r.Tenant != tenants[i].ID || (r.State == fleet.ReadyYes) != (i > 0) {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// TestReadinessOnceADay records what is not known, or known for a day, of tenants
// that have a connection, and nothing of one that does not answer.
func TestReadinessOnceADay(t *testing.T) {
	c := newCourt(t, "failed")
	repo := c.facts.Repo
	clock := c.Clock.(*fleet.ManualClock)
	for _, id := range []fleet.TenantID{near, far} {
		tenant := repo.Tenants[id]
		tenant.Intune = &fleet.Intune{Directory: string(id)}
		repo.Tenants[id] = tenant
	}
	repo.Tenants["alpine/site"] = fleet.Tenant{ID: "alpine/site"} // on-site consoles alone
	var mu sync.Mutex
	var looked []fleet.TenantID
	c.Look = func(_ context.Context, tenant fleet.Tenant) fleet.Readiness {
		mu.Lock()
		defer mu.Unlock()
		looked = append(looked, tenant.ID)
		r := fleet.Readiness{State: fleet.ReadyYes, At: clock.Now(), Features: map[string]string{fleet.FeatureArchitectures: fleet.FeatureNo}}
		if tenant.ID == far {
			r.State = fleet.ReadyUnreachable
		}
		return r
	}
	for step, tt := range []struct {
		after time.Duration
		want  []fleet.TenantID
		rows  int
	}{{0, []fleet.TenantID{near, far}, 1}, {time.Hour, []fleet.TenantID{far}, 1}, {24 * time.Hour, []fleet.TenantID{near, far}, 2}} {
		looked = nil
		clock.Set(clock.Now().Add(tt.after))
		if err := c.RefreshReadiness(t.Context(), repo); err != nil {
			t.Fatal(err)
		}
		rec, err := c.Ledger.Read(t.Context())
		slices.Sort(looked)
		if err != nil || !slices.Equal(looked, tt.want) || len(rec.Readiness) != tt.rows || rec.Readiness[0].Tenant != near {
			t.Errorf("step %d: looked at %v, %d rows (%v)", step, looked, len(rec.Readiness), err)
		}
	}
}
