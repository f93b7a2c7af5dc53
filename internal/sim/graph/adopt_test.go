package graph_test

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
)

// TestEnrolmentPages: pages that wait for a slot are told, and while one does the
// slot's app is neither left without an assignment nor deleted; a stop is not
// refused for that.
func TestEnrolmentPages(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	stable, candidate := publish(t, c, fleet.Stable, "24.08"), publish(t, c, fleet.Candidate, "24.09")
	theirs := w.theirApp("Their app", "made by hand")
	w.page("Autopilot", theirs, stable.ID)
	w.page("Kiosks", "0b1c2d3e-1111-4222-8333-444455556666")
	w.do(http.MethodPost, "/v1.0/deviceManagement/deviceEnrollmentConfigurations", map[string]any{
		"@odata.type": "#microsoft.graph.deviceEnrollmentLimitConfiguration", "displayName": "Five each", "limit": 5,
	})
	want := []fleet.Awaited{{Page: "Autopilot", Package: pkg, Slot: fleet.Stable, App: stable.ID}}
	if got := must[[]fleet.Awaited](t)(w.client(nordic).Awaited(t.Context())); !reflect.DeepEqual(got, want) {
		t.Errorf("awaited %+v", got)
	}
	all := fleet.Target{Intent: "required", Group: "all devices"}
	assign(t, c, fleet.Stable, all)
	assign(t, c, fleet.Candidate, all)
	if err := c.Assign(t.Context(), pkg, fleet.Stable, nil); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), `"Autopilot" names app `+stable.ID) {
		t.Errorf("unassigned: %v", err)
	}
	assign(t, c, fleet.Candidate)
	if err := c.Stop(t.Context(), pkg, fleet.Stable); err != nil || len(w.assignments(stable.ID)) != 0 {
		t.Errorf("a stop: %v, left %v", err, w.assignments(stable.ID))
	}
	if err := c.Remove(t.Context(), pkg, 0); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "Autopilot") {
		t.Errorf("removed: %v", err)
	}
	if status := w.status(http.MethodGet, appPath+candidate.ID, nil); status != http.StatusOK {
		t.Errorf("a refusal took the other slot's app: %d", status)
	}
	// The next release goes into the same object, and the page stays as it is.
	if again := publish(t, c, fleet.Stable, "24.10"); again.ID != stable.ID {
		t.Errorf("the slot's app was %s, is %s", stable.ID, again.ID)
	}
}

const appPath = "/beta/deviceAppManagement/mobileApps/"

// theirApp is a Win32 app that somebody in the tenant made, and its id.
func (w *world) theirApp(name, notes string) string {
	w.t.Helper()
	return w.do(http.MethodPost, strings.TrimSuffix(appPath, "/"), map[string]any{
		"@odata.type": "#microsoft.graph.win32LobApp", "displayName": name, "publisher": "Them", "description": name, "notes": notes, "fileName": "a.intunewin",
		"setupFilePath": "a.exe", "installCommandLine": "a.exe /S", "uninstallCommandLine": "a.exe /U",
		"rules": []any{map[string]any{"@odata.type": "#microsoft.graph.win32LobAppFileSystemRule", "ruleType": "detection", "path": "C:\\a", "fileOrFolderName": "a.exe", "operationType": "exists", "operator": "notConfigured"}},
	})["id"].(string)
}

// TestAdopt: an app that people made becomes the slot by its id, with their
// notes, and gets the next release in place; one of the same name beside it stays
// what it is.
func TestAdopt(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	app, same := w.theirApp("7-Zip", "Owner: service desk\nticket 4711"), w.theirApp("7-Zip", "the old one")
	before, beside := w.get(appPath+app), w.get(appPath+same)
	for range 2 {
		if err := c.Adopt(t.Context(), pkg, app); err != nil {
			t.Fatal(err)
		}
	}
	after := w.get(appPath + app)
	notes := after["notes"].(string)
	if m, ok := intune.ParseMarker(notes); !ok || m.Package != pkg || m.Slot != fleet.Stable || !m.Adopted || !strings.HasPrefix(notes, "Owner: service desk\nticket 4711\n") {
		t.Errorf("notes %q", notes)
	}
	for _, m := range []map[string]any{before, after} {
		maps.DeleteFunc(m, func(k string, _ any) bool { return k == "notes" || k == "lastModifiedDateTime" })
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("more than the notes changed: was %v, is %v", before, after)
	}
	if state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable)); state.ID != app || state.Artifact != "" {
		t.Errorf("the slot is %+v", state)
	}
	if state := publish(t, w.client(nordic), fleet.Stable, "24.09"); state.ID != app || len(state.Duplicates) != 0 {
		t.Errorf("published into %+v, adopted %s", state, app)
	}
	if notes := w.get(appPath + app)["notes"].(string); !strings.HasPrefix(notes, "Owner: service desk\nticket 4711\n") {
		t.Errorf("notes afterwards %q", notes)
	}
	if got := w.get(appPath + same); !reflect.DeepEqual(got, beside) {
		t.Errorf("the app of the same name was %v, is %v", beside, got)
	}
}

