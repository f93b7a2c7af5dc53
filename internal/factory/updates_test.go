package factory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A patchConsole is a console that approves what Windows Update delivers; apps are
// refused there.
type patchConsole struct {
	*memoryConsole
	devices []fleet.Device
	groups  map[string][]string
	updates map[string]*fleet.AppState
	calls   []string
}

func (c *patchConsole) Inventory(context.Context) ([]fleet.Device, error) { return c.devices, nil }

func (c *patchConsole) Publish(context.Context, fleet.App, fleet.Content) (fleet.AppState, error) {
	panic("an update is no app")
}

func (c *patchConsole) Group(ctx context.Context, wave string, devices []string) (string, error) {
	c.groups[wave] = devices
	return c.memoryConsole.Group(ctx, wave, devices)
}

func (c *patchConsole) ObserveUpdate(_ context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	if s := c.updates[slot]; s != nil {
		return *s, nil
	}
	return fleet.AppState{}, nil
}

func (c *patchConsole) PublishUpdate(_ context.Context, app fleet.App) (fleet.AppState, error) {
	what := fmt.Sprint(app.Blocked)
	if app.Patch != nil {
		what = app.Patch.KB
	}
	c.calls = append(c.calls, "publish "+app.Slot+" "+what)
	if c.updates[app.Slot] == nil {
		c.updates[app.Slot] = &fleet.AppState{ID: "policy " + app.Slot}
	}
	s := c.updates[app.Slot]
	s.Version, s.Artifact = app.Version, app.Artifact
	return *s, nil
}

func (c *patchConsole) AssignUpdate(_ context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	said := []string{}
	for _, t := range targets {
		word := "+"
		if t.Exclude {
			word = "-"
		}
		said = append(said, word+t.Group)
	}
	c.calls = append(c.calls, "assign "+slot+" "+strings.Join(said, " "))
	if s := c.updates[slot]; s != nil {
		s.Targets = targets
	}
	return nil
}

// patchWorld is a wave of a patch that Windows Update delivers.
func patchWorld(t *testing.T) (*effectWorld, *patchConsole) {
	t.Helper()
	b := newBuildWorld(t, signer(t))
	b.repo.Packages[thePkg] = fleet.Package{ID: thePkg, Name: "KB5068861", Kind: "osPatch", Rollback: "forwardOnly",
		Patch:    &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-23H2": "22631.6199"}, Reboot: "always"},
		Releases: map[string]fleet.Release{"24.09": {Counter: 1, Change: "security"}}}
	built, err := b.Build(t.Context(), b.repo, thePkg, "24.09")
	if err != nil {
		t.Fatal(err)
	}
	b.repo.Operator.Trust = b.trust
	if err := b.Git.SetBranch("main", "", b.repo.Commit); err != nil {
		t.Fatal(err)
	}
	w := waveOf(b, built, 1)
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Zone = "Europe/Helsinki"
	w.repo.Tenants[tenant.ID] = tenant
	c := &patchConsole{memoryConsole: w.consoles[tenant.ID], groups: map[string][]string{}, updates: map[string]*fleet.AppState{}, devices: []fleet.Device{
		{ID: "d0", Platform: "windows", OSVersion: "10.0.22631.6199", LastSeen: buildTime.Add(30 * time.Hour)},
		{ID: "d1", Platform: "windows", OSVersion: "10.0.22631.1", LastSeen: buildTime.Add(30 * time.Hour)},
		{ID: "d2", Platform: "windows", OSVersion: "10.0.22631.6199", LastSeen: buildTime.Add(-time.Hour)},
		{ID: "d3", Platform: "macos"},
	}}
	w.Consoles = func(context.Context, fleet.Tenant) (factory.Console, error) { return c, nil }
	m := &w.ledger.rec.Members[0]
	for _, d := range c.devices {
		hash := fleet.HashDevice([]byte("key"), d.ID)
		m.Devices = append(m.Devices, hash)
		w.ledger.rec.Inventory = append(w.ledger.rec.Inventory, fleet.InventoryRow{Tenant: tenant.ID, Device: hash, Platform: d.Platform})
	}
	return w, c
}

