package graph_test

import (
	"bytes"
	"crypto"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
	"github.com/packmill/packmill/internal/sim/graph"
)

// barePackage installs an application that states no version for people.
func barePackage(t *testing.T) []byte {
	t.Helper()
	const info = `<pkg-info format-version="2" identifier="org.seven.pkg" version="24.09" install-location="/Applications" auth="root">
		<bundle id="org.seven.app" path="./Seven.app" CFBundleVersion="2409"/></pkg-info>`
	return must[[]byte](t)(xarbuild.Archive{Hash: crypto.SHA256, Files: []xarbuild.File{
		{Path: "PackageInfo", Data: []byte(info)}, {Path: "Payload", Data: bytes.Repeat([]byte("24.09"), 100), Plain: true},
	}}.Bytes())
}

// TestBareBundles: devices report "0" of an application without
// CFBundleShortVersionString. Who asks for the release never finds it there, and
// packmill says so before anything is published; in any version it is found.
func TestBareBundles(t *testing.T) {
	for name, c := range map[string]struct {
		operator string
		blind    bool // the package was not read
		want     string
	}{
		"exactly": {"=", false, ""}, "exactly, by a client that has not looked": {"=", true, "failed 24.09"}, "in any version": {">=", false, "installed 24.09"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) {
				o.Tenants, o.Pitfalls = []graph.Tenant{{Directory: nordic, Devices: mixedDevices()}}, graph.Pitfalls{BareBundles: true}
			})
			app, content := macRelease(t, fleet.Stable, "24.09", "pkg", barePackage(t))
			app.Installer.Detect[0].Operator = c.operator
			if c.blind {
				app.Download.Pkg = nil
			}
			_, err := w.client(nordic).Publish(t.Context(), app, content)
			if c.want == "" {
				if fleet.KindOf(err) != fleet.Invalid || err == nil || !strings.Contains(err.Error(), "no CFBundleShortVersionString of org.seven.app") || w.count("create") != 0 {
					t.Errorf("%v, %d apps were made", err, w.count("create"))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			assign(t, w.client(nordic), fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
			w.pass(3 * time.Hour)
			if got := states(t, w.client(nordic), fleet.Stable); got[c.want] != 4 {
				t.Errorf("%v, want 4 of %q", got, c.want)
			}
		})
	}
}

// TestSupersededStays: an app that was superseded cannot be deleted for a while
// after the relation went. A removal gets through, or says that of the app and the
// next one does; the successor stays as it was left.
func TestSupersededStays(t *testing.T) {
	for _, times := range []int{0, 1, 6} {
		w := newWorld(t, func(o *graph.Options) { o.Pitfalls.SupersededStays = times })
		publish(t, w.client(nordic), fleet.Stable, "24.09")
		if err := succeed(t.Context(), w, map[fleet.PackageID]string{pkg: "replace"}); err != nil {
			t.Fatal(err)
		}
		runs := 0
		for ; ; runs++ {
			err := w.client(nordic).Remove(t.Context(), pkg, 0)
			if err == nil {
				break
			}
			var known *fleet.Error
			if !errors.As(err, &known) || known.Object == "" || !strings.Contains(err.Error(), "superseded by another one") || runs > times {
				t.Fatalf("%d times, run %d: %v", times, runs, err)
			}
		}
		left := w.ours()
		if runs > times || w.count("delete") != 1 || len(left) != 1 || len(w.list(appsURL+"/"+left[0]+"/relationships")) != 0 {
			t.Errorf("%d times: %d runs failed, %d apps were deleted, left %v", times, runs, w.count("delete"), left)
		}
	}
}
