package graph_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
)

// finance is a group of the tenant's own.
const finance = "0b1c2d3e-1111-4222-8333-444455556666"

// TestForeignAssignments keeps what the tenant's people assigned, with its
// settings and filter, and takes away what packmill assigned, all devices and a
// group of the tenant's included.
func TestForeignAssignments(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	app, content := restarting(t)
	state := must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	path := "/beta/deviceAppManagement/mobileApps/" + state.ID
	filter := w.filter("Desks", "windows10AndLater", `device.model -eq "L14"`)
	theirs := map[string]any{
		"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "available",
		"target": map[string]any{
			"@odata.type": "#microsoft.graph.allLicensedUsersAssignmentTarget", "deviceAndAppManagementAssignmentFilterId": filter,
			"deviceAndAppManagementAssignmentFilterType": "include",
		},
		"settings": map[string]any{
			"@odata.type": "#microsoft.graph.win32LobAppAssignmentSettings", "notifications": "showAll", "deliveryOptimizationPriority": "foreground",
			"installTimeSettings": nil, "restartSettings": map[string]any{"gracePeriodInMinutes": 60, "countdownDisplayBeforeRestartInMinutes": 10},
			"autoUpdateSettings": map[string]any{"autoUpdateSupersededAppsState": "enabled"},
		},
	}
	w.do(http.MethodPost, path+"/assign", map[string]any{"mobileAppAssignments": []any{theirs}})
	wave := must[string](t)(c.Group(t.Context(), "dogfood", nil))
	ours := []fleet.Target{
		{Intent: "required", Group: "all devices", Notify: "hideAll", Opens: monday, Deadline: monday.Add(time.Hour)},
		{Intent: "required", Group: wave, Exclude: true},
		{Intent: "uninstall", Group: finance, Notify: "showReboot"},
	}
	assign(t, c, fleet.Stable, ours...)
	if got := len(w.get(path + "/assignments")["value"].([]any)); got != 4 {
		t.Fatalf("%d assignments, want 4", got)
	}
	// What is read back is what was asked, and asking again writes nothing.
	n := len(w.events)
	fresh := w.client(nordic)
	assign(t, fresh, fleet.Stable, ours...)
	if len(w.events) != n {
		t.Errorf("events %v", w.events[n:])
	}
	got := must[fleet.AppState](t)(fresh.Observe(t.Context(), pkg, fleet.Stable)).Targets
	if len(got) != 3 {
		t.Fatalf("targets %+v", got)
	}
	for _, want := range ours {
		found := false
		for _, g := range got {
			found = found || reflect.DeepEqual(g, want)
		}
		if !found {
			t.Errorf("%+v is not among %+v", want, got)
		}
	}
	assign(t, w.client(nordic), fleet.Stable)
	left := w.get(path + "/assignments")["value"].([]any)
	if len(left) != 1 {
		t.Fatalf("left %v", left)
	}
	kept := left[0].(map[string]any)
	for name := range theirs {
		if fmt.Sprint(kept[name]) != fmt.Sprint(theirs[name]) && name != "settings" {
			t.Errorf("%s is %v, was %v", name, kept[name], theirs[name])
		}
	}
	if s := kept["settings"].(map[string]any); s["deliveryOptimizationPriority"] != "foreground" || s["restartSettings"] == nil || s["autoUpdateSettings"] == nil {
		t.Errorf("settings were lost: %v", s)
	}
}

// TestAssignIsOwnedThroughCrashes kills an assignment of all devices at each
// event: a later withdrawal always finds it.
func TestAssignIsOwnedThroughCrashes(t *testing.T) {
	for kill := 1; kill <= 3; kill++ {
		w := newWorld(t, nil)
		state := publish(t, w.client(nordic), fleet.Stable, "24.09")
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		w.when(func(event.Event) {
			if seen++; seen == kill {
				cancel()
			}
		})
		_ = w.client(nordic).Assign(ctx, pkg, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}})
		w.when(nil)
		cancel()
		assign(t, w.client(nordic), fleet.Stable)
		if left := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID + "/assignments")["value"].([]any); len(left) != 0 {
			t.Errorf("killed at %d: left %v", kill, left)
		}
	}
}

func TestAssignRefusals(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	all := fleet.Target{Intent: "required", Group: "all devices"}
	if err := c.Assign(t.Context(), pkg, fleet.Stable, []fleet.Target{all}); fleet.KindOf(err) != fleet.Stalled {
		t.Errorf("an empty slot was assigned: %v", err)
	}
	if err := c.Assign(t.Context(), pkg, fleet.Stable, nil); err != nil {
		t.Errorf("withdrawing from an empty slot: %v", err)
	}
	publish(t, c, fleet.Stable, "24.09")
	for name, targets := range map[string][]fleet.Target{
		"intent":   {{Intent: "updateOnly", Group: "all devices"}},
		"group":    {{Intent: "required"}},
		"twice":    {all, all},
		"exclude":  {{Intent: "required", Group: "all devices", Exclude: true}},
		"notify":   {{Intent: "required", Group: "all devices", Notify: "loudly"}},
		"deadline": {{Intent: "required", Group: "all devices", Opens: monday, Deadline: monday.Add(-time.Second)}},
		"no guid":  {{Intent: "required", Group: "Finance"}},
	} {
		if err := c.Assign(t.Context(), pkg, fleet.Stable, targets); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := c.Assign(t.Context(), pkg, "third", nil); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("slot: error %v", err)
	}
}
