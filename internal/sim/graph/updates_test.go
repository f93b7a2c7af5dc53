package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

const (
	patchID  = fleet.PackageID("microsoft/kb5068861")
	driverID = fleet.PackageID("intel/graphics")
)

var november = graph.Patch{
	KB: "KB5068861", Name: "2026.11 B Security Updates", Short: "2026.11 B", Released: monday.AddDate(0, 0, -13), Category: "security", Cadence: "monthly",
	Severity: "critical", Score: 9.8, Exploited: []string{"CVE-2026-0002", "CVE-2026-0001"}, Expeditable: true,
	Builds: map[string]string{"23H2": "22631.6199", "24H2": "26100.7171"},
}

// offers are what Windows Update has.
func offers() graph.Updates {
	return graph.Updates{
		Patches: []graph.Patch{
			november,
			{KB: "KB5065789", Name: "2026.10 D Preview", Short: "2026.10 D", Released: monday.AddDate(0, 0, -27), Category: "nonSecurity", Cadence: "monthly",
				Builds: map[string]string{"23H2": "22631.6000"}},
			{KB: "", Name: "Windows 11, version 24H2", Released: monday.AddDate(-1, 0, 0), Feature: "Windows 11, version 24H2", Builds: map[string]string{"24H2": "26100.1742"}},
		},
		Drivers: []graph.DriverUpdate{
			{Name: "Intel Display", Version: "32.0.101.6000", Class: "Display", Manufacturer: "Intel", Released: monday.AddDate(0, 0, -20), Models: []string{"L14"}},
			{Name: "Intel Net", Version: "23.1.0", Class: "Net", Manufacturer: "Intel", Released: monday.AddDate(0, 0, -20), Models: []string{"L14"}},
		},
		Issues: []graph.KnownIssue{
			{Product: "Windows 11, version 24H2", ID: "WI1", Title: "A mouse may stop", Status: "confirmed", Since: monday.AddDate(0, 0, -9), KB: "KB5068861"},
			{Product: "Windows 11, version 24H2", ID: "WI0", Title: "Old", Status: "resolved", Since: monday.AddDate(0, 0, -90), Resolved: monday.AddDate(0, 0, -60), KB: "KB1", FixedBy: "KB2"},
		},
	}
}

// patchWorld is a world in which Windows Update has something.
func patchWorld(t *testing.T, change func(*graph.Options)) *world {
	return newWorld(t, func(o *graph.Options) {
		o.Updates = offers()
		if change != nil {
			change(o)
		}
	})
}

func (w *world) updates(directory string) *updates.Client {
	w.t.Helper()
	return updates.New(dial(w.t, msgraph.Options{BaseURL: w.http.URL, Directory: directory, Token: w.token(directory), Transport: w.transport(), Clock: w.clock}))
}

func patchApp(slot string) fleet.App {
	return fleet.App{
		Package: patchID, Slot: slot, Version: "2026.11", Artifact: fleet.DigestOf([]byte("november")), Generation: 1,
		Patch: &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-23H2": "22631.6199"}, Reboot: "maybe"},
	}
}

func driverApp(slot string) fleet.App {
	return fleet.App{
		Package: driverID, Slot: slot, Version: "32.0.101.6000", Publisher: "Intel", Artifact: fleet.DigestOf([]byte("driver")),
		Driver: &fleet.Driver{HardwareIDs: []string{`PCI\VEN_8086`}, Class: "Display", Signer: "x"},
	}
}

func to(groups ...string) []fleet.Target {
	var out []fleet.Target
	for _, g := range groups {
		out = append(out, fleet.Target{Intent: "required", Group: g})
	}
	return out
}

// builds counts the devices of a tenant by build.
func builds(t *testing.T, c *intune.Client, among []string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, d := range must[[]fleet.Device](t)(c.Inventory(t.Context())) {
		if among == nil || slices.Contains(among, d.ID) {
			out[d.OSVersion]++
		}
	}
	return out
}

// pass lets time go by.
func (w *world) pass(d time.Duration) { w.clock.Set(w.clock.Now().Add(d)) }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPatchReachesItsWave approves a patch for a wave: its devices take it when
// the approval has reached them, and nobody else does.
func TestPatchReachesItsWave(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	wave, others := all[:3], all[3:]
	group := must[string](t)(apps.Group(t.Context(), "pilot", wave))

	state := must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	if state.Version != "2026.11" || len(state.Targets) != 0 {
		t.Errorf("published: %+v", state)
	}
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	state = must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), patchID, fleet.Candidate))
	if len(state.Targets) != 1 || state.Targets[0].Group != group || state.Artifact != patchApp("").Artifact || state.Generation != 1 {
		t.Errorf("assigned: %+v", state)
	}
	w.pass(7 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631"] != 10 {
		t.Errorf("an approval reached devices before it could: %v", got)
	}
	w.pass(4 * time.Hour)
	if got := builds(t, apps, wave); got["10.0.22631.6199"] != 3 {
		t.Errorf("wave %v", got)
	}
	if got := builds(t, apps, others); got["10.0.22631"] != 7 {
		t.Errorf("others %v", got)
	}
	// The same again writes nothing but the approval.
	patches := w.count("qualityPolicy.change") + w.count("qualityPolicy.assign") + w.count("qualityPolicy.create")
	must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	ok(t, w.updates(nordic).AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	if again := w.count("qualityPolicy.change") + w.count("qualityPolicy.assign") + w.count("qualityPolicy.create"); again != patches {
		t.Errorf("%d writes, then %d", patches, again)
	}
}

