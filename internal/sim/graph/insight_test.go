package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestDetectedApps counts programs on devices, those that packmill installed and
// those that it knows nothing of, over several pages.
func TestDetectedApps(t *testing.T) {
	w := armed(t, 30, func(o *graph.Options) {
		for i := range o.Tenants[0].Devices {
			d := &o.Tenants[0].Devices[i]
			d.Software = []graph.Software{{Name: "Contoso Ledger", Publisher: "Contoso", Version: "3.1"}}
			if i < 10 {
				d.Software = append(d.Software, graph.Software{Name: "Fabrikam Draw", Publisher: "Fabrikam", Version: "9.0"})
			}
			d.Software = append(d.Software, graph.Software{Name: fmt.Sprintf("Own tool %02d", i), Version: "1"}, graph.Software{Name: fmt.Sprintf("Other tool %02d", i), Version: "1"})
		}
		o.Tenants[0].Devices[3].Installed = map[fleet.PackageID]string{"acme/old-thing": "1.2"}
	}, monday, time.Time{}, false)
	w.clock.Set(monday.Add(2 * time.Hour))
	c := w.client(nordic)
	apps := must[[]fleet.DetectedApp](t)(c.Apps(t.Context()))
	got := map[string]int{}
	for _, a := range apps {
		if !strings.Contains(a.Name, "tool") {
			got[a.Name+" "+a.Version+" "+a.Publisher+" "+a.Platform] = a.Devices
		}
	}
	want := map[string]int{"Contoso Ledger 3.1 Contoso windows": 30, "Fabrikam Draw 9.0 Fabrikam windows": 10, "7-Zip 24.09 Igor Pavlov windows": 30, "old-thing 1.2  windows": 1}
	if !maps.Equal(got, want) || len(apps) != 64 {
		t.Errorf("%d apps: %v, want %v", len(apps), got, want)
	}
	if !slices.IsSortedFunc(apps, func(a, b fleet.DetectedApp) int { return b.Devices - a.Devices }) {
		t.Error("not by devices")
	}
	devices := must[[]string](t)(c.AppDevices(t.Context(), "Fabrikam Draw", "9.0"))
	if len(devices) != 10 || len(must[[]string](t)(c.AppDevices(t.Context(), "Fabrikam Draw", "9.1"))) != 0 {
		t.Errorf("devices %v", devices)
	}
}

// person makes a request with a person's token.
func (w *world) person(method, path string, body any) int {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequest(method, w.http.URL+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.server.PersonToken(nordic, "ada@aurora.example"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestAuditEvents reads what packmill and a person did, with the lag the service
// has, over pages, and no name of the person.
func TestAuditEvents(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0; o.AuditLag = time.Hour })
	c := w.client(nordic)
	start := w.clock.Now()
	state := publish(t, c, fleet.Stable, "24.09")
	w.clock.Set(start.Add(2 * time.Hour))
	ours := must[fleet.ConsoleAudit](t)(c.AuditEvents(t.Context(), start, w.clock.Now()))
	if len(ours.Events) < 5 || len(ours.Objects) != 1 || ours.Objects[state.ID] != (fleet.OwnObject{Kind: "app", Package: pkg}) {
		t.Fatalf("%+v", ours)
	}
	for _, e := range ours.Events {
		if e.Person || e.Application != ours.Application || !slices.Equal(e.Objects, []string{state.ID}) {
			t.Errorf("%+v", e)
		}
	}
	for i := range 120 {
		if code := w.person(http.MethodPatch, "/beta/deviceAppManagement/mobileApps/"+state.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "description": fmt.Sprint(i)}); code >= 300 {
			t.Fatalf("answer %d", code)
		}
	}
	changed := w.clock.Now()
	if early := must[fleet.ConsoleAudit](t)(c.AuditEvents(t.Context(), changed, changed)); len(early.Events) >= 120 {
		t.Errorf("all events at once: %d", len(early.Events))
	}
	w.clock.Set(changed.Add(2 * time.Hour))
	theirs := must[fleet.ConsoleAudit](t)(c.AuditEvents(t.Context(), changed, w.clock.Now()))
	if len(theirs.Events) != 120 {
		t.Errorf("%d events", len(theirs.Events))
	}
	for _, e := range theirs.Events {
		if !e.Person || e.What != "Patch MobileApp" || e.Application == ours.Application || strings.Contains(fmt.Sprintf("%+v", e), "ada") {
			t.Fatalf("%+v", e)
		}
	}
	w.stop()
	w.start() // the service's audit outlives a process
	if again := must[fleet.ConsoleAudit](t)(w.client(nordic).AuditEvents(t.Context(), changed, w.clock.Now())); len(again.Events) != 120 {
		t.Errorf("%d events after a restart", len(again.Events))
	}
}

