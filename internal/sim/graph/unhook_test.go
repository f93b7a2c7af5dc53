package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// rel is an entry of an app's relationships as people write it.
func rel(kind, target, how string) map[string]any {
	name := "dependencyType"
	if kind == supersedence {
		name = "supersedenceType"
	}
	return map[string]any{"@odata.type": kind, "targetId": target, name: how}
}

// relate adds entries to an app's own relations, as people do.
func (w *world) relate(app string, entries ...map[string]any) {
	w.t.Helper()
	all := []any{}
	for _, v := range w.get(appsAt + "/" + app + "/relationships")["value"].([]any) {
		r := v.(map[string]any)
		if how, _ := r["dependencyType"].(string); r["targetType"] == "child" && r["@odata.type"] == dependency {
			all = append(all, rel(dependency, r["targetId"].(string), how))
		}
		if how, _ := r["supersedenceType"].(string); r["targetType"] == "child" && r["@odata.type"] == supersedence {
			all = append(all, rel(supersedence, r["targetId"].(string), how))
		}
	}
	for _, e := range entries {
		all = append(all, e)
	}
	w.do(http.MethodPost, appsAt+"/"+app+"/updateRelationships", map[string]any{"relationships": all})
}

// around are an app's own relations and its categories, sorted.
func (w *world) around(app string) string {
	w.t.Helper()
	var out []string
	for _, v := range w.get(appsAt + "/" + app + "/relationships")["value"].([]any) {
		r := v.(map[string]any)
		out = append(out, fmt.Sprint(r["targetType"], " ", r["targetId"]))
	}
	for _, v := range w.get(appsAt + "/" + app + "/categories")["value"].([]any) {
		out = append(out, "in "+v.(map[string]any)["id"].(string))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestAdoptedAppLosesWhatPackmillMade: an app that is given back is related to, and
// in, what people chose alone, wherever a run was killed.
func TestAdoptedAppLosesWhatPackmillMade(t *testing.T) {
	for kill := 1; ; kill++ {
		w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
		const categories = "/beta/deviceAppManagement/mobileAppCategories"
		category := func(name string) string {
			return w.do(http.MethodPost, categories, map[string]any{"displayName": name})["id"].(string)
		}
		put := func(app, id string) {
			w.do(http.MethodPost, appsAt+"/"+app+"/categories/$ref", map[string]any{"@odata.id": w.http.URL + categories + "/" + id})
		}
		category("Tools")
		work, favourites := category("Productivity"), category("Favourites")
		needed, builder := foreignApp(w), foreignApp(w)
		runtime := w.of("acme/runtime", fleet.Stable)
		w.of(oldTool, fleet.Stable)
		app := w.theirApp("7-Zip", "ticket 4711")
		put(app, work)
		check(t, w.client(nordic).Adopt(t.Context(), pkg, app))
		next, content := release(t, fleet.Stable, "24.09", 500)
		next.Requires, next.Supersedes, next.Categories = []fleet.PackageID{"acme/runtime"}, replace, []string{"Tools", "Productivity"}
		must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
		tool := w.of("acme/tool", fleet.Stable, pkg)
		put(app, favourites)
		w.relate(app, rel(dependency, needed, "detect"))
		w.relate(builder, rel(dependency, app, "detect"))
		w.relate(tool.ID, rel(dependency, needed, "detect"))
		if n := strings.Count(w.around(app), ","); n != 7 {
			t.Fatalf("before: %s", w.around(app))
		}
		before := len(w.events)
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(event.Event) {
			if len(w.events) == before+kill {
				cancel()
			}
		})
		err := w.client(nordic).Remove(ctx, pkg, 0)
		killed := ctx.Err() != nil
		cancel()
		w.when(nil)
		check(t, w.client(nordic).Remove(t.Context(), pkg, 0))
		want := []string{"child " + needed, "in " + work, "in " + favourites, "parent " + builder}
		if slices.Sort(want); w.around(app) != strings.Join(want, ", ") {
			t.Errorf("%d: it has %s, want %v", kill, w.around(app), want)
		}
		if notes := w.get(appPath + app)["notes"]; notes != "ticket 4711" {
			t.Errorf("%d: notes %q", kill, notes)
		}
		if got := w.around(tool.ID); got != "child "+needed {
			t.Errorf("%d: what required it has %s", kill, got)
		}
		if w.status(http.MethodGet, appsAt+"/"+runtime.ID, nil) != http.StatusOK || w.count("delete") != 0 {
			t.Errorf("%d: something was deleted", kill)
		}
		if !killed {
			if err != nil || kill < 5 {
				t.Errorf("after %d steps: %v", kill-1, err)
			}
			return
		}
	}
}

// TestRemoveCutsItsOwnRelationsAlone: what people entered at one of packmill's apps
// stays, and where it is about the app that leaves, the removal waits for them.
func TestRemoveCutsItsOwnRelationsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		requires []fleet.PackageID
		old      bool // the marker of an earlier version, which names no packages
		people   func(runtime, theirs string) []map[string]any
		stalled  bool
		left     int // relations of the tool that are left
	}{
		"packmill's":               {requires: []fleet.PackageID{"acme/runtime"}},
		"packmill's beside theirs": {requires: []fleet.PackageID{"acme/runtime"}, people: func(_, theirs string) []map[string]any { return []map[string]any{rel(dependency, theirs, "detect")} }, left: 1},
		"theirs": {people: func(runtime, _ string) []map[string]any {
			return []map[string]any{rel(dependency, runtime, "autoInstall")}
		}, stalled: true, left: 1},
		"theirs, it supersedes": {people: func(runtime, _ string) []map[string]any {
			return []map[string]any{rel(supersedence, runtime, "update")}
		}, stalled: true, left: 1},
		"theirs beside another requirement": {requires: []fleet.PackageID{"acme/driver"}, people: func(runtime, _ string) []map[string]any { return []map[string]any{rel(dependency, runtime, "detect")} }, stalled: true, left: 2},
		"packmill's of before":              {requires: []fleet.PackageID{"acme/runtime"}, old: true},
		"theirs of before":                  {requires: []fleet.PackageID{"acme/driver"}, old: true, people: func(runtime, _ string) []map[string]any { return []map[string]any{rel(dependency, runtime, "detect")} }, stalled: true, left: 2},
	} {
		w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
		runtime := w.of("acme/runtime", fleet.Stable)
		w.of("acme/driver", fleet.Stable)
		tool := w.of("acme/tool", fleet.Stable, tt.requires...)
		if tt.old {
			notes := strings.Replace(w.get(appsAt + "/" + tool.ID)["notes"].(string), fmt.Sprintf(`"requires":["%s"]`, tt.requires[0]), `"related":true`, 1)
			w.do(http.MethodPatch, appsAt+"/"+tool.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
			if m := w.marker(tool.ID); !m.Related || len(m.Requires) != 0 {
				t.Fatalf("%s: marker %+v", name, m)
			}
		}
		if tt.people != nil {
			w.relate(tool.ID, tt.people(runtime.ID, foreignApp(w))...)
		}
		var err error
		n := w.changes(func() { err = w.client(nordic).Remove(t.Context(), "acme/runtime", 0) })
		var known *fleet.Error
		if errors.As(err, &known); (known != nil) != tt.stalled || known != nil && (known.Kind != fleet.Stalled || !strings.Contains(known.Hint, "acme/tool") || n != 0) {
			t.Errorf("%s: %v, %d writes", name, err, n)
		}
		if err != nil && known == nil {
			t.Errorf("%s: %v", name, err)
		}
		if left := len(w.needs(tool.ID, dependency)) + len(w.needs(tool.ID, supersedence)); left != tt.left {
			t.Errorf("%s: %d relations are left, want %d", name, left, tt.left)
		}
		if gone := w.status(http.MethodGet, appsAt+"/"+runtime.ID, nil) == http.StatusNotFound; gone == tt.stalled {
			t.Errorf("%s: gone %t", name, gone)
		}
	}
}

