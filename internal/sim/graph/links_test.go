package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

const (
	dependency   = "#microsoft.graph.mobileAppDependency"
	supersedence = "#microsoft.graph.mobileAppSupersedence"
)

func pngOf(t testing.TB, side int, form string) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, side, side))
	m.Set(0, 0, color.White)
	var buf bytes.Buffer
	encode := func() error { return png.Encode(&buf, m) }
	if form == "jpeg" {
		encode = func() error { return jpeg.Encode(&buf, m, nil) }
	}
	if err := encode(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestShownAs has the app's icon, its categories and its scope tags written, and
// what the tenant's people chose themselves left alone.
func TestShownAs(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	made := func(path, name string) string {
		return w.do(http.MethodPost, path, map[string]any{"displayName": name})["id"].(string)
	}
	const categories, tags = "/beta/deviceAppManagement/mobileAppCategories", "/beta/deviceManagement/roleScopeTags"
	work, tools, theirs := made(categories, "Productivity"), made(categories, "Tools"), made(categories, "Favourites")
	site := made(tags, "Helsinki")
	app, content := release(t, fleet.Stable, "24.09", 2000)
	show := func(icon []byte, names, scope []string) (map[string]any, []string) {
		t.Helper()
		app.Icon, app.Categories, app.ScopeTags = icon, names, scope
		state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
		var in []string
		for _, c := range w.get(appsAt + "/" + state.ID + "/categories")["value"].([]any) {
			in = append(in, c.(map[string]any)["id"].(string))
		}
		slices.Sort(in)
		return w.get(appsAt + "/" + state.ID), in
	}
	sorted := func(ids ...string) []string { return slices.Sorted(slices.Values(ids)) }
	object, in := show(pngOf(t, 64, "png"), []string{"productivity", "No such one"}, []string{"helsinki"})
	if icon, _ := object["largeIcon"].(map[string]any); icon["type"] != "image/png" || fmt.Sprint(object["roleScopeTagIds"]) != "["+site+"]" || !slices.Equal(in, sorted(work)) {
		t.Errorf("icon %v, tags %v, categories %v", icon["type"], object["roleScopeTagIds"], in)
	}
	id := object["id"].(string)
	w.do(http.MethodPost, appsAt+"/"+id+"/categories/$ref", map[string]any{"@odata.id": w.http.URL + categories + "/" + theirs})
	object, in = show(pngOf(t, 64, "jpeg"), []string{"Tools"}, []string{site})
	if icon, _ := object["largeIcon"].(map[string]any); icon["type"] != "image/jpeg" || !slices.Equal(in, sorted(tools, theirs)) {
		t.Errorf("icon %v, categories %v, want %v", icon["type"], in, sorted(tools, theirs))
	}
	events := len(w.events)
	show(app.Icon, []string{"Tools"}, []string{site})
	if len(w.events) != events {
		t.Errorf("a second time: %v", w.events[events:])
	}
	if object, in = show(nil, nil, nil); object["largeIcon"] == nil || !slices.Equal(in, sorted(theirs)) || strings.Contains(object["notes"].(string), "categories") {
		t.Errorf("icon %v, categories %v, notes %v", object["largeIcon"], in, object["notes"])
	}
	app.ScopeTags = []string{"Oulu"}
	if _, err := w.client(nordic).Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "Oulu") {
		t.Errorf("a scope tag that is not there: %v", err)
	}
}

// of is a release of another package, published.
func (w *world) of(id fleet.PackageID, slot string, requires ...fleet.PackageID) fleet.AppState {
	w.t.Helper()
	app, content := release(w.t, slot, "24.09", 500)
	app.Package, app.Name, app.Requires = id, string(id), requires
	return must[fleet.AppState](w.t)(w.client(nordic).Publish(w.t.Context(), app, content))
}

// needs are the targets of an app's own relations by type, sorted.
func (w *world) needs(app, kind string) []string {
	var out []string
	for _, v := range w.get(appsAt + "/" + app + "/relationships")["value"].([]any) {
		if r := v.(map[string]any); r["targetType"] == "child" && r["@odata.type"] == kind {
			out = append(out, r["targetId"].(string))
		}
	}
	slices.Sort(out)
	return out
}

