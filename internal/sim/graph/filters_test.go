package graph_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

const filtersPath = "/beta/deviceManagement/assignmentFilters"

// filter makes an assignment filter as somebody in the tenant would.
func (w *world) filter(name, platform, rule string) string {
	w.t.Helper()
	return w.do(http.MethodPost, filtersPath, map[string]any{
		"displayName": name, "platform": platform, "rule": rule, "assignmentFilterManagementType": "devices",
	})["id"].(string)
}

// mixed is a tenant with six tills and four desks.
func mixed(o *graph.Options) {
	all := devices(10)
	for i := range 6 {
		all[i].Department, all[i].Model = "Tills", "T1"
	}
	o.Tenants[0].Devices = all
}

func TestFilterByName(t *testing.T) {
	w := newWorld(t, nil)
	want := w.filter("Desks", "windows10AndLater", `device.model -eq "L14"`)
	w.filter("Desks", "macOS", `device.model -eq "Mac14,2"`)
	w.filter("Phones", "iOS", `device.model -eq "iPhone"`)
	w.filter("Twice", "windows10AndLater", `device.model -eq "1"`)
	w.filter("Twice", "windows10AndLater", `device.model -eq "2"`)
	for i := range 120 { // more than a page
		w.filter(fmt.Sprintf("Other %d", i), "windows10AndLater", `device.model -eq "x"`)
	}
	c := w.client(nordic)
	if got := must[string](t)(c.Filter(t.Context(), "Desks")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, why := range map[string]string{"Nobody's": "has no assignment filter", "Twice": "has 2 assignment filters", "Phones": "not for Windows devices: iOS", "desks": "no assignment filter"} {
		if id, err := c.Filter(t.Context(), name); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
	late := w.filter("Late", "windows10AndLater", `device.model -eq "x"`)
	if got := must[string](t)(c.Filter(t.Context(), "Late")); got != late {
		t.Errorf("a filter made since: got %s, want %s", got, late)
	}
	if ok := w.do(http.MethodPost, filtersPath+"/validateFilter", map[string]any{"deviceAndAppManagementAssignmentFilter": map[string]any{"rule": "device.model"}}); ok["isValidRule"] != false {
		t.Errorf("a rule that says nothing is valid: %v", ok)
	}
}

// TestFilteredDevices: a device that the filter leaves out does not install, a
// rule that changes later reaches devices from then on, and a filter in use
// cannot be deleted.
func TestFilteredDevices(t *testing.T) {
	for _, tt := range []struct {
		unfiltered bool
		first, all int // devices with the release, before the rule changes and after
	}{{false, 6, 10}, {true, 4, 4}} {
		w := newWorld(t, mixed)
		c := w.client(nordic)
		id := w.filter("Tills", "windows10AndLater", `(device.deviceCategory -eq "Tills")`)
		publish(t, c, fleet.Stable, "24.08")
		all := fleet.Target{Intent: "required", Group: "all devices", Filter: id, Unfiltered: tt.unfiltered, Notify: "showReboot"}
		assign(t, c, fleet.Stable, all)
		if got := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Stable)).Targets; !reflect.DeepEqual(got, []fleet.Target{all}) {
			t.Errorf("read back %+v", got)
		}
		w.clock.Set(monday)
		if got := states(t, c, fleet.Stable); got["installed 24.08"] != tt.first || len(got) != 1 {
			t.Errorf("unfiltered %v: %v", tt.unfiltered, got)
		}
		w.do(http.MethodPatch, filtersPath+"/"+id, map[string]any{"rule": `device.manufacturer -eq "Contoso"`})
		w.clock.Set(monday.Add(24 * time.Hour))
		if got := states(t, c, fleet.Stable); got["installed 24.08"] != tt.all {
			t.Errorf("unfiltered %v, after the rule changed: %v", tt.unfiltered, got)
		}
		if status := w.status(http.MethodDelete, filtersPath+"/"+id, nil); status != http.StatusBadRequest {
			t.Errorf("a filter in use was deleted: %d", status)
		}
		assign(t, c, fleet.Stable)
		if status := w.status(http.MethodDelete, filtersPath+"/"+id, nil); status != http.StatusNoContent {
			t.Errorf("a filter that nobody uses: %d", status)
		}
	}
}

// status makes a request as somebody in the tenant would, and tells how it went.
func (w *world) status(method, path string, body any) int {
	w.t.Helper()
	status, _ := w.try(method, path, body)
	return status
}

// restarting is a release whose installer restarts by its exit code.
func restarting(t *testing.T) (fleet.App, fleet.Content) {
	app, content := release(t, fleet.Stable, "24.08", 5000)
	app.Installer.Restart = "byExitCode"
	return app, content
}