func TestAdoptRefusals(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	const other = fleet.PackageID("acme/other")
	app := w.theirApp("Theirs", "")
	if err := c.Adopt(t.Context(), other, app); err != nil {
		t.Fatal(err)
	}
	slot := publish(t, c, fleet.Stable, "24.08")
	candidate := publish(t, c, fleet.Candidate, "24.09")
	free := w.theirApp("Another", "")
	w.get(appPath + free) // it is everywhere by now
	events := len(w.events)
	for name, a := range map[string]struct {
		pkg fleet.PackageID
		app string
		why string
	}{
		"another package's slot": {pkg, app, "is the slot acme/other (stable) already"},
		"the candidate slot":     {pkg, candidate.ID, "(candidate) already"},
		"a slot that is there":   {pkg, free, "the slot is app " + slot.ID + " already"},
		"an app that is not":     {"acme/third", "0b1c2d3e-1111-4222-8333-444455556666", "has no app"},
		"a second app":           {other, free, "the slot is app " + app + " already"},
	} {
		for _, client := range []*intune.Client{c, w.client(nordic)} {
			if err := client.Adopt(t.Context(), a.pkg, a.app); fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), a.why) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(w.events) != events {
		t.Errorf("something was changed: %v", w.events[events:])
	}
}

// TestAdoptKilled kills an adoption at its one change: the next run finds it
// done.
func TestAdoptKilled(t *testing.T) {
	w := newWorld(t, nil)
	app := w.theirApp("7-Zip", "Owner: service desk")
	ctx, cancel := context.WithCancel(t.Context())
	w.when(func(event.Event) { cancel() })
	_ = w.client(nordic).Adopt(ctx, pkg, app)
	w.when(nil)
	cancel()
	if err := w.client(nordic).Adopt(t.Context(), pkg, app); err != nil {
		t.Error(err)
	}
	if notes := w.get(appPath + app)["notes"].(string); strings.Count(notes, "packmill:") != 1 || !strings.HasPrefix(notes, "Owner: service desk\n") {
		t.Errorf("notes %q", notes)
	}
}

// TestForeignAppsUntouched: whatever packmill does with a package, apps that are
// not its own stay as they are, those of the package's name and of an id in a
// note like packmill's included.
func TestForeignAppsUntouched(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	var foreign []string
	for _, notes := range []string{"", "packmill: not a marker", "packmill: {\"package\":\"igor-pavlov/7-zip\"}", "see packmill: {\"package\":\"igor-pavlov/7-zip\",\"slot\":\"stable\"}"} {
		foreign = append(foreign, w.theirApp("7-Zip", notes))
	}
	before := map[string]any{}
	for _, id := range foreign {
		before[id] = w.get(appPath + id)
	}
	mine := publish(t, c, fleet.Stable, "24.08")
	wave := must[string](t)(c.Group(t.Context(), "pilot", nil))
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"}, fleet.Target{Intent: "required", Group: wave, Exclude: true})
	publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: wave})
	assign(t, c, fleet.Candidate)
	publish(t, c, fleet.Stable, "24.09")
	if err := c.Stop(t.Context(), pkg, fleet.Stable); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), pkg, 0); err != nil {
		t.Fatal(err)
	}
	for _, id := range foreign {
		if after := w.get(appPath + id); !reflect.DeepEqual(after, before[id]) {
			t.Errorf("app %s was %v, is %v", id, before[id], after)
		}
	}
	if status := w.status(http.MethodGet, appPath+mine.ID, nil); status != http.StatusNotFound {
		t.Errorf("packmill's own is still there: %d", status)
	}
}