// TestRequires makes apps depend on those of required packages, beside what
// people entered.
func TestRequires(t *testing.T) {
	w := newWorld(t, nil)
	runtime, driver := w.of("acme/runtime", fleet.Stable), w.of("acme/driver", fleet.Stable)
	theirs := foreignApp(w)
	app := w.of("acme/tool", fleet.Stable, "acme/runtime")
	if got := w.needs(app.ID, dependency); !slices.Equal(got, []string{runtime.ID}) {
		t.Errorf("needs %v, want %s", got, runtime.ID)
	}
	// People add a dependency and a supersedence of their own.
	w.do(http.MethodPost, appsAt+"/"+app.ID+"/updateRelationships", map[string]any{"relationships": []any{
		map[string]any{"@odata.type": dependency, "targetId": runtime.ID, "dependencyType": "autoInstall"},
		map[string]any{"@odata.type": supersedence, "targetId": theirs, "supersedenceType": "replace"},
	}})
	events := len(w.events)
	w.of("acme/tool", fleet.Stable, "acme/runtime")
	if len(w.events) != events {
		t.Errorf("nothing to do: %v", w.events[events:])
	}
	w.of("acme/tool", fleet.Stable, "acme/driver", "acme/runtime")
	if got, want := w.needs(app.ID, dependency), slices.Sorted(slices.Values([]string{runtime.ID, driver.ID})); !slices.Equal(got, want) {
		t.Errorf("needs %v, want %v", got, want)
	}
	w.of("acme/tool", fleet.Stable)
	if got := w.needs(app.ID, dependency); len(got) != 0 {
		t.Errorf("needs %v, want none", got)
	}
	if got := w.needs(app.ID, supersedence); !slices.Equal(got, []string{theirs}) {
		t.Errorf("supersedes %v, want %s", got, theirs)
	}
	// What the fleet had before packmill came has no app of its own here.
	w.of("acme/tool", fleet.Stable, "acme/old")
	if got := w.needs(app.ID, dependency); len(got) != 0 {
		t.Errorf("needs %v", got)
	}
}

// TestRequiresTheSlotThatIsAssigned: while the candidate of what is required is
// assigned, devices have that one.
func TestRequiresTheSlotThatIsAssigned(t *testing.T) {
	w := newWorld(t, nil)
	stable, candidate := w.of("acme/runtime", fleet.Stable), w.of("acme/runtime", fleet.Candidate)
	app := w.of("acme/tool", fleet.Candidate, "acme/runtime")
	if got := w.needs(app.ID, dependency); !slices.Equal(got, []string{stable.ID}) {
		t.Errorf("unassigned: needs %v, want %s", got, stable.ID)
	}
	if err := w.client(nordic).Assign(t.Context(), "acme/runtime", fleet.Candidate, []fleet.Target{{Intent: "required", Group: "all devices"}}); err != nil {
		t.Fatal(err)
	}
	w.of("acme/tool", fleet.Candidate, "acme/runtime")
	if got := w.needs(app.ID, dependency); !slices.Equal(got, []string{candidate.ID}) {
		t.Errorf("assigned: needs %v, want %s", got, candidate.ID)
	}
}

// TestTooManyRelations is refused before the service is asked.
func TestTooManyRelations(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	app := w.of("acme/tool", fleet.Stable)
	w.of("acme/runtime", fleet.Stable)
	var many []any
	for range 100 {
		many = append(many, map[string]any{"@odata.type": dependency, "targetId": foreignApp(w), "dependencyType": "detect"})
	}
	w.do(http.MethodPost, appsAt+"/"+app.ID+"/updateRelationships", map[string]any{"relationships": many})
	related := w.count("relate")
	release, content := release(t, fleet.Stable, "24.09", 500)
	release.Package, release.Name, release.Requires = "acme/tool", "acme/tool", []fleet.PackageID{"acme/runtime"}
	_, err := w.client(nordic).Publish(t.Context(), release, content)
	if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "more than 100 dependencies") || w.count("relate") != related {
		t.Errorf("%v, %d calls", err, w.count("relate")-related)
	}
	if got := w.needs(app.ID, dependency); len(got) != 100 {
		t.Errorf("%d are left", len(got))
	}
}

