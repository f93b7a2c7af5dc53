package graph_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

const hour = fleet.Duration(time.Hour)

// watched has a tenant's ten devices take a release in one group, and a probe
// that looks for it.
func watched(t *testing.T, w *world, release string) (*intune.Client, []fleet.Device, string) {
	t.Helper()
	c := w.client(nordic)
	publish(t, c, fleet.Candidate, release)
	devices, err := c.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range devices[:6] {
		ids = append(ids, d.ID)
	}
	group, err := c.Group(t.Context(), "dogfood", ids)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Probe(t.Context(), alive(release, group)); err != nil {
		t.Fatal(err)
	}
	return c, devices[:6], group
}

func alive(release, group string) fleet.DeviceProbe {
	return fleet.DeviceProbe{Package: pkg, Name: "alive", Script: "$want = '" + release + "'\nexit 0\n", Every: 2 * hour, Group: group}
}

// probed counts what a package's probes told.
func probed(t *testing.T, c *intune.Client) map[string]int {
	t.Helper()
	list, err := c.Health(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, h := range list {
		out[h.State]++
	}
	return out
}

// TestProbesTell: devices of the group, and no others, run the probe on its
// schedule; before the release is there they know nothing; some it makes unwell.
func TestProbesTell(t *testing.T) {
	rate := 0.0
	w := newWorld(t, func(o *graph.Options) {
		o.ListLag = 1
		o.Unhealthy = func(_ fleet.PackageID, version, name string) float64 {
			if version != "24.09" || name != "alive" {
				return 0
			}
			return rate
		}
	})
	c, members, group := watched(t, w, "24.09")
	if got := probed(t, c); len(got) != 0 {
		t.Errorf("before any check-in: %v", got)
	}
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got := probed(t, c); got["waiting"] != 6 || len(got) != 1 {
		t.Errorf("before the release: %v", got)
	}
	if err := c.Assign(t.Context(), pkg, fleet.Candidate, []fleet.Target{{Intent: "required", Group: group, Notify: "showAll"}}); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(w.clock.Now().Add(5 * time.Hour))
	if got := probed(t, c); got["ok"] != 6 || len(got) != 1 {
		t.Errorf("with the release: %v", got)
	}
	rate = 1
	if got := probed(t, c); got["failed"] != 6 || len(got) != 1 {
		t.Errorf("with a bad release: %v", got)
	}
	list, err := c.Health(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range list {
		if h.Signal != "alive" || h.At.IsZero() || h.At.After(w.clock.Now()) || h.At.Before(w.clock.Now().Add(-4*time.Hour)) || i > 0 && list[i-1].Device >= h.Device {
			t.Errorf("%+v", h)
		}
		if !contains(members, h.Device) {
			t.Errorf("%s is no member of the group", h.Device)
		}
	}
	// Another process finds the same script, and a second group is added to it.
	rest, err := c.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Group(t.Context(), "everyone", []string{rest[8].ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client(nordic).Probe(t.Context(), alive("24.09", second)); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got := probed(t, w.client(nordic)); got["failed"] != 6 || got["waiting"] != 1 {
		t.Errorf("with a second group: %v", got)
	}
	if made, changed := w.count("probe"), w.count("reprobe"); made != 1 || changed != 1 { // which names it
		t.Errorf("%d scripts were made, %d changes", made, changed)
	}
	// What the server keeps outlives it.
	w.stop()
	w.start()
	if got := probed(t, w.client(nordic)); got["failed"] != 6 || got["waiting"] != 1 {
		t.Errorf("after a restart: %v", got)
	}
	if err := w.client(nordic).Unprobe(t.Context(), pkg); err != nil {
		t.Fatal(err)
	}
	if got := probed(t, w.client(nordic)); len(got) != 0 {
		t.Errorf("after the removal: %v", got)
	}
}

func contains(list []fleet.Device, id string) bool {
	for _, d := range list {
		if d.ID == id {
			return true
		}
	}
	return false
}

// TestManyDevicesTell: run states come in pages.
func TestManyDevicesTell(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.Lag, o.Tenants = 0, []graph.Tenant{{Directory: nordic, Devices: devices(230)}}
	})
	c := w.client(nordic)
	all, err := c.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	group, err := c.Group(t.Context(), "everyone", ids)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Probe(t.Context(), fleet.DeviceProbe{Package: pkg, Name: "boot", Script: "exit 0", Every: hour, Group: group}); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got := probed(t, c); got["ok"] != 230 {
		t.Errorf("%v", got)
	}
}

// TestProbeSurvivesLostAnswers: an answer that is lost after each of the calls
// leaves one script, assigned once.
func TestProbeSurvivesLostAnswers(t *testing.T) {
	for _, operation := range []string{"script.create", "script.assign", "script.list", "script.assignments"} {
		t.Run(operation, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) {
				o.Fault = func(c graph.Call) graph.Fault { return graph.Fault{Lose: c.Operation == operation && c.N == 1} }
			})
			c, _, _ := watched(t, w, "24.09")
			w.clock.Set(w.clock.Now().Add(3 * time.Hour))
			if got := probed(t, c); got["waiting"] != 6 {
				t.Errorf("%v", got)
			}
			// A listing that lagged may have had a second one made: the next call settles that.
			devices, err := c.Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			group, err := c.Group(t.Context(), "dogfood", []string{devices[0].ID})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Probe(t.Context(), alive("24.09", group)); err != nil {
				t.Fatal(err)
			}
			if made, gone := w.count("probe"), w.count("unprobe"); made-gone != 1 {
				t.Errorf("%d scripts were made, %d removed", made, gone)
			}
		})
	}
}

