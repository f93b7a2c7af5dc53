package graph_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/format/xar"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

const (
	appsAt   = "/beta/deviceAppManagement/mobileApps"
	storeApp = "9NBLGGH4NNS1"
)

// mixedDevices are Windows devices and Macs.
func mixedDevices() []graph.Device {
	out := devices(6)
	for i, system := range []string{"15.1", "14.6", "13.2", "26.0"} {
		out = append(out, graph.Device{Name: fmt.Sprintf("Mac-%d", i), OS: "macOS", OSVersion: system, Arch: "arm64", Model: "MacBook Air", Department: "Design"})
	}
	return out
}

func mixedWorld(t testing.TB) *world {
	return newWorld(t, func(o *graph.Options) { o.Tenants = []graph.Tenant{{Directory: nordic, Devices: mixedDevices()}} })
}

// macPackage is a flat package that installs one application.
func macPackage(t testing.TB, version string, size int) []byte {
	t.Helper()
	info := fmt.Sprintf(`<pkg-info format-version="2" identifier="org.seven.pkg" version="%[1]s" install-location="/Applications" auth="root">
		<bundle id="org.seven.app" path="./Seven.app" CFBundleShortVersionString="%[1]s" CFBundleVersion="%[1]s.1"/></pkg-info>`, version)
	return must[[]byte](t)(xarbuild.Archive{Hash: crypto.SHA256, Files: []xarbuild.File{
		{Path: "PackageInfo", Data: []byte(info)}, {Path: "Payload", Data: bytes.Repeat([]byte(version), size/len(version)+1), Plain: true},
	}}.Bytes())
}

// macRelease is an app whose content is a file for macOS of the given type.
func macRelease(t testing.TB, slot, version, kind string, plain []byte) (fleet.App, fleet.Content) {
	t.Helper()
	var w writerAt
	info := must[intunewin.ContentInfo](t)(intunewin.WriteContent(t.Context(), &w, intunewin.BytesEntry("Seven."+kind, plain), nil))
	app, _ := release(t, slot, version, 10)
	app.File = fleet.BuiltFile{Installer: "mac", Name: "Seven." + kind + ".intune", Digest: fleet.DigestOf(w), Size: int64(len(w))}
	app.ContentInfo = must[[]byte](t)(info.JSON())
	app.Installer = fleet.Installer{Platform: "macos", Arch: "universal", Type: kind, Detect: []fleet.Detect{{Operator: "=", Bundle: "org.seven.app"}}}
	app.Download = fleet.Download{}
	if f, err := xar.Read(bytes.NewReader(plain), int64(len(plain))); err == nil {
		facts := f.Facts()
		app.Download.Pkg = &facts
	}
	return app, opener(w)
}

// diskImage ends as Apple's disk images do.
func diskImage(version string) []byte {
	return append(bytes.Repeat([]byte("image "+version), 500), append([]byte("koly"), make([]byte, 508)...)...)
}

// storeRelease is an app of the Microsoft Store.
func storeRelease(t testing.TB, slot, version string) (fleet.App, fleet.Content) {
	t.Helper()
	data := []byte(`{"packageIdentifier":"` + storeApp + `"}`)
	app, _ := release(t, slot, version, 10)
	app.File = fleet.BuiltFile{Installer: "store", Name: "seven.store.json", Digest: fleet.DigestOf(data), Size: int64(len(data))}
	app.Installer = fleet.Installer{Platform: "windows", Arch: "x64", Type: "store", RunAs: "user", Detect: []fleet.Detect{{Operator: ">=", Package: storeApp}}}
	app.Download = fleet.Download{}
	return app, opener(data)
}