// TestWithdrawnPatch suspends a patch: who has not taken it while the halt is on
// its way keeps without.
func TestWithdrawnPatch(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:5]))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	w.pass(time.Minute)
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, nil))
	state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), patchID, fleet.Candidate))
	if len(state.Targets) != 0 || state.Version != "2026.11" {
		t.Errorf("withdrawn: %+v", state)
	}
	w.pass(100 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631"] < 9 { // one may check in within the minute
		t.Errorf("after the halt: %v", got)
	}
	ok(t, w.updates(nordic).AssignUpdate(t.Context(), "microsoft/none", fleet.Candidate, nil))
}

// TestForeignPolicies keeps what people made and assigned.
func TestForeignPolicies(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	const path = "/beta/deviceManagement/windowsQualityUpdatePolicies"
	foreign := w.do(http.MethodPost, path, map[string]any{"displayName": "packmill microsoft/kb5068861 (candidate)", "description": "ours", "hotpatchEnabled": true})
	group := must[string](t)(apps.Group(t.Context(), "pilot", nil))
	state := must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	theirs := map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": "7f6e1c52-0000-4000-8000-00000000abcd"}}
	w.do(http.MethodPost, path+"/"+state.ID+"/assign", map[string]any{"assignments": []any{theirs}})
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, nil))
	// Who copies packmill's policy has one of his own, whatever the copy says.
	ours := w.get(path)["value"].([]any)
	i := slices.IndexFunc(ours, func(p any) bool { return p.(map[string]any)["id"] == state.ID })
	copied := w.do(http.MethodPost, path, map[string]any{"displayName": "copy", "description": ours[i].(map[string]any)["description"]})
	left, _ := json.Marshal(w.get(path + "/" + state.ID + "/assignments")["value"])
	if !strings.Contains(string(left), "abcd") || strings.Contains(string(left), group) {
		t.Errorf("assignments left: %s", left)
	}
	w.do(http.MethodPost, path+"/"+state.ID+"/assign", map[string]any{"assignments": []any{}})
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), expediteApp(fleet.Candidate))) // the slot is no policy any more
	after, _ := json.Marshal(w.get(path)["value"])
	if !strings.Contains(string(after), foreign["id"].(string)) || !strings.Contains(string(after), copied["id"].(string)) || strings.Contains(string(after), `"id":"`+state.ID) {
		t.Errorf("policies left: %s", after)
	}
}