// TestPeoplesDependencyStays: a publication keeps what people made one of
// packmill's apps depend on, be it another of its own, and names packages again in
// a marker from before.
func TestPeoplesDependencyStays(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	runtime, driver := w.of("acme/runtime", fleet.Stable), w.of("acme/driver", fleet.Stable)
	tool := w.of("acme/tool", fleet.Stable, "acme/runtime")
	w.relate(tool.ID, rel(dependency, driver.ID, "detect"))
	w.of("acme/tool", fleet.Stable)
	if got := w.needs(tool.ID, dependency); !slices.Equal(got, []string{driver.ID}) {
		t.Errorf("needs %v, want %s", got, driver.ID)
	}
	notes := strings.Replace(w.get(appsAt + "/" + tool.ID)["notes"].(string), `"slot":`, `"related":true,"slot":`, 1)
	w.do(http.MethodPatch, appsAt+"/"+tool.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
	w.relate(tool.ID, rel(dependency, runtime.ID, "autoInstall")) // as packmill did then
	w.of("acme/tool", fleet.Stable)
	if got, m := w.needs(tool.ID, dependency), w.marker(tool.ID); !slices.Equal(got, []string{driver.ID}) || m.Related {
		t.Errorf("needs %v, want %s; %+v", got, driver.ID, m)
	}
}
