package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

const (
	oldTool = fleet.PackageID("acme/old")
	newTool = fleet.PackageID("acme/tool")
)

// successor publishes a release of a package that takes the place of others.
func (w *world) successor(id fleet.PackageID, slot string, supersedes map[fleet.PackageID]string, change ...func(*fleet.App)) fleet.AppState {
	w.t.Helper()
	app, content := release(w.t, slot, "24.09", 500)
	app.Package, app.Name, app.Supersedes = id, string(id), supersedes
	for _, f := range change {
		f(&app)
	}
	return must[fleet.AppState](w.t)(w.client(nordic).Publish(w.t.Context(), app, content))
}

// succeed publishes a release of a package that takes the place of others.
func succeed(ctx context.Context, w *world, supersedes map[fleet.PackageID]string) error {
	app, content := release(w.t, fleet.Stable, "24.09", 500)
	app.Package, app.Name, app.Supersedes = newTool, "Tool", supersedes
	_, err := w.client(nordic).Publish(ctx, app, content)
	return err
}

// successor makes the app of a package that takes nothing's place yet, which people
// relate to theirs.
func successor(w *world, _ string) {
	w.t.Helper()
	if err := succeed(w.t.Context(), w, nil); err != nil {
		w.t.Fatal(err)
	}
	theirs, own := "", ""
	for _, app := range w.all(appsURL) {
		switch {
		case app["displayName"] == "Tool":
			own = app["id"].(string)
		case !ourApp(app) && app["@odata.type"] == "#microsoft.graph.win32LobApp":
			theirs = app["id"].(string)
		}
	}
	w.do(http.MethodPost, appsURL+"/"+own+"/updateRelationships", map[string]any{"relationships": []any{
		map[string]any{"@odata.type": supersedence, "targetId": theirs, "supersedenceType": "update"},
	}})
}