// TestPatchRefused names what Windows Update cannot do.
func TestPatchRefused(t *testing.T) {
	w := patchWorld(t, nil)
	c := w.updates(nordic)
	unknown, wrong := patchApp(fleet.Candidate), patchApp(fleet.Candidate)
	unknown.Patch = &fleet.OSPatch{KB: "KB9999999", Builds: map[string]string{"11": "1.1"}}
	wrong.Patch = &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-24H2": "26100.1"}}
	for name, tt := range map[string]struct {
		app  fleet.App
		kind fleet.Kind
	}{"not in the catalog": {unknown, fleet.Waiting}, "other builds": {wrong, fleet.Refused}, "neither": {fleet.App{Package: patchID, Slot: fleet.Stable}, fleet.Invalid}} {
		if _, err := c.PublishUpdate(t.Context(), tt.app); err == nil || fleet.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	const group = "7f6e1c52-0000-4000-8000-00000000abcd"
	for name, tt := range map[string]struct {
		target fleet.Target
		kind   fleet.Kind
	}{
		"later":       {fleet.Target{Intent: "required", Group: group, Opens: w.clock.Now().Add(time.Hour)}, fleet.Waiting},
		"removal":     {fleet.Target{Intent: "uninstall", Group: group}, fleet.Refused},
		"offered":     {fleet.Target{Intent: "available", Group: group}, fleet.Refused},
		"all devices": {fleet.Target{Intent: "required", Group: "all devices"}, fleet.Invalid},
	} {
		if err := c.AssignUpdate(t.Context(), patchID, fleet.Candidate, []fleet.Target{tt.target}); err == nil || fleet.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count("approve"); n != 0 {
		t.Errorf("%d approvals of what was refused", n)
	}
}

const driverProfiles = "/beta/deviceManagement/windowsDriverUpdateProfiles"

// drivers are those that the service found for a profile's devices, by class: what
// was done with them, and how many devices they are for.
func (w *world) drivers(profile string) map[string]string {
	out := map[string]string{}
	for _, d := range w.get(driverProfiles + "/" + profile + "/driverInventories")["value"].([]any) {
		d := d.(map[string]any)
		out[d["driverClass"].(string)] = fmt.Sprint(d["approvalStatus"], " ", d["applicableDeviceCount"])
	}
	return out
}

// assignTo assigns an update profile to groups, as a person does in the portal.
func (w *world) assignTo(profile string, groups ...string) {
	list := []any{}
	for _, g := range groups {
		list = append(list, map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": g}})
	}
	w.do(http.MethodPost, profile+"/assign", map[string]any{"assignments": list})
}

// TestDriver waits until the service has found the driver, then approves it.
func TestDriver(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:4]))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), driverApp(fleet.Candidate)))
	err := c.AssignUpdate(t.Context(), driverID, fleet.Candidate, to(group))
	if fleet.KindOf(err) != fleet.Waiting || w.count("driver.sync") != 1 {
		t.Fatalf("nothing was found yet: %v", err)
	}
	w.pass(2 * time.Hour)
	ok(t, c.AssignUpdate(t.Context(), driverID, fleet.Candidate, to(group)))
	state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), driverID, fleet.Candidate))
	if got := fmt.Sprint(w.drivers(state.ID)); got != "map[Display:approved 4 Net:needsReview 4]" {
		t.Error(got)
	}
	ok(t, c.AssignUpdate(t.Context(), driverID, fleet.Candidate, nil))
	ok(t, c.AssignUpdate(t.Context(), driverID, fleet.Candidate, nil))
	w.assignTo(driverProfiles+"/"+state.ID, group) // the inventory is of those it is for
	if got := fmt.Sprint(w.drivers(state.ID)); got != "map[Display:suspended 4 Net:needsReview 4]" {
		t.Error(got)
	}
	// What the tenant's policy blocks is declined where the profile offers it, once.
	app := driverApp(fleet.Candidate)
	app.Blocked = []fleet.DriverRelease{{Class: "Net", Version: "23.1.0", Publisher: "intel"}, {Class: "Net", Version: "9", Publisher: "Intel"}}
	for range 2 {
		must[fleet.AppState](t)(c.PublishUpdate(t.Context(), app))
	}
	if got := fmt.Sprint(w.drivers(state.ID)); got != "map[Display:suspended 4 Net:declined 4]" {
		t.Error(got)
	}
	if n := w.count("driver.decline"); n != 1 {
		t.Errorf("declined %d times", n)
	}
}

// TestUpdateObjects tells whom each of packmill's update profiles is for, and which
// a person changed; of others that they are there.
func TestUpdateObjects(t *testing.T) {
	w := patchWorld(t, nil)
	c := w.updates(nordic)
	group := must[string](t)(w.client(nordic).Group(t.Context(), "pilot", nil))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), driverApp(fleet.Candidate)))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), featureApp(fleet.Stable)))
	hurry := expediteApp(fleet.Candidate)
	hurry.Package = "microsoft/hurry"
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), hurry))
	w.do(http.MethodPost, "/beta/deviceManagement/windowsDriverUpdateProfiles", map[string]any{"displayName": "Theirs", "approvalType": "manual"})
	w.pass(time.Minute)
	read := func() map[fleet.PackageID]fleet.PartState {
		t.Helper()
		ours, theirs, err := w.updates(nordic).UpdateObjects(t.Context())
		if err != nil || len(theirs) != 1 || theirs[0].Name != "Theirs" {
			t.Fatal(theirs, err)
		}
		out := map[fleet.PackageID]fleet.PartState{}
		for _, p := range ours {
			out[p.Package] = p
		}
		return out
	}
	objects := read()
	if p := objects[patchID]; p.Kind != fleet.PartUpdate || p.Slot != fleet.Candidate || p.Version != "2026.11" || fmt.Sprint(p.Targets) != fmt.Sprint(to(group)) {
		t.Errorf("%+v", p)
	}
	for id, p := range objects {
		if p.Moved || id != patchID && len(p.Targets) > 0 {
			t.Errorf("left alone: %+v", p)
		}
	}
	if len(objects) != 4 {
		t.Errorf("%d objects", len(objects))
	}
	for id, change := range map[fleet.PackageID][]any{
		patchID:       {"windowsQualityUpdatePolicies", map[string]any{"hotpatchEnabled": true}},
		driverID:      {"windowsDriverUpdateProfiles", map[string]any{"displayName": "Drivers"}},
		featureID:     {"windowsFeatureUpdateProfiles", map[string]any{"featureUpdateVersion": "Windows 11, version 23H2"}},
		hurry.Package: {"windowsQualityUpdateProfiles", map[string]any{"expeditedUpdateSettings": map[string]any{"qualityUpdateRelease": "2026-11-10T00:00:00Z", "daysUntilForcedReboot": 2}}},
	} {
		ok(t, w.server.Edit(nordic, change[0].(string), objects[id].ID, change[1].(map[string]any)))
	}
	w.pass(time.Minute)
	for _, p := range read() {
		if !p.Moved {
			t.Errorf("changed by a person: %+v", p)
		}
	}
}