// TestRestartGrace: the settings arrive, are read back as they were meant, and
// go nowhere without an app that restarts by its exit code.
func TestRestartGrace(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	app, content := restarting(t)
	state := must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	want := fleet.Target{
		Intent: "required", Group: "all devices", Notify: "showAll", Foreground: true, Restart: fleet.Restart{Grace: 1440, Countdown: 15, Snooze: 60},
		Opens: monday.Add(22 * time.Hour), Deadline: monday.Add(46 * time.Hour), LocalTime: true,
	}
	out := fleet.Target{Intent: "required", Group: w.made("Kiosks"), Exclude: true}
	assign(t, c, fleet.Stable, want, out)
	got := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable)).Targets
	if len(got) != 2 || !slices.Contains(got, want) || !slices.Contains(got, out) {
		t.Errorf("read back %+v", got)
	}
	for _, a := range w.assignments(state.ID) {
		settings, _ := a["settings"].(map[string]any)
		if a["target"].(map[string]any)["@odata.type"] == "#microsoft.graph.exclusionGroupAssignmentTarget" {
			if settings != nil {
				t.Errorf("settings of an exclusion: %v", settings)
			}
			continue
		}
		at := settings["installTimeSettings"].(map[string]any)
		if at["useLocalTime"] != true || at["startDateTime"] != "2026-11-24T10:00:00Z" || settings["deliveryOptimizationPriority"] != "foreground" {
			t.Errorf("settings %v", settings)
		}
	}
	none := want
	none.Restart = fleet.Restart{}
	assign(t, c, fleet.Stable, none)
	if got := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Stable)).Targets; !reflect.DeepEqual(got, []fleet.Target{none}) {
		t.Errorf("without restart settings %+v", got)
	}
	for name, target := range map[string]fleet.Target{
		"no countdown":        {Intent: "required", Group: "all devices", Restart: fleet.Restart{Grace: 10}},
		"countdown too long":  {Intent: "required", Group: "all devices", Restart: fleet.Restart{Grace: 10, Countdown: 11}},
		"two weeks and more":  {Intent: "required", Group: "all devices", Restart: fleet.Restart{Grace: 20161, Countdown: 11}},
		"filtered exclusion":  {Intent: "required", Group: finance, Exclude: true, Filter: "f"},
		"snooze beyond grace": {Intent: "required", Group: "all devices", Restart: fleet.Restart{Grace: 10, Countdown: 5, Snooze: 11}},
	} {
		if err := c.Assign(t.Context(), pkg, fleet.Stable, []fleet.Target{target}); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	publish(t, c, fleet.Candidate, "24.09")
	if err := c.Assign(t.Context(), pkg, fleet.Candidate, []fleet.Target{want}); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "exit code") {
		t.Errorf("an app that does not restart: %v", err)
	}
}

// assignments are those of an app, as the service tells them.
func (w *world) assignments(app string) []map[string]any {
	w.t.Helper()
	var out []map[string]any
	for _, a := range w.get("/beta/deviceAppManagement/mobileApps/" + app + "/assignments")["value"].([]any) {
		out = append(out, a.(map[string]any))
	}
	return out
}

// TestForeignSetsSurvive: whatever people of the tenant assigned an app to, it is
// there letter by letter after packmill has assigned, changed and withdrawn its
// part.
func TestForeignSetsSurvive(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	app, content := restarting(t)
	state := must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	wave := must[string](t)(c.Group(t.Context(), "dogfood", nil))
	filters := []string{w.filter("A", "windows10AndLater", `device.model -eq "L14"`), w.filter("B", "windows10AndLater", `device.model -ne "L14"`)}
	var groups []string
	for i := range 8 {
		groups = append(groups, w.made(fmt.Sprintf("Their group %d", i)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 25 {
		theirs := []any{}
		for _, g := range groups {
			if a := foreignAssignment(random, g, filters); a != nil {
				theirs = append(theirs, a)
			}
		}
		w.do(http.MethodPost, "/beta/deviceAppManagement/mobileApps/"+state.ID+"/assign", map[string]any{"mobileAppAssignments": theirs})
		before := w.told(state.ID, "")
		ours := []fleet.Target{
			{Intent: "required", Group: "all devices", Filter: filters[round%2]}, {Intent: "required", Group: wave, Exclude: true},
		}
		for _, targets := range [][]fleet.Target{ours, {{Intent: "required", Group: wave, Opens: monday}}, nil} {
			assign(t, w.client(nordic), fleet.Stable, targets...)
			if after := w.told(state.ID, wave); !maps.Equal(before, after) {
				t.Fatalf("round %d, targets %v: foreign assignments were\n%v, are\n%v", round, targets, before, after)
			}
		}
	}
}

// told is the text of an app's assignments by target, but those of all devices
// and of one group.
func (w *world) told(app, but string) map[string]string {
	out := map[string]string{}
	for _, a := range w.assignments(app) {
		target := a["target"].(map[string]any)
		if g, _ := target["groupId"].(string); g != "" && g != but {
			out[fmt.Sprint(target["@odata.type"], g)] = fmt.Sprint(a)
		}
	}
	return out
}

// foreignAssignment is some assignment to a group that somebody might have made,
// or none.
func foreignAssignment(random *rand.Rand, group string, filters []string) map[string]any {
	pick := func(of ...any) any { return of[random.IntN(len(of))] }
	out := map[string]any{"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": pick("required", "available", "uninstall"), "settings": nil}
	switch random.IntN(4) {
	case 0:
		return nil
	case 1:
		out["target"] = map[string]any{"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": group}
		return out
	}
	target := map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}
	if random.IntN(2) == 0 {
		target["deviceAndAppManagementAssignmentFilterId"] = filters[random.IntN(2)]
		target["deviceAndAppManagementAssignmentFilterType"] = pick("include", "exclude")
	}
	out["target"] = target
	out["settings"] = map[string]any{
		"@odata.type": "#microsoft.graph.win32LobAppAssignmentSettings", "notifications": pick("showAll", "showReboot", "hideAll"),
		"deliveryOptimizationPriority": pick("foreground", "notConfigured"),
		"installTimeSettings":          pick(nil, map[string]any{"useLocalTime": pick(true, false), "startDateTime": pick(nil, "2026-11-20T08:00:00Z"), "deadlineDateTime": "2026-12-01T08:00:00.0000000Z"}),
		"restartSettings": pick(nil, map[string]any{
			"gracePeriodInMinutes": 1 + random.IntN(20160), "countdownDisplayBeforeRestartInMinutes": 1 + random.IntN(240), "restartNotificationSnoozeDurationInMinutes": pick(nil, 30),
		}),
		"autoUpdateSettings": pick(nil, map[string]any{"autoUpdateSupersededAppsState": "enabled"}),
	}
	return out
}
