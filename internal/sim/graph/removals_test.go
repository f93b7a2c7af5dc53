package graph_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
)

// TestAdoptedAppIsGivenBack: an app that people made is theirs again when its
// package leaves, as it is by then and with whom they assigned it to.
func TestAdoptedAppIsGivenBack(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	app := w.theirApp("7-Zip", "Owner: service desk\nticket 4711")
	ok(t, c.Adopt(t.Context(), pkg, app))
	publish(t, c, fleet.Stable, "24.09")
	w.do(http.MethodPost, appPath+app+"/assign", map[string]any{"mobileAppAssignments": []any{map[string]any{
		"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "required", "settings": nil,
		"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": finance},
	}}})
	candidate := publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	for range 2 {
		ok(t, w.client(nordic).Remove(t.Context(), pkg, 0))
	}
	after := w.get(appPath + app)
	if after["notes"] != "Owner: service desk\nticket 4711" {
		t.Errorf("notes %q", after["notes"])
	}
	left := w.assignments(app)
	if len(left) != 1 || left[0]["target"].(map[string]any)["groupId"] != finance {
		t.Errorf("assigned to %v", left)
	}
	if status := w.status(http.MethodGet, appPath+candidate.ID, nil); status != http.StatusNotFound {
		t.Errorf("the candidate is still there: %d", status)
	}
	// It is nobody's slot: a package that comes back gets an app of its own.
	if state := publish(t, w.client(nordic), fleet.Stable, "24.09"); state.ID == app {
		t.Error("the app that was given back was taken for the slot's")
	}
}

// configurations are the ids of the objects of all kinds that bear packmill's line.
func (w *world) configurations() map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for _, collection := range []string{"configurationPolicies", "deviceConfigurations", "deviceCompliancePolicies", "deviceHealthScripts"} {
		for _, v := range w.get("/beta/deviceManagement/" + collection + "?$top=1000")["value"].([]any) {
			o := v.(map[string]any)
			d, _ := o["description"].(string)
			if _, ours := policy.ParseMarker(d); ours {
				out[collection+"/"+o["id"].(string)] = true
			}
		}
	}
	return out
}

// TestConfigurationLeaves: objects of all kinds go, a copy that people made and
// what is theirs stays.
func TestConfigurationLeaves(t *testing.T) {
	w := newWorld(t, nil)
	c := w.policies(nordic)
	for _, slot := range []string{fleet.Stable, fleet.Candidate} {
		configure(t, c, configuration(t, slot, "1.0"))
	}
	ok(t, c.Assign(t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}}))
	theirs := w.do(http.MethodPost, "/beta/deviceManagement/deviceConfigurations", map[string]any{
		"@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "displayName": "Ring", "description": "of Acme", "qualityUpdatesDeferralPeriodInDays": 3,
	})["id"].(string)
	before := w.get("/beta/deviceManagement/deviceConfigurations/" + theirs)
	if len(w.configurations()) != 10 {
		t.Fatalf("configured %v", w.configurations())
	}
	for range 2 {
		ok(t, w.policies(nordic).Remove(t.Context(), baseline, 0))
	}
	if left := w.configurations(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if after := w.get("/beta/deviceManagement/deviceConfigurations/" + theirs); !reflect.DeepEqual(before, after) {
		t.Errorf("theirs was %v, is %v", before, after)
	}
	if state := configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.1")); state.Version != "1.1" {
		t.Errorf("it came back as %+v", state)
	}
}

// TestConfigurationOfPeopleStays: one that people assigned keeps the others too,
// until they say otherwise.
func TestConfigurationOfPeopleStays(t *testing.T) {
	w := newWorld(t, nil)
	configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.0"))
	have := w.configurations()
	for path := range have {
		if id, catalog := strings.CutPrefix(path, "configurationPolicies/"); catalog {
			w.do(http.MethodPost, "/beta/deviceManagement/configurationPolicies/"+id+"/assign", map[string]any{"assignments": []any{
				map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": finance}}}})
		}
	}
	err := w.policies(nordic).Remove(t.Context(), baseline, 0)
	var known *fleet.Error
	if !errors.As(err, &known) || known.Kind != fleet.Stalled || known.Hint == "" || !reflect.DeepEqual(have, w.configurations()) {
		t.Errorf("%v; had %v, has %v", err, have, w.configurations())
	}
}

// TestUpdatesLeave: what a patch's profiles let devices have is suspended before
// they go; devices keep what they took.
func TestUpdatesLeave(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:3]))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), driverApp(fleet.Stable)))
	ok(t, c.AssignUpdate(t.Context(), patchID, fleet.Candidate, to(group)))
	w.pass(11 * time.Hour)
	for _, id := range []fleet.PackageID{patchID, driverID} {
		for range 2 {
			ok(t, w.updates(nordic).RemoveUpdate(t.Context(), id, 0))
		}
	}
	for _, set := range []string{"windowsQualityUpdatePolicies", "windowsDriverUpdateProfiles"} {
		if left := w.get("/beta/deviceManagement/" + set)["value"].([]any); len(left) != 0 {
			t.Errorf("%s: left %v", set, left)
		}
	}
	w.pass(100 * time.Hour)
	if got := builds(t, apps, all[:3]); got["10.0.22631.6199"] != 3 {
		t.Errorf("devices have %v", got)
	}
	if got := builds(t, apps, all[3:]); got["10.0.22631"] != 7 {
		t.Errorf("others have %v", got)
	}
	w = patchWorld(t, nil)
	c = w.updates(nordic)
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), patchApp(fleet.Candidate)))
	id := w.get("/beta/deviceManagement/windowsQualityUpdatePolicies")["value"].([]any)[0].(map[string]any)["id"].(string)
	w.do(http.MethodPost, "/beta/deviceManagement/windowsQualityUpdatePolicies/"+id+"/assign", map[string]any{"assignments": []any{
		map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": finance}}}})
	if err := c.RemoveUpdate(t.Context(), patchID, 0); fleet.KindOf(err) != fleet.Stalled || len(w.get("/beta/deviceManagement/windowsQualityUpdatePolicies")["value"].([]any)) != 1 {
		t.Errorf("what people assigned: %v", err)
	}
}

// TestLeavingKilledAtEachStep: a configuration that leaves is gone in the end,
// wherever a run was killed.
func TestLeavingKilledAtEachStep(t *testing.T) {
	for kill := 1; ; kill++ {
		w := newWorld(t, nil)
		app := configuration(t, fleet.Stable, "1.0", fleet.PartCatalogPolicy, fleet.PartHealthScript)
		configure(t, w.policies(nordic), app)
		ok(t, w.policies(nordic).Assign(t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}}))
		before := len(w.events)
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(event.Event) {
			if len(w.events) == before+kill {
				cancel()
			}
		})
		_ = w.policies(nordic).Remove(ctx, baseline, 0)
		killed := ctx.Err() != nil
		cancel()
		w.when(nil)
		ok(t, w.policies(nordic).Remove(t.Context(), baseline, 0))
		if left := w.configurations(); len(left) != 0 {
			t.Errorf("%d: left %v", kill, left)
		}
		if !killed {
			if kill < 5 {
				t.Errorf("it took %d steps alone", kill-1)
			}
			return
		}
	}
}