// TestRemove takes a package out of a tenant: its objects alone go, out of the
// relations of packmill's other apps first.
func TestRemove(t *testing.T) {
	w := newWorld(t, nil)
	w.of("acme/runtime", fleet.Stable)
	w.of("acme/runtime", fleet.Candidate)
	tool := w.of("acme/tool", fleet.Stable, "acme/runtime")
	theirs := foreignApp(w)
	if err := w.client(nordic).Assign(t.Context(), "acme/runtime", fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.client(nordic).Remove(t.Context(), "acme/runtime", 0); err != nil {
			t.Fatal(err)
		}
	}
	var left []string
	for _, v := range w.get(appsAt)["value"].([]any) {
		left = append(left, v.(map[string]any)["id"].(string))
	}
	if slices.Sort(left); !slices.Equal(left, slices.Sorted(slices.Values([]string{tool.ID, theirs}))) || len(w.needs(tool.ID, dependency)) != 0 || w.count("delete") != 2 {
		t.Errorf("left %v, needs %v, %d deletions", left, w.needs(tool.ID, dependency), w.count("delete"))
	}
	// A slot that was emptied so can be filled again.
	if state := w.of("acme/runtime", fleet.Stable); state.Version != "24.09" {
		t.Errorf("state %+v", state)
	}
}

// TestRemoveLeavesPeoplesWorkAlone: what the tenant's people built on an app is
// theirs to take away.
func TestRemoveLeavesPeoplesWorkAlone(t *testing.T) {
	for name, build := range map[string]func(w *world, app string){
		"their app depends on it": func(w *world, app string) {
			w.do(http.MethodPost, appsAt+"/"+foreignApp(w)+"/updateRelationships", map[string]any{"relationships": []any{
				map[string]any{"@odata.type": dependency, "targetId": app, "dependencyType": "detect"},
			}})
		},
		"they assigned it": func(w *world, app string) {
			w.do(http.MethodPost, appsAt+"/"+app+"/assign", map[string]any{"mobileAppAssignments": []any{map[string]any{
				"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "available", "settings": nil,
				"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": finance},
			}}})
		},
	} {
		w := newWorld(t, nil)
		app := w.of("acme/runtime", fleet.Stable)
		build(w, app.ID)
		err := w.client(nordic).Remove(t.Context(), "acme/runtime", 0)
		var known *fleet.Error
		if !errors.As(err, &known) || known.Kind != fleet.Stalled || known.Hint == "" || w.count("delete") != 0 {
			t.Errorf("%s: %v, %d deletions", name, err, w.count("delete"))
		}
	}
}

// TestRemovalKilledAtEachStep is finished by the next run.
func TestRemovalKilledAtEachStep(t *testing.T) {
	for kill := 1; ; kill++ {
		w := newWorld(t, nil)
		w.of("acme/runtime", fleet.Stable)
		w.of("acme/runtime", fleet.Candidate)
		tool := w.of("acme/tool", fleet.Stable, "acme/runtime")
		before := len(w.events)
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(event.Event) {
			if len(w.events) == before+kill {
				cancel()
			}
		})
		err := w.client(nordic).Remove(ctx, "acme/runtime", 0)
		killed := ctx.Err() != nil
		cancel()
		w.when(nil)
		if err := w.client(nordic).Remove(t.Context(), "acme/runtime", 0); err != nil {
			t.Fatalf("%d: %v", kill, err)
		}
		if apps := w.get(appsAt)["value"].([]any); len(apps) != 1 || len(w.needs(tool.ID, dependency)) != 0 {
			t.Errorf("%d: %d apps are left", kill, len(apps))
		}
		if !killed {
			if err != nil || kill < 4 {
				t.Errorf("after %d steps: %v", kill-1, err)
			}
			return
		}
	}
}

