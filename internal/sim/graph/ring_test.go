package graph_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/graphpolicy"
)

// TestRingIsAConfiguration takes the update ring of docs/os-patches.md through a
// tenant as a package of kind configuration does: published, assigned to a wave
// and to all devices, read back, and nothing written by a second run.
func TestRingIsAConfiguration(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "os-patches.md"))
	if err != nil {
		t.Fatal(err)
	}
	data := must[[]byte](t)(graphpolicy.DeviceConfiguration([]byte(regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(string(page))[1])))
	w := newWorld(t, nil)
	c := w.policies(nordic)
	app := fleet.App{Package: "microsoft/update-ring", Slot: fleet.Candidate, Name: "Update ring", Publisher: "Microsoft", Version: "1", Artifact: artifact("ring"),
		Parts: []fleet.Part{{Setting: "ring", Kind: fleet.PartDeviceConfiguration, Open: opener(data), File: fleet.BuiltFile{Name: "ring.json", Digest: fleet.DigestOf(data), Size: int64(len(data))}}}}
	configure(t, c, app)
	group := must[string](t)(c.Group(t.Context(), "pilot", ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))[:2]))
	ok(t, c.Assign(t.Context(), app.Package, fleet.Candidate, to(group)))
	app.Slot = fleet.Stable
	configure(t, c, app)
	ok(t, c.Assign(t.Context(), app.Package, fleet.Stable, to("all devices")))
	state := must[fleet.AppState](t)(c.Observe(t.Context(), app.Package, fleet.Stable))
	if state.Artifact != app.Artifact || len(state.Targets) != 1 || state.Targets[0].Group != "all devices" {
		t.Errorf("%+v", state)
	}
	n := len(w.events)
	configure(t, w.policies(nordic), app)
	if len(w.events) != n {
		t.Errorf("a second run made %v", w.events[n:])
	}
	list := w.get("/beta/deviceManagement/deviceConfigurations")["value"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["deadlineForQualityUpdatesInDays"] != 3.0 {
		t.Errorf("%v", list)
	}
}
