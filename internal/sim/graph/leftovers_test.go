package graph_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestSpareProfile removes a second profile that a lost answer left behind: its
// marker names no object yet.
func TestSpareProfile(t *testing.T) {
	w := patchWorld(t, nil)
	id := must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), patchApp(fleet.Candidate))).ID
	const path = "/beta/deviceManagement/windowsQualityUpdatePolicies"
	first := w.get(path)["value"].([]any)[0].(map[string]any)
	description, _ := first["description"].(string)
	description = strings.Replace(description, `"id":"`+id+`",`, "", 1) // it died before it named itself
	w.clock.Set(w.clock.Now().Add(time.Minute))
	w.do(http.MethodPost, path, map[string]any{"displayName": "q", "description": description, "hotpatchEnabled": true})
	if again := must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), patchApp(fleet.Candidate))).ID; again != id {
		t.Errorf("%s is used instead of %s", again, id)
	}
	if left := w.get(path)["value"].([]any); len(left) != 1 {
		t.Errorf("%d profiles are left", len(left))
	}
}

// TestAppsMoved tells of packmill's apps whether a person changed them.
func TestAppsMoved(t *testing.T) {
	w := newWorld(t, nil)
	state := publish(t, w.client(nordic), fleet.Stable, "24.08")
	moved := func() bool {
		ours, foreign, err := w.client(nordic).Objects(t.Context())
		if err != nil || len(ours) != 1 || len(foreign) != 0 || ours[0].ID != state.ID {
			t.Fatalf("%+v, %+v, %v", ours, foreign, err)
		}
		return ours[0].Moved
	}
	if moved() {
		t.Error("an app that nobody touched has moved")
	}
	w.do(http.MethodPatch, "/beta/deviceAppManagement/mobileApps/"+state.ID, map[string]any{
		"@odata.type": "#microsoft.graph.win32LobApp", "description": "as somebody likes it better",
	})
	if !moved() {
		t.Error("a person's change is not seen")
	}
}

// TestPartsGo removes each kind of object that a release no longer has.
func TestPartsGo(t *testing.T) {
	w := newWorld(t, nil)
	configure(t, w.policies(nordic), configuration(t, fleet.Candidate, "1.0"))
	configure(t, w.policies(nordic), configuration(t, fleet.Candidate, "1.1", fleet.PartHealthScript))
	for _, collection := range []string{"configurationPolicies", "deviceConfigurations", "deviceCompliancePolicies"} {
		if left := w.get("/beta/deviceManagement/" + collection)["value"].([]any); len(left) != 0 {
			t.Errorf("%s has %d left", collection, len(left))
		}
	}
}