// TestHalfMadeApps: a publication that was killed leaves an object without
// content. The same kind is finished by the next run; one of a kind the package
// no longer has is removed a day later, but nothing that somebody is assigned to.
func TestHalfMadeApps(t *testing.T) {
	for _, at := range []string{"create", "content", "file", "block", "blocklist", "commit"} {
		w := mixedWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(e event.Event) {
			if e.Name == at {
				cancel()
			}
		})
		app, content := macRelease(t, fleet.Stable, "24.08", "pkg", macPackage(t, "24.08", 3000))
		if _, err := w.client(nordic).Publish(ctx, app, content); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", at, err)
		}
		w.when(nil)
		next, content := release(t, fleet.Stable, "24.09", 1000)
		state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
		if apps := w.get(appsAt)["value"].([]any); len(apps) != 2 || state.Version != "24.09" {
			t.Errorf("%s: another run may be at work on it, and %d objects are left, %+v", at, len(apps), state)
		}
		w.clock.Set(w.clock.Now().Add(25 * time.Hour))
		state = must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
		if apps := w.get(appsAt)["value"].([]any); len(apps) != 1 || state.Version != "24.09" || len(state.Duplicates) != 0 {
			t.Errorf("%s: a day later %d objects are left, %+v", at, len(apps), state)
		}
	}
}

// TestRelationsAreStrict holds the simulator to the service's strictness.
func TestRelationsAreStrict(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	var apps []string
	for range 12 {
		apps = append(apps, foreignApp(w))
	}
	relate := func(app string, entries string) int {
		r := httptest.NewRequest(http.MethodPost, appsAt+"/"+app+"/updateRelationships", strings.NewReader(`{"relationships":[`+entries+`]}`))
		r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		return rec.Code
	}
	entry := func(kind, target, more string) string {
		return fmt.Sprintf(`{"@odata.type":%q,"targetId":%q,%s}`, kind, target, more)
	}
	const update, detect = `"supersedenceType":"update"`, `"dependencyType":"detect"`
	for i := range 9 { // a chain of ten
		if got := relate(apps[i], entry(supersedence, apps[i+1], update)); got != http.StatusNoContent {
			t.Fatalf("link %d: %d", i, got)
		}
	}
	for name, tt := range map[string]struct {
		app, entries string
		want         int
	}{
		"eleven nodes":   {apps[10], entry(supersedence, apps[0], update), 400},
		"itself":         {apps[10], entry(dependency, apps[10], detect), 400},
		"twice":          {apps[10], entry(dependency, apps[11], detect) + "," + entry(supersedence, apps[11], update), 400},
		"nobody":         {apps[10], entry(dependency, "none", detect), 400},
		"without a type": {apps[10], entry(dependency, apps[11], `"targetType":"child"`), 400},
		"a parent":       {apps[10], entry(dependency, apps[11], detect+`,"targetType":"parent"`), 400},
		"good":           {apps[10], entry(dependency, apps[11], detect), 204},
		"a circle":       {apps[11], entry(dependency, apps[10], detect), 400},
	} {
		if name == "a circle" {
			relate(apps[10], entry(dependency, apps[11], detect))
		}
		if got := relate(tt.app, tt.entries); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	r := httptest.NewRequest(http.MethodDelete, appsAt+"/"+apps[1], nil)
	r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
	rec := httptest.NewRecorder()
	if w.server.ServeHTTP(rec, r); rec.Code != http.StatusBadRequest {
		t.Errorf("a superseded app was deleted: %d", rec.Code)
	}
}

// foreignApp is an app of the tenant's people.
func foreignApp(w *world) string {
	return w.do(http.MethodPost, appsAt, map[string]any{
		"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "Theirs", "publisher": "Them", "fileName": "a.intunewin", "setupFilePath": "a.msi",
		"installCommandLine": "a", "uninstallCommandLine": "b",
		"rules": []any{map[string]any{"@odata.type": "#microsoft.graph.win32LobAppFileSystemRule", "ruleType": "detection", "path": "c:\\", "fileOrFolderName": "a", "operationType": "exists"}},
	})["id"].(string)
}
