package graph_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestMacContentIsChecked: bytes of a macOS package that are not the artifact's,
// or not those that its description says, are never committed.
func TestMacContentIsChecked(t *testing.T) {
	app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 5000))
	other, _ := macRelease(t, fleet.Stable, "24.10", "pkg", macPackage(t, "24.10", 5000))
	r := must[io.ReadCloser](t)(content())
	data := must[[]byte](t)(io.ReadAll(r))
	for name, tt := range map[string]struct {
		change func(a *fleet.App)
		flip   string // "before", "while uploading"
		kind   fleet.Kind
	}{
		"altered before":          {func(*fleet.App) {}, "before", fleet.Refused},
		"altered while uploading": {func(*fleet.App) {}, "while uploading", fleet.Refused},
		"another description":     {func(a *fleet.App) { a.ContentInfo = other.ContentInfo }, "", fleet.Refused},
		"no description":          {func(a *fleet.App) { a.ContentInfo = nil }, "", fleet.Invalid},
	} {
		w := mixedWorld(t)
		a := app
		tt.change(&a)
		_, err := w.client(nordic).Publish(t.Context(), a, func() (io.ReadCloser, error) {
			m := &mutable{Reader: bytes.NewReader(data), data: slices.Clone(data)}
			switch tt.flip {
			case "before":
				m.flip()
				m.Reader = bytes.NewReader(m.data)
			case "while uploading":
				w.when(func(e event.Event) {
					if e.Name == "file" {
						m.flip()
					}
				})
			}
			return m, nil
		})
		if fleet.KindOf(err) != tt.kind || err == nil || w.count("commit") != 0 || w.count("blocklist") != 0 {
			t.Errorf("%s: %v, %d block lists, %d commits", name, err, w.count("blocklist"), w.count("commit"))
		}
		w.when(nil)
		if state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content)); state.Version != "24.09" {
			t.Errorf("%s: then %+v", name, state)
		}
	}
}

// TestMacUploadStumbles has each call of a macOS upload go wrong once, in each
// way: one run gets through, or the next one does, and the end is the same.
func TestMacUploadStumbles(t *testing.T) {
	operations := []string{"app.create", "app.get", "content.list", "content.create", "file.list", "file.create", "file.get", "file.commit", "blob.block", "blob.blocklist", "app.patch"}
	for _, operation := range operations {
		for name, fault := range map[string]graph.Fault{
			"lost": {Lose: true}, "429": {Status: http.StatusTooManyRequests, RetryAfter: 3}, "500": {Status: http.StatusInternalServerError},
			"503": {Status: http.StatusServiceUnavailable}, "404": {Status: http.StatusNotFound}, "403": {Status: http.StatusForbidden},
		} {
			w := newWorld(t, func(o *graph.Options) {
				o.Tenants = []graph.Tenant{{Directory: nordic, Devices: mixedDevices()}}
				o.Fault = func(c graph.Call) graph.Fault {
					if c.Operation == operation && c.N == 1 {
						return fault
					}
					return graph.Fault{}
				}
			})
			app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 3000))
			state, err := w.client(nordic).Publish(t.Context(), app, content)
			if err != nil {
				if state, err = w.client(nordic).Publish(t.Context(), app, content); err != nil {
					t.Errorf("%s %s: the second run: %v", operation, name, err)
					continue
				}
			}
			assign(t, w.client(nordic), fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
			w.clock.Set(w.clock.Now().Add(3 * time.Hour))
			if got := states(t, w.client(nordic), fleet.Stable); state.Version != "24.09" || got["installed 24.09"] != 4 || w.count("commit") != 1 {
				t.Errorf("%s %s: %+v, %v, %d commits", operation, name, state, got, w.count("commit"))
			}
			if apps := w.get(appsAt)["value"].([]any); len(apps) != 1 && operation != "app.create" {
				t.Errorf("%s %s: %d objects", operation, name, len(apps))
			}
		}
	}
}

// TestMacFileRejected has the service turn a committed file down once, and its
// upload addresses end soon.
func TestMacFileRejected(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: mixedDevices()}}
		o.SASLifetime = 4 * time.Minute
		o.Fault = func(c graph.Call) graph.Fault {
			if c.Operation == "file.commit" && c.N == 1 {
				return graph.Fault{State: "commitFileFailed"}
			}
			return graph.Fault{}
		}
	})
	w.when(func(e event.Event) {
		if e.Name == "block" {
			w.clock.Set(w.clock.Now().Add(2 * time.Minute))
		}
	})
	app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 5000))
	state, err := w.client(nordic).Publish(t.Context(), app, content)
	if err != nil || state.Version != "24.09" || w.count("file") != 2 || w.count("unfile") != 1 || w.count("renew") < 2 {
		t.Errorf("%+v, %v: %d files, %d renewals", state, err, w.count("file"), w.count("renew"))
	}
}

// TestVersionOfTheBundle: devices report the version of an application, which is
// not always what people call the release.
func TestVersionOfTheBundle(t *testing.T) {
	w := mixedWorld(t)
	app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 3000))
	app.Version = "2024 R2"
	c := w.client(nordic)
	must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(w.clock.Now().Add(3 * time.Hour))
	if got := states(t, w.client(nordic), fleet.Stable); got["installed 2024 R2"] != 4 {
		t.Errorf("statuses %v", got)
	}
}