// TestKinds publishes an app of each kind in two versions, has devices take it,
// and looks at what the service has been told.
func TestKinds(t *testing.T) {
	everyone := fleet.Target{Intent: "required", Group: "all devices", Notify: "hideAll"}
	for name, tt := range map[string]struct {
		app  func(version string) (fleet.App, fleet.Content)
		want map[string]any // of the app object
		then map[string]int // states of devices
	}{
		"macOSPkgApp": {func(v string) (fleet.App, fleet.Content) {
			return macRelease(t, fleet.Stable, v, "pkg", macPackage(t, v, 3000))
		},
			map[string]any{"primaryBundleId": "org.seven.app", "primaryBundleVersion": "24.09", "fileName": "Seven.pkg"}, map[string]int{"installed 24.09": 4}},
		"macOSLobApp": {func(v string) (fleet.App, fleet.Content) {
			app, content := macRelease(t, fleet.Stable, v, "pkg", macPackage(t, v, 3000))
			app.Installer.Managed = true
			return app, content
		}, map[string]any{"bundleId": "org.seven.app", "buildNumber": "24.09", "versionNumber": "24.09.1", "installAsManaged": true}, map[string]int{"installed 24.09": 4}},
		"macOSDmgApp": {func(v string) (fleet.App, fleet.Content) {
			app, content := macRelease(t, fleet.Stable, v, "dmg", diskImage(v))
			app.Installer.Needs = &fleet.Needs{OS: ">=13.3"}
			return app, content
		}, map[string]any{"primaryBundleId": "org.seven.app", "primaryBundleVersion": "24.09"}, map[string]int{"installed 24.09": 3, "exempt 24.09": 1}},
		"winGetApp": {func(v string) (fleet.App, fleet.Content) { return storeRelease(t, fleet.Stable, v) },
			map[string]any{"packageIdentifier": storeApp}, map[string]int{"installed ": 6}},
	} {
		t.Run(name, func(t *testing.T) {
			w := mixedWorld(t)
			id := ""
			for _, version := range []string{"24.08", "24.09"} {
				app, content := tt.app(version)
				c := w.client(nordic)
				state := must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
				if state.Version != version || id != "" && state.ID != id {
					t.Fatalf("%s: %+v", version, state)
				}
				id = state.ID
				before := len(w.events)
				if again := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content)); fmt.Sprint(again) != fmt.Sprint(state) || len(w.events) != before {
					t.Errorf("%s again: %+v, events %v", version, again, w.events[before:])
				}
				assign(t, c, fleet.Stable, everyone)
				w.clock.Set(w.clock.Now().Add(3 * time.Hour))
			}
			if got := states(t, w.client(nordic), fleet.Stable); !maps.Equal(got, tt.then) {
				t.Errorf("statuses %v, want %v", got, tt.then)
			}
			object := w.get(appsAt + "/" + id)
			if object["@odata.type"] != "#microsoft.graph."+name {
				t.Errorf("the object is a %v", object["@odata.type"])
			}
			for property, want := range tt.want {
				if object[property] != want {
					t.Errorf("%s is %v, want %v", property, object[property], want)
				}
			}
		})
	}
}

// TestScriptsAround: a Mac's package has its scripts, and those of the release
// before no longer.
func TestScriptsAround(t *testing.T) {
	w := mixedWorld(t)
	app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 3000))
	publish := func(before, after string) map[string]any {
		t.Helper()
		app.BeforeText, app.AfterText = before, after
		state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
		return w.get(appsAt + "/" + state.ID)
	}
	told := func(object map[string]any, name string) string {
		script, _ := object[name].(map[string]any)
		text, _ := script["scriptContent"].(string)
		data := must[[]byte](t)(base64.StdEncoding.DecodeString(text))
		return string(data)
	}
	const before, after = "#!/bin/sh\nkillall Seven\n", "#!/bin/zsh\nexit 0\n"
	object := publish(before, after)
	if told(object, "preInstallScript") != before || told(object, "postInstallScript") != after {
		t.Errorf("%v, %v", object["preInstallScript"], object["postInstallScript"])
	}
	if n := w.writes(func() { publish(before, after) }); n != 0 {
		t.Errorf("again: %d writes", n)
	}
	unmoved := func() bool {
		t.Helper()
		ours, _, err := w.client(nordic).Objects(t.Context())
		if err != nil || len(ours) != 1 {
			t.Fatalf("%v, %v", ours, err)
		}
		return !ours[0].Moved
	}
	if !unmoved() {
		t.Error("taken for changed by people")
	}
	w.do(http.MethodPatch, appsAt+"/"+object["id"].(string), map[string]any{"@odata.type": "#microsoft.graph.macOSPkgApp",
		"postInstallScript": map[string]any{"scriptContent": base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))}})
	if unmoved() {
		t.Error("a script that people changed is not told")
	}
	app.Restore = true
	if object = publish(before, ""); told(object, "preInstallScript") != before || object["postInstallScript"] != nil || !unmoved() {
		t.Errorf("%v, %v", object["preInstallScript"], object["postInstallScript"])
	}
	app.BeforeText = "#!/bin/sh\n" + strings.Repeat("#", 15360)
	if _, err := w.client(nordic).Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a script that is too long: %v", err)
	}
}

