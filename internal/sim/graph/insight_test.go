package graph_test

import (
	"bytes"
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
