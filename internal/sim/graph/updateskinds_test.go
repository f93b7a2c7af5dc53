package graph_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

const featureID = fleet.PackageID("microsoft/windows-11-24h2")

func featureApp(slot string) fleet.App {
	return fleet.App{
		Package: featureID, Slot: slot, Version: "24H2", Artifact: fleet.DigestOf([]byte("24H2")), Generation: 1,
		Patch: &fleet.OSPatch{Feature: "Windows 11, version 24H2", Builds: map[string]string{"11-24H2": "26100.1742"}, Reboot: "always"},
	}
}

func expediteApp(slot string) fleet.App {
	app := patchApp(slot)
	app.Artifact, app.Generation = fleet.DigestOf([]byte("expedited")), 2
	app.Patch = &fleet.OSPatch{KB: app.Patch.KB, Builds: app.Patch.Builds, Reboot: "always", Expedite: &fleet.Expedite{RebootDays: 1}}
	return app
}

// profilesLeft counts the update profiles of a tenant, by collection.
func (w *world) profilesLeft() map[string]int {
	out := map[string]int{}
	for _, name := range []string{"windowsQualityUpdatePolicies", "windowsQualityUpdateProfiles", "windowsFeatureUpdateProfiles", "windowsDriverUpdateProfiles"} {
		if n := len(w.get("/beta/deviceManagement/" + name)["value"].([]any)); n > 0 {
			out[name] = n
		}
	}
	return out
}

// TestVersionReachesItsWave takes a wave to a version of Windows, and nobody else;
// a withdrawal stops those that have not taken it.
func TestVersionReachesItsWave(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:3]))
	state := must[fleet.AppState](t)(c.PublishUpdate(t.Context(), featureApp(fleet.Candidate)))
	if state.Version != "24H2" || len(state.Targets) != 0 {
		t.Errorf("published: %+v", state)
	}
	w.pass(20 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631"] != 10 {
		t.Errorf("a version that nobody was assigned: %v", got)
	}
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group)))
	writes := len(w.events)
	must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), featureApp(fleet.Candidate)))
	ok(t, w.updates(nordic).AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group)))
	if len(w.events) != writes {
		t.Errorf("the same again wrote %v", w.events[writes:])
	}
	w.pass(12 * time.Hour)
	if got := builds(t, apps, all[:3]); got["10.0.26100.1742"] != 3 {
		t.Errorf("wave %v", got)
	}
	if got := builds(t, apps, all[3:]); got["10.0.22631"] != 7 {
		t.Errorf("others %v", got)
	}
	more := must[string](t)(apps.Group(t.Context(), "broad", all[3:6]))
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group, more)))
	w.pass(time.Minute)
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, nil))
	w.pass(100 * time.Hour)
	if got := builds(t, apps, all); got["10.0.26100.1742"] > 4 { // one may check in within the minute
		t.Errorf("after the halt: %v", got)
	}
	if state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), featureID, fleet.Candidate)); len(state.Targets) != 0 || state.Artifact != featureApp("").Artifact {
		t.Errorf("withdrawn: %+v", state)
	}
	if w.count("approve")+w.count("suspend") != 0 {
		t.Error("a version of Windows was approved like a patch")
	}
}

// TestVersionUnknown names what the catalog has instead.
func TestVersionUnknown(t *testing.T) {
	w := patchWorld(t, nil)
	app := featureApp(fleet.Candidate)
	app.Patch = &fleet.OSPatch{Feature: "Windows 11, version 29H9", Builds: app.Patch.Builds}
	_, err := w.updates(nordic).PublishUpdate(t.Context(), app)
	if fleet.KindOf(err) != fleet.Waiting || !strings.Contains(err.Error(), "Windows 11, version 24H2") {
		t.Errorf("%v", err)
	}
	list := must[[]updates.Version](t)(w.updates(nordic).Versions(t.Context()))
	if len(list) != 1 || list[0].Name != "Windows 11, version 24H2" || list[0].Build != "26100" || list[0].ID == "" {
		t.Errorf("%+v", list)
	}
}

// TestPatchIsExpedited has a wave take a patch at once; what cannot be expedited is
// refused.
func TestPatchIsExpedited(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:2]))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), expediteApp(fleet.Candidate)))
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	w.pass(12 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631.6199"] != 2 {
		t.Errorf("%v", got)
	}
	profile := w.get("/beta/deviceManagement/windowsQualityUpdateProfiles")["value"].([]any)[0].(map[string]any)
	if s := profile["expeditedUpdateSettings"].(map[string]any); s["daysUntilForcedReboot"] != 1.0 || s["qualityUpdateRelease"] != november.Released.Format("2006-01-02T00:00:00Z") {
		t.Errorf("%v", s)
	}
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, nil))
	left := w.get("/beta/deviceManagement/windowsQualityUpdateProfiles/" + profile["id"].(string) + "/assignments")["value"].([]any)
	if len(left) != 0 {
		t.Errorf("still assigned: %v", left)
	}
	preview := expediteApp(fleet.Stable)
	preview.Patch = &fleet.OSPatch{KB: "KB5065789", Builds: map[string]string{"11-23H2": "22631.6000"}, Expedite: &fleet.Expedite{}}
	if _, err := c.PublishUpdate(t.Context(), preview); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("a preview was expedited: %v", err)
	}
}