// TestPatchArtifact builds what a release without bytes lets devices have.
func TestPatchArtifact(t *testing.T) {
	w, _ := patchWorld(t)
	built := w.ledger.rec.Builds[0]
	if len(built.Files) != 1 || built.Files[0].MediaType != store.MediaTypeUpdate {
		t.Fatalf("%+v", built.Files)
	}
	r, err := w.Store.Open(t.Context(), built.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	var doc map[string]any
	if err != nil || json.Unmarshal(data, &doc) != nil || doc["patch"].(map[string]any)["kb"] != "KB5068861" {
		t.Errorf("%s, %v", data, err)
	}
	again, err := w.build.Build(t.Context(), w.build.repo, thePkg, "24.09")
	if err != nil || again.Artifact != built.Artifact {
		t.Errorf("%s, then %s: %v", built.Artifact, again.Artifact, err)
	}
	tests, err := w.Test(t.Context(), w.repo, built, w.ledger.rec)
	if err != nil || len(tests) != 1 || tests[0].Result != "skipped" || tests[0].Artifact != built.Artifact {
		t.Errorf("%+v, %v", tests, err)
	}
	w.ledger.rec.Tests = tests
	if why := rollout.Unready(w.repo, w.ledger.rec, fleet.LaneSecurity, thePkg, buildTime.AddDate(0, 0, 1)); strings.Contains(why, "cell") {
		t.Errorf("it stays out of every cycle: %s", why)
	}
}

// TestPatchIsNotEarly approves nothing before the wave's time, and then for the
// wave's group alone.
func TestPatchIsNotEarly(t *testing.T) {
	w, c := patchWorld(t)
	made, left, err := w.run(t, rollout.Deploy)
	if made != 0 || err != nil || len(c.calls) != 0 || len(w.ledger.rec.Intents) != 0 {
		t.Fatalf("made %d, left %v, %v: %v", made, left, err, c.calls)
	}
	w.clock.Set(buildTime.AddDate(0, 0, 1).Add(time.Minute))
	if made, _, err = w.run(t, rollout.Deploy); made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	want := []string{"publish candidate KB5068861", "assign candidate +group " + theWave}
	if !slices.Equal(c.calls, want) {
		t.Errorf("%q", c.calls)
	}
	if got := c.groups[theWave]; len(got) != 4 {
		t.Errorf("group %v", got)
	}
	// In local time the row's reading is the tenant's.
	w, c = patchWorld(t)
	for _, rows := range w.ledger.rec.PlanRows {
		rows[0].LocalTime, rows[0].NotBefore, rows[0].Deadline = true, buildTime.Add(time.Hour), buildTime.Add(48*time.Hour)
	}
	w.clock.Set(buildTime.Add(-30 * time.Minute)) // 07:00 in Helsinki is 05:00 UTC
	if made, _, err := w.run(t, rollout.Deploy); made != 1 || err != nil {
		t.Errorf("local time: made %d, %v", made, err)
	}
	if s := c.updates[fleet.Candidate]; s == nil || len(s.Targets) != 1 || s.Targets[0].LocalTime || !s.Targets[0].Opens.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestPatchWithdrawnAndPromoted suspends at a halt, and stands for all Windows
// devices in the stable slot.
func TestPatchWithdrawnAndPromoted(t *testing.T) {
	w, c := patchWorld(t)
	w.clock.Set(buildTime.AddDate(0, 0, 1).Add(time.Minute))
	w.carry(t, rollout.Deploy)
	c.calls = nil
	w.carry(t, rollout.Withdraw)
	if !slices.Equal(c.calls, []string{"assign candidate "}) {
		t.Errorf("halt: %q", c.calls)
	}
	c.calls = nil
	w.carry(t, rollout.Promote)
	want := []string{"publish stable KB5068861", "assign stable +group all Windows devices", "assign candidate "}
	if !slices.Equal(c.calls, want) || len(c.groups["all Windows devices"]) != 3 {
		t.Errorf("promotion: %q, %v", c.calls, c.groups)
	}
	c.calls = nil
	w.carry(t, rollout.RollBack)
	if got := fmt.Sprint(c.calls); strings.Contains(got, "+") {
		t.Errorf("way back: %s", got)
	}
}

// stoppedConsole is a console whose service has paused what the slot deploys.
type stoppedConsole struct {
	inventoried
	factory.Updater
}

func (stoppedConsole) ObserveUpdate(context.Context, fleet.PackageID, string) (fleet.AppState, error) {
	return fleet.AppState{Stopped: "Windows Update paused the deployment"}, nil
}

// TestStoppedByItsService fails a wave whose deployment Windows Update paused, by a
// rule of the package, however few devices have told anything.
func TestStoppedByItsService(t *testing.T) {
	for _, deploy := range []*fleet.Deploy{nil, {DevicesPerOffer: 10, EveryDays: 1}} {
		w := newCourt(t, "failed")
		w.facts.Repo.Packages[judged] = fleet.Package{ID: judged, Kind: "osPatch",
			Patch: &fleet.OSPatch{Feature: "Windows 11, version 24H2", Builds: map[string]string{"11-24H2": "26100.1742"}, Deploy: deploy}}
		w.facts.Repo.Waves[0].Gate.Signals = []string{fleet.SignalInstall}
		w.tells[near], w.tells[far] = stoppedConsole{}, stoppedConsole{}
		v, reports, err := w.judge(t)
		if err != nil || len(reports) != 2 {
			t.Fatalf("%+v, %+v, %v", v, reports, err)
		}
		if stopped := reports[0].Stopped != ""; stopped != (deploy != nil) {
			t.Errorf("%+v", reports[0])
		}
		if (v.Decision == "fail") != (deploy != nil) || strings.Contains(v.Rule, "paused the deployment") != (deploy != nil) {
			t.Errorf("%s: %s", v.Decision, v.Rule)
		}
	}
}

// TestBlockedDrivers are told with every driver: those of the catalog that the
// tenant's policy blocks now.
func TestBlockedDrivers(t *testing.T) {
	w, c := patchWorld(t)
	pkg := w.repo.Packages[thePkg]
	pkg.Kind, pkg.Patch, pkg.Driver = "driver", nil, &fleet.Driver{Class: "Net"}
	w.repo.Packages[thePkg] = pkg
	w.repo.Packages["intel/wifi"] = fleet.Package{ID: "intel/wifi", Kind: "driver", Driver: &fleet.Driver{Class: "Net"}, Releases: map[string]fleet.Release{"23.1": {Counter: 1}, "24.0": {Counter: 2}}}
	w.repo.Publishers["intel"] = fleet.Publisher{Name: "Intel"}
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Policy.DriverBlock = map[string]fleet.Because{
		"intel/wifi-23.*": {Reason: "crashes", Expires: buildTime.AddDate(0, 1, 0)}, "intel/wifi-24.*": {Reason: "did", Expires: buildTime.AddDate(0, -1, 0)},
	}
	w.repo.Tenants[tenant.ID] = tenant
	w.clock.Set(buildTime.AddDate(0, 0, 1).Add(time.Minute))
	w.carry(t, rollout.Deploy)
	if want := "publish candidate [{Net 23.1 Intel}]"; len(c.calls) == 0 || c.calls[0] != want {
		t.Errorf("%q, want %s", c.calls, want)
	}
}

// TestPatchPromotionWaits for the tenant's window, since an approval has no start.
func TestPatchPromotionWaits(t *testing.T) {
	w, c := patchWorld(t)
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Windows = map[string]fleet.Window{"w": {On: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: "22:00", Until: "23:00", For: []string{"install"}}}
	w.repo.Tenants[tenant.ID] = tenant
	built := w.ledger.rec.Builds[0]
	a := rollout.Action{Kind: rollout.Promote, Cycle: theCycle, Wave: theWave, Tenant: tenant.ID, Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact}
	if made, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, []rollout.Action{a}); made != 0 || err != nil || len(c.calls) != 0 {
		t.Fatalf("made %d, %v: %q", made, err, c.calls)
	}
	w.clock.Set(time.Date(buildTime.Year(), buildTime.Month(), buildTime.Day(), 20, 30, 0, 0, time.UTC)) // 22:30 in Helsinki
	w.carry(t, rollout.Promote)
}

// inventoried is a console that tells devices and no statuses.
type inventoried struct {
	factory.Console
	devices []fleet.Device
}

func (c inventoried) Inventory(context.Context) ([]fleet.Device, error) { return c.devices, nil }

// TestPatchJudged counts builds: who has it, who has it not yet, and whoever was
// not seen since the wave began. Of a driver nobody tells.
func TestPatchJudged(t *testing.T) {
	for name, tt := range map[string]struct {
		pkg  fleet.Package
		want fleet.Counts
	}{
		"patch":   {fleet.Package{ID: judged, Kind: "osPatch", Patch: &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-23H2": "22631.6199"}}}, fleet.Counts{Succeeded: 30, Silent: 30}},
		"version": {fleet.Package{ID: judged, Kind: "osPatch", Patch: &fleet.OSPatch{Feature: "Windows 11, version 23H2", Builds: map[string]string{"11-23H2": "22631.6199"}}}, fleet.Counts{Succeeded: 30, Silent: 30}},
		"driver":  {fleet.Package{ID: judged, Kind: "driver", Driver: &fleet.Driver{Class: "Net"}}, fleet.Counts{Silent: 60}},
	} {
		w := newCourt(t, "failed")
		w.facts.Repo.Packages[judged] = tt.pkg
		w.facts.Repo.Waves[0].Gate.Signals = []string{fleet.SignalInstall, fleet.SignalBoot} // no script runs for an update
		var devices []fleet.Device
		for i := range 60 {
			d := fleet.Device{ID: fmt.Sprint("pc-", i), Platform: "windows", OSVersion: "10.0.22631.6199", LastSeen: asked}
			if i >= 30 {
				d.OSVersion = "10.0.22631.6198"
			}
			if i >= 45 {
				d.OSVersion, d.LastSeen = "10.0.22631.6199", started.Add(-time.Hour)
			}
			devices = append(devices, d)
		}
		w.tells[near], w.tells[far] = inventoried{devices: devices}, inventoried{devices: devices}
		_, reports, err := w.judge(t)
		if err != nil || len(reports) != 2 || reports[0].Counts != tt.want {
			t.Errorf("%s: %+v, %v", name, reports, err)
		}
	}
}
