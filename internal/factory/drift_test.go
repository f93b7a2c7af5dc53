package factory_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

const (
	aDirectory = "7f6e1c52-0000-4000-8000-000000000001"
	aBaseline  = fleet.PackageID("acme/baseline")
)

// A graphConsole is a tenant as a run connects to it.
type graphConsole struct {
	*intune.Client
	conf *policy.Console
}

func (c graphConsole) Configurations() factory.Console { return c.conf }

// settingWave is a started wave of a configuration with a policy, an update
// ring, a profile and registry values, on one simulated tenant; without some.
func settingWave(t *testing.T, without ...string) (*effectWorld, *graph.Server) {
	t.Helper()
	b := settingsWorld(t)
	pkg := b.repo.Packages[aBaseline]
	for _, key := range append(without, "motd", "shell", "ini") {
		delete(pkg.Settings, key)
	}
	pkg.Rollback = "uninstall"
	b.repo.Packages[aBaseline] = pkg
	built, err := b.Build(t.Context(), b.repo, aBaseline, "3")
	if err != nil {
		t.Fatal(err)
	}
	b.repo.Operator.Trust = b.trust
	if err := b.Git.SetBranch("main", "", b.repo.Commit); err != nil {
		t.Fatal(err)
	}
	w := waveOf(b, built, 1)
	w.repo.Cycles[theCycle] = fleet.Cycle{Entries: map[fleet.PackageID]fleet.Entry{aBaseline: {Release: "3", Artifact: built.Artifact}}}
	for _, rows := range w.ledger.rec.PlanRows {
		rows[0].Package = aBaseline
	}
	w.repo.Tenants[w.tenants[0]] = fleet.Tenant{ID: w.tenants[0], Zone: "UTC", Intune: &fleet.Intune{Directory: aDirectory}}
	server, err := graph.New(graph.Options{Dir: t.TempDir(), Now: w.clock.Now, Seed: 1, Observer: func(event.Event) {}, Lag: 1, ListLag: 1,
		Tenants: []graph.Tenant{{Directory: aDirectory, Devices: []graph.Device{{Name: "PC-1", OSVersion: "10.0.22631"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	http := httptest.NewServer(server)
	t.Cleanup(http.Close)
	w.Consoles = func(context.Context, fleet.Tenant) (factory.Console, error) {
		client := transport.New(transport.Options{Clock: w.clock, AllowLoopback: true})
		token := &msgraph.ClientCredentials{Endpoint: http.URL + "/" + aDirectory + "/oauth2/v2.0/token", ClientID: "x", Secret: "x", HTTP: client, Clock: w.clock}
		api, err := msgraph.New(msgraph.Options{BaseURL: http.URL, Directory: aDirectory, Token: token, Transport: client, Clock: w.clock})
		if err != nil {
			return nil, err
		}
		apps := intune.New(api, intune.Options{TempDir: t.TempDir()})
		return graphConsole{apps, &policy.Console{Client: apps, Policies: policy.New(api, apps)}}, nil
	}
	return w, server
}

func (w *effectWorld) carrySetting(t *testing.T, kind string) (rest []rollout.Action, waits []rollout.Wait, err error) {
	t.Helper()
	built := w.ledger.rec.Builds[0]
	a := rollout.Action{Kind: kind, Cycle: theCycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{aBaseline}, Version: built.Version, Artifact: built.Artifact}
	then := *w.ledger.rec
	return w.LeftToOthers(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{a})
}

// drifted are the tenant's objects that are not the same everywhere, by setting
// and slot.
func (w *effectWorld) drifted(t *testing.T) map[string]drift.Object {
	t.Helper()
	r, err := w.Drift(t.Context(), rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, "")
	if err != nil || len(r.Unread) > 0 {
		t.Fatal(err, r.Unread)
	}
	out := map[string]drift.Object{}
	for _, o := range r.Objects {
		if o.State != drift.Same {
			out[o.Setting+" "+o.Slot] = o
		}
	}
	if r.Differs() != (len(out) > 0) {
		t.Errorf("differs %v with %v", r.Differs(), out)
	}
	return out
}

// TestConfigurationOnTenant brings a configuration through the same effects as an
// app: not before its time, to both slots; what a person changes is seen, stops
// the next write, can be adopted, and is restored where the tenant's file says so.
func TestConfigurationOnTenant(t *testing.T) {
	w, server := settingWave(t)
	rest, waits, err := w.carrySetting(t, rollout.Deploy)
	if len(rest) > 0 || err != nil || len(waits) != 1 || !waits[0].Until.Equal(buildTime.AddDate(0, 0, 1)) || len(w.ledger.rec.Intents) > 0 {
		t.Fatalf("a day early: %v %v %v, intents %v", rest, waits, err, w.ledger.rec.Intents)
	}
	w.clock.Set(buildTime.AddDate(0, 0, 1))
	if rest, waits, err = w.carrySetting(t, rollout.Deploy); len(rest) != 1 || len(waits) > 0 || err != nil {
		t.Fatalf("in time: %v %v %v", rest, waits, err)
	}
	if rest, _, err = w.carrySetting(t, rollout.Promote); len(rest) != 1 || err != nil {
		t.Fatalf("promoted: %v %v", rest, err)
	}
	if got := w.outcomes(); got["assign done"] != 1 || got["promote done"] != 1 {
		t.Errorf("receipts %v", got)
	}
	console, err := w.Consoles(t.Context(), fleet.Tenant{})
	if err != nil {
		t.Fatal(err)
	}
	conf := console.(factory.Configurer).Configurations()
	state, err := conf.Observe(t.Context(), aBaseline, fleet.Stable)
	if err != nil || state.Artifact != w.ledger.rec.Builds[0].Artifact || len(state.Targets) != 1 || state.Targets[0].Group != "all devices" {
		t.Errorf("stable: %+v, %v", state, err)
	}
	w.clock.Set(w.clock.Now().Add(10 * time.Hour))
	statuses, err := conf.Statuses(t.Context(), aBaseline, fleet.Stable)
	if err != nil || len(statuses) != 1 || statuses[0].State != "installed" || statuses[0].Version != "3" {
		t.Errorf("reported %+v, %v", statuses, err)
	}
	if got := w.drifted(t); len(got) > 0 {
		t.Errorf("left alone it differs: %+v", got)
	}

	w.edit(t, server, "ring "+fleet.Stable, map[string]any{"displayName": "Moved", "driversExcluded": true})
	w.edit(t, server, "policy "+fleet.Stable, map[string]any{"name": "Renamed"})
	w.edit(t, server, "registry "+fleet.Stable, map[string]any{"detectionScriptContent": "ZXhpdCAw"})
	got := w.drifted(t)
	ring := got["ring "+fleet.Stable]
	if len(got) != 3 || ring.State != drift.Drift || len(ring.Changes) != 1 || ring.Changes[0].Have != `"Moved"` || ring.Applied != "3" || ring.Wanted != "3" {
		t.Errorf("seen: %+v", got)
	}
	if file := string(ring.Adopt["catalog/acme/baseline/files/ring.json"]); !strings.Contains(file, `"displayName": "Moved"`) || strings.Contains(file, "packmill") || strings.Contains(file, "createdDateTime") {
		t.Errorf("to adopt: %s", file)
	}
	if o := got["registry "+fleet.Stable]; o.Adopt != nil || o.State != drift.Drift {
		t.Errorf("scripts that packmill wrote: %+v", o)
	}
	_, _, err = w.carrySetting(t, rollout.Promote)
	if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "the tenant has changed it") {
		t.Errorf("over it: %v", err)
	}
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Restore = map[fleet.PackageID]fleet.Because{aBaseline: {Reason: "agreed", Expires: w.clock.Now().Add(time.Hour)}}
	w.repo.Tenants[tenant.ID] = tenant
	if _, _, err = w.carrySetting(t, rollout.Promote); err != nil {
		t.Errorf("restored: %v", err)
	}
	if got := w.drifted(t); len(got) > 0 {
		t.Errorf("restored it differs: %+v", got)
	}
}

// TestConfigurationHalts takes a configuration of policies alone back from a wave:
// its objects are assigned to nobody afterwards.
func TestConfigurationHalts(t *testing.T) {
	w, _ := settingWave(t)
	w.clock.Set(buildTime.AddDate(0, 0, 1))
	if rest, _, err := w.carrySetting(t, rollout.Deploy); len(rest) != 1 || err != nil {
		t.Fatalf("deployed: %v %v", rest, err)
	}
	console, err := w.Consoles(t.Context(), fleet.Tenant{})
	if err != nil {
		t.Fatal(err)
	}
	conf := console.(factory.Configurer).Configurations()
	assigned := func() []fleet.Target {
		state, err := conf.Observe(t.Context(), aBaseline, fleet.Candidate)
		if err != nil || state.ID == "" {
			t.Fatalf("%+v, %v", state, err)
		}
		return state.Targets
	}
	if len(assigned()) != 1 {
		t.Fatalf("before: %+v", assigned())
	}
	if rest, _, err := w.carrySetting(t, rollout.Withdraw); len(rest) != 1 || err != nil {
		t.Fatalf("withdrawn: %v %v", rest, err)
	}
	if left := assigned(); len(left) > 0 {
		t.Errorf("the wave still has it: %+v", left)
	}
}

// edit changes an object of the tenant as a person would.
func (w *effectWorld) edit(t *testing.T, server *graph.Server, name string, props map[string]any) {
	t.Helper()
	r, err := w.Drift(t.Context(), rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, "")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Objects, func(o drift.Object) bool { return o.Setting+" "+o.Slot == name && o.Kind != fleet.PartApp })
	if i < 0 {
		t.Fatalf("no %s in %+v", name, r.Objects)
	}
	collection := map[string]string{fleet.PartCatalogPolicy: "configurationPolicies", fleet.PartHealthScript: "deviceHealthScripts"}[r.Objects[i].Kind]
	if collection == "" {
		collection = "deviceConfigurations"
	}
	if err := server.Edit(aDirectory, collection, r.Objects[i].ID, props); err != nil {
		t.Fatal(err)
	}
}