// TestScriptsRefused holds the simulator to the service's strictness.
func TestScriptsRefused(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	id := ""
	w.when(func(e event.Event) {
		if e.Name == "probe" {
			id = e.Detail
		}
	})
	_, _, group := watched(t, w, "24.09")
	const scripts = "/beta/deviceManagement/deviceHealthScripts"
	assigned := func(rest string) string {
		return fmt.Sprintf(`{"deviceHealthScriptAssignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":%q}%s}]}`, group, rest)
	}
	for name, tt := range map[string]struct {
		method, path, body string
		want               int
	}{
		"v1.0 has none":             {"GET", "/v1.0/deviceManagement/deviceHealthScripts", "", 400},
		"no script":                 {"GET", scripts + "/none", "", 404},
		"without a name":            {"POST", scripts, `{"publisher":"p","runAsAccount":"system","detectionScriptContent":"ZXhpdA=="}`, 400},
		"without a detection part":  {"POST", scripts, `{"displayName":"d","publisher":"p","runAsAccount":"system"}`, 400},
		"that is no base64":         {"POST", scripts, `{"displayName":"d","publisher":"p","runAsAccount":"system","detectionScriptContent":"%"}`, 400},
		"remediation there is none": {"POST", scripts + "/" + id + "/assign", assigned(`,"runRemediationScript":true`), 400},
		"every minute":              {"POST", scripts + "/" + id + "/assign", assigned(`,"runSchedule":{"@odata.type":"#microsoft.graph.deviceHealthScriptHourlySchedule","interval":0}`), 400},
		"every month":               {"POST", scripts + "/" + id + "/assign", assigned(`,"runSchedule":{"@odata.type":"#microsoft.graph.deviceHealthScriptHourlySchedule","interval":720}`), 400},
		"daily, at no time":         {"POST", scripts + "/" + id + "/assign", assigned(`,"runSchedule":{"@odata.type":"#microsoft.graph.deviceHealthScriptDailySchedule","interval":1}`), 400},
		"to nobody":                 {"POST", scripts + "/" + id + "/assign", `{}`, 400},
		"states of users":           {"GET", scripts + "/" + id + "/deviceRunStates?$expand=user", "", 400},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Code != tt.want || !strings.Contains(rec.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if id == "" || rec(w, scripts+"/"+id) != http.StatusOK {
		t.Error("the script that is there is not found")
	}
}

func rec(w *world, path string) int {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec.Code
}

// TestProbeKeepsTheirAssignments: whom people assigned a probe's script to, and
// when it runs there, goes back as it was when packmill adds a group.
func TestProbeKeepsTheirAssignments(t *testing.T) {
	w := newWorld(t, nil)
	c, _, group := watched(t, w, "24.09")
	path := "/beta/deviceManagement/deviceHealthScripts"
	scripts := w.all(path)
	if len(scripts) != 1 {
		t.Fatalf("%d scripts", len(scripts))
	}
	one := path + "/" + scripts[0]["id"].(string)
	theirs := w.made("theirs")
	set := []any{
		map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": theirs}, "runRemediationScript": false,
			"runSchedule": map[string]any{"@odata.type": "#microsoft.graph.deviceHealthScriptRunOnceSchedule", "interval": 1, "date": "2026-12-01", "time": "08:30:00", "useUtc": true}},
	}
	w.do(http.MethodPost, one+"/assign", map[string]any{"deviceHealthScriptAssignments": set})
	of := func() map[string]any {
		for _, a := range w.list(one + "/assignments") {
			if target, _ := a["target"].(map[string]any); target["groupId"] == theirs {
				delete(a, "id")
				return a
			}
		}
		return nil
	}
	before := of()
	if schedule, _ := before["runSchedule"].(map[string]any); schedule["date"] == nil {
		t.Fatalf("the service keeps %v", before)
	}
	if err := c.Probe(t.Context(), alive("24.09", group)); err != nil {
		t.Fatal(err)
	}
	if after := of(); !reflect.DeepEqual(after, before) {
		t.Errorf("theirs was\n%v\nand is\n%v", before, after)
	}
	if n := len(w.list(one + "/assignments")); n != 2 {
		t.Errorf("%d assignments, want theirs and packmill's", n)
	}
}