// TestMarked tells packmill's objects of every kind from the tenant's own, and from
// the copies that people made of packmill's.
func TestMarked(t *testing.T) {
	w := patchWorld(t, nil)
	apps, patches := w.client(nordic), w.updates(nordic)
	app := publish(t, apps, fleet.Stable, "24.09").ID
	probe := "/beta/deviceManagement/deviceHealthScripts"
	group := must[string](t)(apps.Group(t.Context(), "pilot", nil))
	ok(t, apps.Probe(t.Context(), fleet.DeviceProbe{Package: pkg, Name: "starts", Script: "exit 0", Every: fleet.Duration(time.Hour), Group: group}))
	patch := must[fleet.AppState](t)(patches.PublishUpdate(t.Context(), patchApp(fleet.Candidate))).ID
	configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.0"))
	copyOf := func(collection string, body map[string]any) string {
		t.Helper()
		body["description"] = w.get(collection)["value"].([]any)[0].(map[string]any)["description"]
		return w.do(http.MethodPost, collection, body)["id"].(string)
	}
	const at = "/beta/deviceManagement/"
	theirs := []string{
		w.do(http.MethodPost, appsAt, map[string]any{"@odata.type": "#microsoft.graph.winGetApp", "displayName": "Theirs", "publisher": "IT", "packageIdentifier": "9NBLGGH4NNS1", "repositoryType": "microsoftStore"})["id"].(string),
		w.do(http.MethodPost, probe, map[string]any{"displayName": "Theirs", "publisher": "IT", "detectionScriptContent": "ZXhpdCAw", "runAsAccount": "system"})["id"].(string),
		w.do(http.MethodPost, at+"windowsFeatureUpdateProfiles", map[string]any{"displayName": "Theirs", "featureUpdateVersion": "Windows 11, version 24H2"})["id"].(string),
		copyOf(at+"deviceCompliancePolicies", map[string]any{"@odata.type": "#microsoft.graph.windows10CompliancePolicy", "displayName": "Copy", "scheduledActionsForRule": []any{
			map[string]any{"ruleName": "PasswordRequired", "scheduledActionConfigurations": []any{map[string]any{"actionType": "block", "gracePeriodHours": 3}}}}}),
		copyOf(at+"windowsQualityUpdatePolicies", map[string]any{"displayName": "Copy"}),
	}
	w.clock.Set(w.clock.Now().Add(time.Minute))
	audit := must[fleet.ConsoleAudit](t)(w.client(nordic).AuditEvents(t.Context(), monday, monday))
	own, others := maps.Clone(audit.Objects), maps.Clone(audit.Others)
	for _, read := range []func(context.Context) (map[string]fleet.OwnObject, []string, error){w.policies(nordic).Marked, w.updates(nordic).MarkedUpdates} {
		o, rest, err := read(t.Context())
		ok(t, err)
		maps.Copy(own, o)
		for _, id := range rest {
			others[id] = true
		}
	}
	kinds := map[string]int{}
	for _, o := range own {
		kinds[o.Kind+" "+string(o.Package)]++
	}
	if own[app].Kind != "app" || own[patch] != (fleet.OwnObject{Kind: "update", Package: patchID}) || kinds["configuration "+string(baseline)] != 5 || kinds["probe "+string(pkg)] != 1 {
		t.Errorf("own %v", own)
	}
	for i, id := range theirs {
		if _, ours := own[id]; ours || !others[id] {
			t.Errorf("object %d is taken for packmill's", i)
		}
	}
	for id, o := range own {
		if others[id] && o.Kind != "probe" && o.Kind != "configuration" { // those share health scripts
			t.Errorf("%s %s is told as both", o.Kind, id)
		}
	}
}