// gaveWay are the apps that one supersedes, and how, in the order of their ids.
func (w *world) gaveWay(app string) string {
	var out []string
	for _, v := range w.get(appsAt + "/" + app + "/relationships")["value"].([]any) {
		if r := v.(map[string]any); r["targetType"] == "child" && r["@odata.type"] == supersedence {
			out = append(out, r["targetId"].(string)+" "+r["supersedenceType"].(string))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func listed(how string, apps ...string) string {
	slices.Sort(apps)
	return strings.Join(apps, " "+how+", ") + " " + how
}

func (w *world) marker(app string) intune.Marker {
	m, _ := intune.ParseMarker(fmt.Sprint(w.get(appsAt + "/" + app)["notes"]))
	return m
}

// writes are the requests that change something which a function makes.
func (w *world) writes(f func()) (n int) {
	for _, c := range w.calls(f) {
		if c.method != http.MethodGet && c.Operation != "token" {
			n++
		}
	}
	return n
}

var replace = map[fleet.PackageID]string{oldTool: "replace"}

// TestSupersedes: a slot's app supersedes those of both slots of the old package,
// beside what people entered and what the package requires, as long as its
// package says so.
func TestSupersedes(t *testing.T) {
	w := newWorld(t, nil)
	stable, candidate := w.of(oldTool, fleet.Stable), w.of(oldTool, fleet.Candidate)
	runtime, third := w.of("acme/runtime", fleet.Stable), w.of("acme/third", fleet.Stable)
	theirs, needed := foreignApp(w), foreignApp(w)
	needs := func(a *fleet.App) { a.Requires = []fleet.PackageID{"acme/runtime"} }
	app := w.successor(newTool, fleet.Candidate, replace, needs)
	both := []string{stable.ID, candidate.ID}
	if got := w.gaveWay(app.ID); got != listed("replace", both...) || !app.Supersedes {
		t.Fatalf("supersedes %s, want %v; %+v", got, both, app)
	}
	// People relate the app to theirs, and to one of packmill's too.
	entered := []any{
		map[string]any{"@odata.type": supersedence, "targetId": theirs, "supersedenceType": "update"},
		map[string]any{"@odata.type": supersedence, "targetId": third.ID, "supersedenceType": "replace"},
		map[string]any{"@odata.type": dependency, "targetId": needed, "dependencyType": "detect"},
	}
	for _, id := range both {
		entered = append(entered, map[string]any{"@odata.type": supersedence, "targetId": id, "supersedenceType": "replace"})
	}
	entered = append(entered, map[string]any{"@odata.type": dependency, "targetId": runtime.ID, "dependencyType": "autoInstall"})
	w.do(http.MethodPost, appsAt+"/"+app.ID+"/updateRelationships", map[string]any{"relationships": entered})
	kept := theirs + " update, " + third.ID + " replace"
	if third.ID < theirs {
		kept = third.ID + " replace, " + theirs + " update"
	}
	check := func(when, ours string, deps ...string) {
		t.Helper()
		want := strings.Split(kept, ", ")
		if ours != "" {
			want = append(want, strings.Split(ours, ", ")...)
		}
		slices.Sort(want)
		slices.Sort(deps)
		if got := w.gaveWay(app.ID); got != strings.Join(want, ", ") || !slices.Equal(w.needs(app.ID, dependency), deps) {
			t.Errorf("%s: supersedes %s, needs %v", when, got, w.needs(app.ID, dependency))
		}
	}
	if n := w.writes(func() { w.successor(newTool, fleet.Candidate, replace, needs) }); n != 0 {
		t.Errorf("nothing to do: %d writes", n)
	}
	check("again", listed("replace", both...), needed, runtime.ID)
	w.successor(newTool, fleet.Candidate, map[fleet.PackageID]string{oldTool: "update"}, needs)
	check("updated", listed("update", both...), needed, runtime.ID)
	reverse := func() {
		if err := w.client(nordic).Reverse(t.Context(), newTool, fleet.Candidate); err != nil {
			t.Fatal(err)
		}
	}
	reverse()
	check("reversed", "", needed, runtime.ID)
	if m := w.marker(app.ID); len(m.Supersedes) != 0 || len(m.Requires) != 1 {
		t.Errorf("marker %+v", m)
	}
	if n := w.writes(reverse); n != 0 {
		t.Errorf("reversed again: %d writes", n)
	}
	w.successor(newTool, fleet.Candidate, replace)
	check("once more", listed("replace", both...), needed)
	w.successor(newTool, fleet.Candidate, nil)
	check("taken out of the package", "", needed)
	if m := w.marker(app.ID); len(m.Supersedes)+len(m.Requires) != 0 {
		t.Errorf("marker %+v", m)
	}
}

// TestSupersedesWhatComesLater: an app of the old package that is made after its
// successor gives way too; and what a tenant does not have gives none.
func TestSupersedesWhatComesLater(t *testing.T) {
	w := newWorld(t, nil)
	app := w.successor(newTool, fleet.Stable, map[fleet.PackageID]string{oldTool: "replace", "acme/never": "replace"})
	if got := w.gaveWay(app.ID); got != "" {
		t.Errorf("supersedes %s", got)
	}
	stable := w.of(oldTool, fleet.Stable)
	if got := w.gaveWay(app.ID); got != listed("replace", stable.ID) {
		t.Errorf("supersedes %s, want %s", got, stable.ID)
	}
	candidate := w.of(oldTool, fleet.Candidate)
	if got := w.gaveWay(app.ID); got != listed("replace", stable.ID, candidate.ID) {
		t.Errorf("supersedes %s", got)
	}
	if n := w.writes(func() { w.of(oldTool, fleet.Candidate) }); n != 0 {
		t.Errorf("nothing to do: %d writes", n)
	}
}

// TestBackSupersedesNothingNew: a release that comes again has no more give way
// than the slot did.
func TestBackSupersedesNothingNew(t *testing.T) {
	w := newWorld(t, nil)
	stable, other := w.of(oldTool, fleet.Stable), w.of("acme/other", fleet.Stable)
	app := w.successor(newTool, fleet.Stable, replace)
	more := map[fleet.PackageID]string{oldTool: "replace", "acme/other": "replace"}
	w.successor(newTool, fleet.Stable, more, func(a *fleet.App) { a.Back = true })
	if got := w.gaveWay(app.ID); got != listed("replace", stable.ID) {
		t.Errorf("supersedes %s", got)
	}
	w.successor(newTool, fleet.Stable, more)
	if got := w.gaveWay(app.ID); got != listed("replace", stable.ID, other.ID) {
		t.Errorf("supersedes %s", got)
	}
}

// TestTooManySuperseded is refused before the service is asked, and counts what
// people made in both directions.
func TestTooManySuperseded(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	w.of(oldTool, fleet.Stable)
	app := w.of(newTool, fleet.Stable)
	above := app.ID
	for range 8 { // a chain of nine, with the app at its end
		next := foreignApp(w)
		w.do(http.MethodPost, appsAt+"/"+next+"/updateRelationships", map[string]any{"relationships": []any{
			map[string]any{"@odata.type": supersedence, "targetId": above, "supersedenceType": "update"},
		}})
		above = next
	}
	w.successor(newTool, fleet.Stable, replace) // the tenth
	w.successor(newTool, fleet.Stable, nil)
	w.of(oldTool, fleet.Candidate)
	related := w.count("relate")
	release, content := release(t, fleet.Stable, "24.09", 500)
	release.Package, release.Name, release.Supersedes = newTool, "Tool", replace
	_, err := w.client(nordic).Publish(t.Context(), release, content)
	if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "more than 9 apps that supersede each other") || w.count("relate") != related {
		t.Errorf("%v, %d calls", err, w.count("relate")-related)
	}
}

// TestSupersededPackageIsRemoved: its apps can go, out of their successor's
// relations first; and the successor can go without them.
func TestSupersededPackageIsRemoved(t *testing.T) {
	w := newWorld(t, nil)
	w.of(oldTool, fleet.Stable)
	w.of(oldTool, fleet.Candidate)
	app := w.successor(newTool, fleet.Stable, replace)
	if err := w.client(nordic).Remove(t.Context(), oldTool, 0); err != nil {
		t.Fatal(err)
	}
	if got := w.gaveWay(app.ID); got != "" || w.count("delete") != 2 {
		t.Errorf("supersedes %s, %d deleted", got, w.count("delete"))
	}
	stable := w.of(oldTool, fleet.Stable)
	if got := w.gaveWay(app.ID); got != listed("replace", stable.ID) {
		t.Errorf("it came again, and the app supersedes %q", got)
	}
	if err := w.client(nordic).Remove(t.Context(), newTool, 0); err != nil || w.count("delete") != 3 {
		t.Errorf("%v, %d deleted", err, w.count("delete"))
	}
}

// TestSupersedenceKilledAtEachStep is finished by the next run, and never leaves a
// relation that nobody owns.
func TestSupersedenceKilledAtEachStep(t *testing.T) {
	for _, back := range []bool{false, true} {
		for kill := 1; ; kill++ {
			w := newWorld(t, nil)
			w.of(oldTool, fleet.Stable)
			app := w.successor(newTool, fleet.Stable, map[fleet.PackageID]string{})
			if back {
				w.successor(newTool, fleet.Stable, replace)
			}
			do := func(ctx context.Context) error {
				if back {
					return w.client(nordic).Reverse(ctx, newTool, fleet.Stable)
				}
				next, content := release(t, fleet.Stable, "24.09", 500)
				next.Package, next.Name, next.Supersedes = newTool, string(newTool), replace
				_, err := w.client(nordic).Publish(ctx, next, content)
				return err
			}
			before := len(w.events)
			ctx, cancel := context.WithCancel(t.Context())
			w.when(func(event.Event) {
				if len(w.events) == before+kill {
					cancel()
				}
			})
			err := do(ctx)
			killed := ctx.Err() != nil
			cancel()
			w.when(nil)
			if w.gaveWay(app.ID) != "" && len(w.marker(app.ID).Supersedes) == 0 {
				t.Errorf("back %v, %d: a relation is nobody's", back, kill)
			}
			if err := do(t.Context()); err != nil {
				t.Fatalf("back %v, %d: %v", back, kill, err)
			}
			if got := w.gaveWay(app.ID); (got == "") != back || (len(w.marker(app.ID).Supersedes) == 0) != back {
				t.Errorf("back %v, %d: supersedes %q", back, kill, got)
			}
			if !killed {
				if err != nil || kill < 3 {
					t.Errorf("back %v, after %d steps: %v", back, kill-1, err)
				}
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("back %v, %d: %v", back, kill, err)
			}
		}
	}
}

// has counts what devices really have of a package, by version.
func (w *world) has(id fleet.PackageID) map[string]int {
	out := map[string]int{}
	for _, version := range w.server.Installed(nordic, id, w.clock.Now()) {
		out[version]++
	}
	return out
}

func (w *world) expectHas(when string, id fleet.PackageID, want map[string]int) {
	w.t.Helper()
	if got := w.has(id); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s: devices have %v of %s, want %v", when, got, id, want)
	}
}

// TestSupersedenceOnDevices: the old program goes before the new one comes, does
// not come again beside it, and comes again once the new one has gone.
func TestSupersedenceOnDevices(t *testing.T) {
	const day = 24 * time.Hour
	upgrades := func(code string) func(*fleet.App) {
		return func(a *fleet.App) {
			facts := *a.Download.MSI
			facts.UpgradeCode = code
			a.Download.MSI = &facts
		}
	}
	for _, c := range []struct {
		name, how, code string
		breaks          bool
		after           map[string]int // of the old package
		comes           map[string]int // of the new one
	}{
		{"replaced", "replace", "", false, map[string]int{"": 4, "24.09": 6}, map[string]int{"": 6, "24.09": 4}},
		{"updated by its installer", "update", "{0F7B3C8E-0000-4000-8000-000000000001}", false, map[string]int{"": 4, "24.09": 6}, map[string]int{"": 6, "24.09": 4}},
		{"left by the new installer", "update", "", false, map[string]int{"24.09": 10}, map[string]int{"": 6, "24.09": 4}},
		{"replaced by what breaks", "replace", "", true, map[string]int{"": 4, "24.09": 6}, map[string]int{"": 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) {
				o.Lag = 0
				o.FailureRate = func(id fleet.PackageID, _ string, _ fleet.Digest) float64 {
					if c.breaks && id == newTool {
						return 1
					}
					return 0
				}
			})
			client := w.client(nordic)
			all := fleet.Target{Intent: "required", Group: "all devices"}
			give := func(id fleet.PackageID, slot string, targets ...fleet.Target) {
				t.Helper()
				if err := client.Assign(t.Context(), id, slot, targets); err != nil {
					t.Fatal(err)
				}
			}
			w.successor(oldTool, fleet.Stable, nil, upgrades(c.code))
			give(oldTool, fleet.Stable, all)
			w.pass(2 * day)
			w.expectHas("before", oldTool, map[string]int{"24.09": 10})
			w.successor(newTool, fleet.Candidate, map[fleet.PackageID]string{oldTool: c.how}, upgrades(c.code))
			w.pass(2 * day)
			w.expectHas("not assigned", oldTool, map[string]int{"24.09": 10})
			devices := ids(must[[]fleet.Device](t)(client.Inventory(t.Context())))
			group := must[string](t)(client.Group(t.Context(), "dogfood", devices[:4]))
			give(newTool, fleet.Candidate, fleet.Target{Intent: "required", Group: group})
			for _, days := range []int{2, 14} {
				w.pass(time.Duration(days) * day)
				w.expectHas("assigned", oldTool, c.after)
				w.expectHas("assigned", newTool, c.comes)
			}
			// Halted: whatever came stays, and nothing comes beside it.
			give(newTool, fleet.Candidate)
			w.pass(2 * day)
			w.expectHas("halted", newTool, c.comes)
			if !c.breaks {
				w.expectHas("halted", oldTool, c.after)
			}
			// Taken back.
			give(newTool, fleet.Candidate, fleet.Target{Intent: "uninstall", Group: group})
			if err := client.Reverse(t.Context(), newTool, fleet.Candidate); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * day)
			w.expectHas("taken back", newTool, map[string]int{"": 10})
			w.expectHas("taken back", oldTool, map[string]int{"24.09": 10})
		})
	}
}