// TestSlotChangesKind has a package that approved a patch expedite it: the slot
// has one profile, and the former approval is suspended. One that people assigned
// as well is theirs to give up.
func TestSlotChangesKind(t *testing.T) {
	w := patchWorld(t, nil)
	apps := w.client(nordic)
	group := must[string](t)(apps.Group(t.Context(), "pilot", ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))[:2]))
	ok(t, patching(t.Context(), w.updates(nordic), group))
	c := w.updates(nordic)
	state := must[fleet.AppState](t)(c.PublishUpdate(t.Context(), expediteApp(fleet.Candidate)))
	if len(state.Targets) != 0 || state.Artifact != expediteApp("").Artifact {
		t.Errorf("%+v", state)
	}
	if got := fmt.Sprint(w.profilesLeft()); got != "map[windowsQualityUpdateProfiles:1]" || w.count("suspend") == 0 {
		t.Errorf("%s, %d suspended", got, w.count("suspend"))
	}
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	// And back, while people of the tenant use the profile too.
	theirs := map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": "7f6e1c52-0000-4000-8000-00000000abcd"}}
	path := "/beta/deviceManagement/windowsQualityUpdateProfiles/" + state.ID
	present := w.get(path + "/assignments")["value"].([]any)
	w.do(http.MethodPost, path+"/assign", map[string]any{"assignments": append(present, theirs)})
	back := patchApp(fleet.Candidate)
	back.Artifact, back.Generation = fleet.DigestOf([]byte("approved again")), 3
	if _, err := w.updates(nordic).PublishUpdate(t.Context(), back); fleet.KindOf(err) != fleet.Stalled {
		t.Errorf("a profile that people assigned: %v", err)
	}
	if left := w.get(path + "/assignments")["value"].([]any); len(left) != 1 {
		t.Errorf("assignments %v", left)
	}
	w.do(http.MethodPost, path+"/assign", map[string]any{"assignments": []any{}})
	must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), back))
	if got := fmt.Sprint(w.profilesLeft()); got != "map[windowsQualityUpdatePolicies:1]" {
		t.Error(got)
	}
}

// TestOneProfileWhereListsLag kills a run just after it made a profile that lists
// do not show yet, and another whose answer is lost: neither the next run nor the
// next try makes a second one, and each profile names itself in the end.
func TestOneProfileWhereListsLag(t *testing.T) {
	for noun, app := range map[string]fleet.App{"qualityPolicy": patchApp(fleet.Candidate), "featureProfile": featureApp(fleet.Candidate), "qualityProfile": expediteApp(fleet.Candidate), "driverProfile": driverApp(fleet.Candidate)} {
		for _, way := range []string{"killed", "lost", "whole"} {
			for seed := range int64(3) {
				t.Run(fmt.Sprint(noun, " ", way, " ", seed), func(t *testing.T) {
					w := patchWorld(t, func(o *graph.Options) {
						o.ListLag, o.Seed = 1, seed
						if way == "lost" {
							o.Fault = func(c graph.Call) graph.Fault { return graph.Fault{Lose: c.Operation == noun+".create" && c.N == 1} }
						}
					})
					c := w.updates(nordic)
					if way == "killed" {
						ctx, cancel := context.WithCancel(t.Context())
						w.when(func(e event.Event) { cancel() })
						_, _ = c.PublishUpdate(ctx, app) // it is the next run that counts
						w.when(nil)
						c = w.updates(nordic)
					}
					state := must[fleet.AppState](t)(c.PublishUpdate(t.Context(), app))
					ok(t, c.AssignUpdate(t.Context(), app.Package, app.Slot, nil))
					seen := must[fleet.AppState](t)(w.updates(nordic).ObserveUpdate(t.Context(), app.Package, app.Slot))
					if n := w.count(noun + ".create"); n != 1 || seen.ID != state.ID {
						t.Errorf("made %d: %+v, then %+v", n, state, seen)
					}
					for name := range w.profilesLeft() {
						p := w.get("/beta/deviceManagement/" + name)["value"].([]any)[0].(map[string]any)
						if m, _ := updates.ParseMarker(p["description"].(string)); m.ID != p["id"] {
							t.Errorf("%s says %+v", p["id"], m)
						}
					}
				})
			}
		}
	}
}
