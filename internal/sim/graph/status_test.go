package graph_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// exporting is a client that exports a report of more than so many rows.
func (w *world) exporting(directory string, above int) *intune.Client {
	w.t.Helper()
	return intune.New(dial(w.t, msgraph.Options{
		BaseURL: w.http.URL, Directory: directory, Token: w.token(directory), Transport: w.transport(), Clock: w.clock,
	}), intune.Options{TempDir: w.t.TempDir(), BlockSize: 1000, ExportAbove: above})
}

// TestExportTellsTheSame reads one report page by page and as an export: the rows
// are the same, and the export is asked for without a token.
func TestExportTellsTheSame(t *testing.T) {
	w := armed(t, 1200, func(o *graph.Options) { breaks(0.2)(o); o.Silence = 0.1; o.ReportLag = time.Hour }, monday, time.Time{}, false)
	w.clock.Set(monday.Add(2 * time.Hour))
	paged := must[[]fleet.DeviceStatus](t)(w.exporting(nordic, 0).Statuses(t.Context(), pkg, fleet.Candidate))
	exported := must[[]fleet.DeviceStatus](t)(w.exporting(nordic, 100).Statuses(t.Context(), pkg, fleet.Candidate))
	if !reflect.DeepEqual(paged, exported) || len(paged) < 1000 {
		t.Errorf("%d rows in pages, %d in the export", len(paged), len(exported))
	}
	if n := w.checker.times("post_deviceManagement_reports_exportJobs"); n != 1 {
		t.Errorf("%d exports were begun", n)
	}
}

// TestReportMoves changes the report between two pages: it is read again, and one
// that never rests is exported.
func TestReportMoves(t *testing.T) {
	for name, tt := range map[string]struct{ moves, exports int }{"once": {2, 0}, "always": {100, 1}} {
		t.Run(name, func(t *testing.T) {
			moved := 0
			w := newWorld(t, func(o *graph.Options) {
				o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(1100)}}
			})
			c := w.client(nordic)
			publish(t, c, fleet.Stable, "24.09")
			assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
			// Devices check in one after the other within an hour: the report grows.
			begun := w.clock.Now()
			w.clock.Set(begun.Add(35 * time.Minute))
			w.checker.before(func(operation string) {
				if operation == "post_deviceManagement_reports_retrieveDeviceAppInstallationStatusReport" && moved < tt.moves {
					moved++
					w.clock.Set(w.clock.Now().Add(time.Minute))
				}
			})
			rows := must[[]fleet.DeviceStatus](t)(w.exporting(nordic, 0).Statuses(t.Context(), pkg, fleet.Stable))
			seen := map[string]bool{}
			for _, r := range rows {
				seen[r.Device] = true
			}
			if len(seen) != len(rows) || len(rows) < 600 || len(rows) > 1000 {
				t.Errorf("%d rows of %d devices", len(rows), len(seen))
			}
			if n := w.checker.times("post_deviceManagement_reports_exportJobs"); n != tt.exports || moved == 0 {
				t.Errorf("%d exports after %d moves, want %d", n, moved, tt.exports)
			}
		})
	}
}

// TestReportLag has reports that are up to two days behind: what the service
// tells is old, and says so.
func TestReportLag(t *testing.T) {
	w := armed(t, 200, func(o *graph.Options) { o.ReportLag = 48 * time.Hour }, monday, time.Time{}, false)
	c := w.client(nordic)
	for _, tt := range []struct {
		after    time.Duration
		min, max int
	}{{2 * time.Hour, 0, 30}, {24 * time.Hour, 60, 140}, {50 * time.Hour, 200, 200}} {
		w.clock.Set(monday.Add(tt.after))
		fresh := 0
		for _, s := range must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, fleet.Candidate)) {
			if s.State == "installed" {
				fresh++
			}
			if s.At.After(w.clock.Now()) {
				t.Fatalf("a row from the future: %v", s)
			}
		}
		if fresh < tt.min || fresh > tt.max {
			t.Errorf("%v after the start %d devices are told to have it, want %d to %d", tt.after, fresh, tt.min, tt.max)
		}
	}
}

// TestExportFaults: a job that fails, an address that has ended, one that is
// refused, and one that never ends.
func TestExportFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault func(c graph.Call) graph.Fault
		kind  fleet.Kind
		fails bool
	}{
		"fails once": {fault: func(c graph.Call) graph.Fault {
			if c.Operation == "export.get" && c.N == 1 {
				return graph.Fault{State: "failed"}
			}
			return graph.Fault{}
		}},
		"refused once": {fault: func(c graph.Call) graph.Fault {
			if c.Operation == "blob.export" && c.N == 1 {
				return graph.Fault{Status: http.StatusForbidden}
			}
			return graph.Fault{}
		}},
		"throttled": {fault: func(c graph.Call) graph.Fault {
			if c.N == 1 && (c.Operation == "export.get" || c.Operation == "export.create" || c.Operation == "blob.export") {
				return graph.Fault{Status: http.StatusTooManyRequests}
			}
			return graph.Fault{}
		}},
		"lost": {fault: func(c graph.Call) graph.Fault { return graph.Fault{Lose: c.Operation == "export.create" && c.N == 1} }},
		"always fails": {fails: true, kind: fleet.Internal, fault: func(c graph.Call) graph.Fault {
			if c.Operation == "export.get" {
				return graph.Fault{State: "failed"}
			}
			return graph.Fault{}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := armed(t, 40, func(o *graph.Options) { o.Fault = tt.fault }, monday, time.Time{}, false)
			w.clock.Set(monday.Add(2 * time.Hour))
			rows, err := w.exporting(nordic, 10).Statuses(context.WithoutCancel(t.Context()), pkg, fleet.Candidate)
			if (err != nil) != tt.fails || err != nil && fleet.KindOf(err) != tt.kind {
				t.Errorf("error %v", err)
			}
			if err == nil && len(rows) != 40 {
				t.Errorf("%d rows", len(rows))
			}
		})
	}
}