// TestTwoPlatforms has a package with a file for Windows and one for macOS: one
// slot, two objects, and devices of both take what is theirs. A release that has
// nothing for macOS any more is assigned to Windows alone.
func TestTwoPlatforms(t *testing.T) {
	w := mixedWorld(t)
	c := w.client(nordic)
	all := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	group := must[string](t)(c.Group(t.Context(), "dogfood", all))
	windows, content := release(t, fleet.Candidate, "24.09", 3000)
	windows.Generation = 1
	must[fleet.AppState](t)(c.Publish(t.Context(), windows, content))
	mac, macContent := macRelease(t, fleet.Candidate, "24.09", "pkg", macPackage(t, "24.09", 3000))
	mac.Generation = 1
	state := must[fleet.AppState](t)(c.Publish(t.Context(), mac, macContent))
	if state.Artifact != windows.Artifact || state.Generation != 1 || len(state.Duplicates) != 0 {
		t.Errorf("state %+v", state)
	}
	target := fleet.Target{Intent: "required", Group: group, Deadline: w.clock.Now().Add(2 * time.Hour), Notify: "hideAll"}
	assign(t, c, fleet.Candidate, target)
	state = must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Candidate))
	if len(state.Targets) != 1 || state.Targets[0].Group != group || state.Targets[0].Deadline.IsZero() {
		t.Errorf("targets %+v", state.Targets)
	}
	w.clock.Set(w.clock.Now().Add(3 * time.Hour))
	if got := states(t, w.client(nordic), fleet.Candidate); !maps.Equal(got, map[string]int{"installed 24.09": 10}) {
		t.Errorf("statuses %v", got)
	}

	next, content := release(t, fleet.Candidate, "24.10", 3000)
	next.Generation = 2
	state = must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
	if state.Artifact != next.Artifact {
		t.Errorf("the slot is told to hold %+v", state)
	}
	assign(t, w.client(nordic), fleet.Candidate, target)
	if left := assignedOf(w, "#microsoft.graph.macOSPkgApp"); left != 0 {
		t.Errorf("the Macs' object, which holds another release, has %d assignments", left)
	}
	if left := assignedOf(w, "#microsoft.graph.win32LobApp"); left != 1 {
		t.Errorf("the Windows object has %d assignments", left)
	}
	next.Generation = 1
	if _, err := w.client(nordic).Publish(t.Context(), next, content); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an older generation was let through: %v", err)
	}
	mac.Installer.Managed, mac.Generation = true, 1 // an object that is not there yet
	if _, err := w.client(nordic).Publish(t.Context(), mac, macContent); fleet.KindOf(err) != fleet.Refused || assignedOf(w, "#microsoft.graph.macOSLobApp") != 0 {
		t.Errorf("an older generation was let through beside it: %v", err)
	}
	assign(t, w.client(nordic), fleet.Candidate)
	if left := assignedOf(w, "#microsoft.graph.win32LobApp"); left != 0 {
		t.Errorf("%d assignments are left", left)
	}
}

// assignedOf counts the assignments of the apps of a kind.
func assignedOf(w *world, kind string) int {
	n := 0
	for _, v := range w.get(appsAt)["value"].([]any) {
		if app := v.(map[string]any); app["@odata.type"] == kind {
			n += len(w.get(appsAt + "/" + app["id"].(string) + "/assignments")["value"].([]any))
		}
	}
	return n
}

// TestNothingStartsEarly: a macOS app knows no start, so that what is to start
// later is not assigned yet; what is to be removed by the service is left alone
// where it cannot.
func TestNothingStartsEarly(t *testing.T) {
	w := mixedWorld(t)
	app, content := macRelease(t, fleet.Stable, "24.09", "pkg", macPackage(t, "24.09", 3000))
	must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
	now := w.clock.Now()
	for name, tt := range map[string]struct {
		target fleet.Target
		want   int
	}{
		"now":               {fleet.Target{Intent: "required", Group: "all devices", Opens: now}, 1},
		"later":             {fleet.Target{Intent: "required", Group: "all devices", Opens: now.Add(time.Minute)}, 0},
		"nowhere yet":       {fleet.Target{Intent: "required", Group: "all devices", Opens: now.Add(15 * time.Hour), LocalTime: true}, 0},
		"somewhere already": {fleet.Target{Intent: "required", Group: "all devices", Opens: now.Add(13 * time.Hour), LocalTime: true}, 1},
		"removal":           {fleet.Target{Intent: "uninstall", Group: "all devices"}, 0},
	} {
		assign(t, w.client(nordic), fleet.Stable, tt.target)
		if got := assignedOf(w, "#microsoft.graph.macOSPkgApp"); got != tt.want {
			t.Errorf("%s: %d assignments, want %d", name, got, tt.want)
		}
	}
}

