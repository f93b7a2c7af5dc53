package factory_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

// A tellingConsole tells of one app, when it is let.
type tellingConsole struct {
	factory.Console
	tell func(ctx context.Context) error
}

func (c tellingConsole) Objects(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	return []fleet.PartState{{ID: "a", Package: thePkg, Kind: fleet.PartApp, Slot: fleet.Stable, Version: "1"}}, nil, c.tell(ctx)
}

// TestDriftReadsSideBySide has a tenant answer only when all others have: it keeps
// none of them back, no more are read at once than is allowed, and the report's
// order is that of the tenants' ids.
func TestDriftReadsSideBySide(t *testing.T) {
	const tenants, most = 12, 3
	w := newEffectWorld(t, tenants)
	for _, id := range w.tenants {
		tenant := w.repo.Tenants[id]
		tenant.Intune = &fleet.Intune{Directory: string(id)}
		w.repo.Tenants[id] = tenant
	}
	var mu sync.Mutex
	now, peak, told := 0, 0, 0
	others := make(chan struct{})
	slow := w.tenants[0]
	w.Parallel = most
	w.Consoles = func(_ context.Context, tenant fleet.Tenant) (factory.Console, error) {
		return tellingConsole{tell: func(ctx context.Context) error {
			mu.Lock()
			now++
			peak = max(peak, now)
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				now--
				if told++; told == tenants-1 {
					close(others)
				}
			}()
			if tenant.ID == slow {
				select {
				case <-others:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if tenant.ID == w.tenants[5] {
				return fmt.Errorf("out of reach")
			}
			return nil
		}}, nil
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second) // a report that waits would wait for ever
	defer stop()
	r, err := w.Drift(ctx, rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, "")
	if err != nil {
		t.Fatal(err)
	}
	var order []fleet.TenantID
	for _, o := range r.Objects {
		order = append(order, o.Tenant)
	}
	want := slices.Delete(slices.Clone(w.repo.TenantIDs()), 5, 6)
	if !slices.Equal(order, want) || len(r.Unread) != 1 || !strings.Contains(r.Unread[w.tenants[5]], "out of reach") || peak > most {
		t.Errorf("order %v, unread %v, %d at once", order, r.Unread, peak)
	}
}

type (
	simApps    = intune.Client
	simUpdates = updates.Client
)

// An updateConsole is a tenant as a run connects to it, for what Windows Update
// delivers.
type updateConsole struct {
	*simApps
	*simUpdates
}

// TestDriftOfUpdates: that a person took the wave off an update policy is seen, and
// that he deleted it.
func TestDriftOfUpdates(t *testing.T) {
	w, _ := patchWorld(t)
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Intune = &fleet.Intune{Directory: aDirectory}
	w.repo.Tenants[tenant.ID] = tenant
	w.clock.Set(buildTime.AddDate(0, 0, 1))
	server, err := graph.New(graph.Options{Dir: t.TempDir(), Now: w.clock.Now, Seed: 1, Observer: func(event.Event) {}, Tenants: []graph.Tenant{{Directory: aDirectory, Devices: []graph.Device{{Name: "PC-1", OSVersion: "10.0.22631"}}}},
		Updates: graph.Updates{Patches: []graph.Patch{{KB: "KB5068861", Name: "2026.11 B", Short: "2026.11 B", Released: buildTime.AddDate(0, 0, -9), Category: "security", Cadence: "monthly",
			Severity: "critical", Builds: map[string]string{"23H2": "22631.6199"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	w.Consoles = func(context.Context, fleet.Tenant) (factory.Console, error) {
		client := transport.New(transport.Options{Clock: w.clock, AllowLoopback: true})
		token := &msgraph.ClientCredentials{Endpoint: web.URL + "/" + aDirectory + "/oauth2/v2.0/token", ClientID: "x", Secret: "x", HTTP: client, Clock: w.clock}
		api, err := msgraph.New(msgraph.Options{BaseURL: web.URL, Directory: aDirectory, Token: token, Transport: client, Clock: w.clock})
		if err != nil {
			return nil, err
		}
		return updateConsole{intune.New(api, intune.Options{TempDir: t.TempDir()}), updates.New(api)}, nil
	}
	built := w.ledger.rec.Builds[0]
	then := *w.ledger.rec
	rest, _, err := w.LeftToOthers(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{{Kind: rollout.Deploy, Cycle: theCycle, Wave: theWave, Tenant: tenant.ID,
		Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact}})
	if len(rest) != 1 || err != nil || w.outcomes()["assign done"] != 1 {
		t.Fatal(rest, err, w.outcomes())
	}
	only := func() drift.Object {
		t.Helper()
		r, err := w.Drift(t.Context(), rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, "")
		if err != nil || len(r.Unread) > 0 || len(r.Objects) != 1 {
			t.Fatal(err, r)
		}
		return r.Objects[0]
	}
	before := only()
	if before.State != drift.Same || before.Kind != fleet.PartUpdate || before.Package != thePkg || before.Slot != fleet.Candidate || len(before.Changes) > 0 {
		t.Errorf("left alone: %+v", before)
	}
	person := func() string { return server.PersonToken(aDirectory, "ada@aurora.example") }
	const policies = "/beta/deviceManagement/windowsQualityUpdatePolicies/"
	asks(t, server, person(), http.MethodPost, policies+before.ID+"/assign", map[string]any{"assignments": []any{}})
	w.clock.Set(w.clock.Now().Add(time.Hour))
	if o := only(); o.State != drift.Drift || len(o.Changes) != 1 || !strings.HasPrefix(o.Changes[0].Base, `"required `) || o.Changes[0].Have != "" {
		t.Errorf("taken off: %+v", o)
	}
	asks(t, server, person(), http.MethodDelete, policies+before.ID, nil)
	w.clock.Set(w.clock.Now().Add(time.Hour))
	if o := only(); o.State != drift.Missing || o.Kind != fleet.PartUpdate || o.Slot != fleet.Candidate {
		t.Errorf("deleted: %+v", o)
	}
}