// TestNoPackageInside uploads well-encrypted content that is no package: the
// service takes it, as it does, and devices fail.
func TestNoPackageInside(t *testing.T) {
	w := mixedWorld(t)
	for i, plain := range [][]byte{bytes.Repeat([]byte("no package "), 300), diskImage("24.09")} {
		app, content := macRelease(t, fleet.Stable, fmt.Sprintf("24.0%d", i), "pkg", plain)
		c := w.client(nordic)
		must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
		assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
		w.clock.Set(w.clock.Now().Add(3 * time.Hour))
		if got := states(t, c, fleet.Stable); !maps.Equal(got, map[string]int{"failed " + app.Version: 4}) {
			t.Errorf("%d: statuses %v", i, got)
		}
	}
}

// TestMacUploadKilledAtEachStep ends the caller at every event of two releases
// for macOS, and lets a new caller finish.
func TestMacUploadKilledAtEachStep(t *testing.T) {
	run := func(ctx context.Context, w *world, version string) error {
		app, content := macRelease(t, fleet.Stable, version, "pkg", macPackage(t, version, 3000))
		app.Generation = map[string]int{"24.08": 1, "24.09": 2}[version]
		c := w.client(nordic)
		if _, err := c.Publish(ctx, app, content); err != nil {
			return err
		}
		return c.Assign(ctx, pkg, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}})
	}
	end := func(w *world) string {
		apps := w.get(appsAt)["value"].([]any)
		state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable))
		object := w.get(appsAt + "/" + state.ID)
		files := 0
		versions := appsAt + "/" + state.ID + "/graph.macOSPkgApp/contentVersions"
		for _, v := range w.get(versions)["value"].([]any) {
			files += len(w.get(versions + "/" + v.(map[string]any)["id"].(string) + "/files")["value"].([]any))
		}
		state.ID = ""
		w.clock.Set(monday)
		return fmt.Sprintf("%d apps, %+v, current %v, %d files, %v, notes %v", len(apps), state, object["committedContentVersion"], files, states(t, w.client(nordic), fleet.Stable), object["notes"])
	}
	alone := mixedWorld(t)
	var marks []int
	for _, version := range []string{"24.08", "24.09"} {
		if err := run(t.Context(), alone, version); err != nil {
			t.Fatal(err)
		}
		marks = append(marks, len(alone.events))
	}
	want := end(alone)
	if !strings.Contains(want, "installed 24.09:4") || alone.count("commit") != 2 {
		t.Fatalf("left alone: %s", want)
	}
	for kill := 1; kill <= marks[1]; kill++ {
		t.Run(fmt.Sprintf("%d %s", kill, alone.events[kill-1].Name), func(t *testing.T) {
			w := mixedWorld(t)
			for i, version := range []string{"24.08", "24.09"} {
				ctx, cancel := context.WithCancel(t.Context())
				if (kill <= marks[0]) == (i == 0) {
					w.when(func(event.Event) {
						if len(w.events) == kill {
							cancel()
						}
					})
				}
				err := run(ctx, w, version)
				if ctx.Err() != nil && !errors.Is(err, context.Canceled) && !slices.Contains(marks, kill) {
					t.Errorf("the killed run returned %v", err)
				}
				cancel()
				w.when(nil)
				if err := run(t.Context(), w, version); err != nil {
					t.Fatal(err)
				}
			}
			if got := end(w); got != want {
				t.Errorf("end\n%s\nwant\n%s", got, want)
			}
			if w.count("commit") != 2 {
				t.Errorf("%d commits", w.count("commit"))
			}
		})
	}
}

// TestKindChanges moves a package from an installer to the store: the type of an
// object cannot change, so there are two, and only the new one is assigned.
func TestKindChanges(t *testing.T) {
	w := mixedWorld(t)
	everyone := fleet.Target{Intent: "required", Group: "all devices", Deadline: monday}
	app, content := release(t, fleet.Stable, "24.08", 3000)
	app.Generation = 1
	old := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
	assign(t, w.client(nordic), fleet.Stable, everyone)
	app, content = storeRelease(t, fleet.Stable, "24.09")
	app.Generation = 2
	state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
	if state.ID == old.ID || state.Version != "24.09" || state.Artifact != app.Artifact {
		t.Errorf("state %+v", state)
	}
	assign(t, w.client(nordic), fleet.Stable, everyone)
	if a, b := assignedOf(w, "#microsoft.graph.win32LobApp"), assignedOf(w, "#microsoft.graph.winGetApp"); a != 0 || b != 1 {
		t.Errorf("%d and %d assignments", a, b)
	}
	w.do(http.MethodGet, appsAt+"/"+old.ID, nil) // it is still there, for a way back
}
