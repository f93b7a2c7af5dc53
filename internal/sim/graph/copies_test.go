package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// idOf is what markers of today have more than those of yesterday.
var idOf = regexp.MustCompile(`"id":"[^"]*",`)

// whole is everything of an app or a script that people see, with its assignments.
func (w *world) whole(path string) string {
	w.t.Helper()
	return fmt.Sprint(w.get(path), w.list(path+"/assignments"))
}

// runFor is an assignment of a script as a person makes it.
func runFor(group string) map[string]any {
	return map[string]any{
		"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}, "runRemediationScript": false,
	}
}

// copied is a copy of a script of packmill's that a person made, and runs on
// groups of his.
func (w *world) copied(id string, groups ...string) string {
	w.t.Helper()
	path := scriptsURL + "/" + w.copyOf("deviceHealthScripts", w.get(scriptsURL+"/"+id))
	var set []any
	for _, g := range groups {
		set = append(set, runFor(g))
	}
	if set != nil {
		w.do(http.MethodPost, path+"/assign", map[string]any{"deviceHealthScriptAssignments": set})
	}
	return path
}

// theProbe is the id of packmill's one script.
func (w *world) theProbe() string {
	w.t.Helper()
	var out []string
	for _, s := range w.all(scriptsURL) {
		d, _ := s["description"].(string)
		if m, ok := intune.ParseProbeMarker(d); ok && (m.ID == "" || m.ID == s["id"]) {
			out = append(out, s["id"].(string))
		}
	}
	if len(out) != 1 {
		w.t.Fatalf("packmill has the scripts %v", out)
	}
	return out[0]
}

// TestCopiedProbeStays: copies of a remediation that people made, one of which they
// run, are neither changed nor deleted, whether markers name their scripts, or are
// from before they did.
func TestCopiedProbeStays(t *testing.T) {
	for _, yesterday := range []bool{false, true} {
		w := newWorld(t, func(o *graph.Options) { o.ListLag = 1 })
		_, _, group := watched(t, w, "24.09")
		id := w.theProbe()
		if yesterday {
			description := w.get(scriptsURL + "/" + id)["description"].(string)
			w.do(http.MethodPatch, scriptsURL+"/"+id, map[string]any{
				"@odata.type": "#microsoft.graph.deviceHealthScript", "description": idOf.ReplaceAllString(description, ""),
			})
		}
		w.pass(time.Minute)
		before := map[string]string{}
		for _, path := range []string{w.copied(id), w.copied(id, finance)} {
			before[path] = w.whole(path)
		}
		unchanged := func(when string) {
			for path, want := range before {
				if status := w.status(http.MethodGet, path, nil); status != http.StatusOK {
					t.Errorf("yesterday %v, %s: the copy answers %d", yesterday, when, status)
				} else if got := w.whole(path); got != want {
					t.Errorf("yesterday %v, %s: was\n%s\nis\n%s", yesterday, when, want, got)
				}
			}
		}
		if audit := must[fleet.ConsoleAudit](t)(w.client(nordic).AuditEvents(t.Context(), monday, monday)); audit.Objects[id].Kind != "probe" || len(audit.Objects) != 2 {
			t.Errorf("packmill's objects are %v", audit.Objects)
		}
		for _, release := range []string{"24.09", "24.10"} {
			if err := w.client(nordic).Probe(t.Context(), alive(release, group)); err != nil {
				t.Fatal(err)
			}
			unchanged("probed " + release)
		}
		if m, _ := intune.ParseProbeMarker(w.get(scriptsURL + "/" + id)["description"].(string)); m.ID != id || m.Half {
			t.Errorf("yesterday %v: the probe is named %q", yesterday, m.ID)
		}
		for range 2 {
			if err := w.client(nordic).Unprobe(t.Context(), pkg); err != nil {
				t.Fatal(err)
			}
		}
		unchanged("removed")
		if status := w.status(http.MethodGet, scriptsURL+"/"+id, nil); status != http.StatusNotFound {
			t.Errorf("yesterday %v: packmill's own is left: %d", yesterday, status)
		}
		if err := w.client(nordic).Probe(t.Context(), alive("24.10", group)); err != nil {
			t.Fatal(err)
		}
		unchanged("probed again")
	}
}

// TestSharedProbeIsGiven: a probe that people run on a group of theirs as well is
// not deleted with the release: it loses packmill's groups and packmill's line.
func TestSharedProbeIsGiven(t *testing.T) {
	w := newWorld(t, nil)
	_, _, group := watched(t, w, "24.09")
	id := w.theProbe()
	path := scriptsURL + "/" + id
	set := []any{runFor(finance)}
	for _, a := range w.list(path + "/assignments") {
		delete(a, "id")
		set = append(set, a)
	}
	w.do(http.MethodPost, path+"/assign", map[string]any{"deviceHealthScriptAssignments": set})
	for range 2 {
		if err := w.client(nordic).Unprobe(t.Context(), pkg); err != nil {
			t.Fatal(err)
		}
	}
	if left := fmt.Sprint(w.list(path + "/assignments")); !strings.Contains(left, finance) || strings.Contains(left, group) {
		t.Errorf("it runs on %s", left)
	}
	if d := w.get(path)["description"]; strings.Contains(fmt.Sprint(d), "packmill:") {
		t.Errorf("its description is %q", d)
	}
	if err := w.client(nordic).Probe(t.Context(), alive("24.10", group)); err != nil || w.theProbe() == id {
		t.Errorf("the next release's probe is %s, %v", w.theProbe(), err)
	}
}

// filled has an app that people made hold content: one without is assigned to
// nobody. Its notes are notes.
func (w *world) filled(notes string) (path string) {
	w.t.Helper()
	app, content := release(w.t, fleet.Stable, "1.0", 1000)
	app.Package = "made/elsewhere"
	path = appPath + must[fleet.AppState](w.t)(w.client(nordic).Publish(w.t.Context(), app, content)).ID
	w.do(http.MethodPatch, path, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
	return path
}

// copiedApp is a copy of packmill's app that a person made, as far as he could: its
// content he uploaded himself, where he assigned it.
func (w *world) copiedApp(id string, groups ...string) (path string) {
	w.t.Helper()
	app := w.get(appPath + id)
	if len(groups) == 0 {
		return appPath + w.theirApp("Copy", app["notes"].(string))
	}
	path = w.filled(app["notes"].(string))
	var set []any
	for _, g := range groups {
		set = append(set, w.theirs(g, "available"))
	}
	w.do(http.MethodPost, path+"/assign", map[string]any{"mobileAppAssignments": set})
	return path
}

// TestCopiedAppStays: copies of an app of packmill's, one of which people assigned,
// are neither changed nor deleted, nor used instead of it, whether markers name
// their apps, or are from before they did.
func TestCopiedAppStays(t *testing.T) {
	all := fleet.Target{Intent: "required", Group: "all devices"}
	for _, yesterday := range []bool{false, true} {
		w := newWorld(t, func(o *graph.Options) { o.ListLag = 1 })
		c := w.client(nordic)
		first := publish(t, c, fleet.Stable, "24.09")
		assign(t, c, fleet.Stable, all)
		notes := w.get(appPath + first.ID)["notes"].(string)
		if m, _ := intune.ParseMarker(notes); m.ID != first.ID {
			t.Errorf("the app names itself %q", m.ID)
		}
		if yesterday {
			w.do(http.MethodPatch, appPath+first.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": idOf.ReplaceAllString(notes, "")})
		}
		w.pass(time.Minute)
		before := map[string]string{}
		for _, path := range []string{w.copiedApp(first.ID), w.copiedApp(first.ID, finance)} {
			w.whole(path) // it is everywhere by now
			before[path] = w.whole(path)
		}
		w.all(appsURL)
		unchanged := func(when string) {
			for path, want := range before {
				if status := w.status(http.MethodGet, path, nil); status != http.StatusOK {
					t.Errorf("yesterday %v, %s: the copy answers %d", yesterday, when, status)
				} else if got := w.whole(path); got != want {
					t.Errorf("yesterday %v, %s: was\n%s\nis\n%s", yesterday, when, want, got)
				}
			}
		}
		state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable))
		if state.ID != first.ID || len(state.Duplicates) > 0 || state.Foreign || len(state.Targets) != 1 {
			t.Errorf("yesterday %v: the slot is %+v", yesterday, state)
		}
		assign(t, w.client(nordic), fleet.Stable)
		assign(t, w.client(nordic), fleet.Stable, all)
		unchanged("assigned")
		if m, _ := intune.ParseMarker(w.get(appPath + first.ID)["notes"].(string)); m.ID != first.ID {
			t.Errorf("yesterday %v: the app names itself %q", yesterday, m.ID)
		}
		if state := publish(t, w.client(nordic), fleet.Stable, "24.10"); state.ID != first.ID {
			t.Errorf("yesterday %v: published into %s", yesterday, state.ID)
		}
		unchanged("published")
		if err := w.client(nordic).Remove(t.Context(), pkg, 0); err != nil {
			t.Fatal(err)
		}
		unchanged("removed")
		if status := w.status(http.MethodGet, appPath+first.ID, nil); status != http.StatusNotFound {
			t.Errorf("yesterday %v: packmill's own is left: %d", yesterday, status)
		}
		if yesterday {
			continue // a copy that outlives its original cannot be told from one
		}
		if err := w.client(nordic).Remove(t.Context(), pkg, 0); err != nil {
			t.Fatal(err)
		}
		if state := publish(t, w.client(nordic), fleet.Stable, "24.11"); before[appPath+state.ID] != "" {
			t.Errorf("yesterday %v: published into a copy", yesterday)
		}
		unchanged("published anew")
	}
}

// TestTakenSpareKeepsItsGroups: a second object that a person has taken packmill's
// line off since it was listed keeps what he assigned, to a wave's group as well.
func TestTakenSpareKeepsItsGroups(t *testing.T) {
	w := newWorld(t, nil)
	first := publish(t, w.client(nordic), fleet.Stable, "24.09")
	w.pass(time.Minute)
	spare := w.filled("")
	notes := strings.ReplaceAll(w.get(appPath + first.ID)["notes"].(string), first.ID, strings.TrimPrefix(spare, appPath))
	body := func(notes string) map[string]any {
		return map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes}
	}
	w.do(http.MethodPatch, spare, body(notes))
	c := w.client(nordic)
	if state := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Stable)); state.ID != first.ID || len(state.Duplicates) != 1 {
		t.Fatalf("state %+v", state)
	}
	wave := must[string](t)(c.Group(t.Context(), "dogfood", nil))
	w.do(http.MethodPatch, spare, body("ours now"))
	w.do(http.MethodPost, spare+"/assign", map[string]any{"mobileAppAssignments": []any{w.theirs(wave, "available")}})
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: wave})
	assign(t, c, fleet.Stable)
	if left := w.list(spare + "/assignments"); len(left) != 1 {
		t.Errorf("it is left with %v", left)
	}
}

// TestAdoptedAssignmentsStay: what people assigned an adopted app to stands as it
// was. Where main wants one of those targets otherwise, the package stops before
// anything is written, until they have removed it; and a stop takes away nothing of
// theirs.
func TestAdoptedAssignmentsStay(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	at := w.filled("Owner: service desk")
	app := strings.TrimPrefix(at, appPath)
	kiosks := w.theirs(finance, "required")
	kiosks["target"].(map[string]any)["@odata.type"] = "#microsoft.graph.allDevicesAssignmentTarget"
	delete(kiosks["target"].(map[string]any), "groupId")
	not := map[string]any{
		"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "required", "settings": nil,
		"target": map[string]any{"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": finance},
	}
	w.do(http.MethodPost, at+"/assign", map[string]any{"mobileAppAssignments": []any{kiosks, not}})
	if err := c.Adopt(t.Context(), pkg, app); err != nil {
		t.Fatal(err)
	}
	publish(t, c, fleet.Stable, "24.09")
	wave := must[string](t)(c.Group(t.Context(), "dogfood", nil))
	theirs := func() string {
		var out []string
		for _, a := range w.list(at + "/assignments") {
			if target := flat(a["target"].(map[string]any)); !strings.Contains(target, wave) {
				data, err := json.Marshal(a["settings"])
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, fmt.Sprint(a["intent"], target, string(data)))
			}
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	before := theirs()
	out := fleet.Target{Intent: "required", Group: finance, Exclude: true}
	assign(t, w.client(nordic), fleet.Stable, fleet.Target{Intent: "required", Group: wave, Exclude: true}, out)
	events := len(w.events)
	promoted := []fleet.Target{{Intent: "required", Group: "all devices", Notify: "hideAll"}, out}
	for range 2 {
		err := w.client(nordic).Assign(t.Context(), pkg, fleet.Stable, promoted)
		if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "to all devices") {
			t.Errorf("promoted: %v", err)
		}
	}
	if len(w.events) != events || theirs() != before {
		t.Errorf("something was written: %v, theirs was\n%s\nis\n%s", w.events[events:], before, theirs())
	}
	for range 2 {
		if err := w.client(nordic).Stop(t.Context(), pkg, fleet.Stable); err != nil || theirs() != before {
			t.Errorf("stopped: %v, theirs was\n%s\nis\n%s", err, before, theirs())
		}
	}
	// They remove the one that stands in the way, and keep the exclusion.
	w.do(http.MethodPost, at+"/assign", map[string]any{"mobileAppAssignments": []any{not}})
	assign(t, w.client(nordic), fleet.Stable, promoted...)
	if state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable)); len(state.Targets) != 2 || state.Foreign {
		t.Errorf("the slot is %+v", state)
	}
	if err := w.client(nordic).Remove(t.Context(), pkg, 0); err != nil {
		t.Fatal(err)
	}
	if left := w.list(at + "/assignments"); len(left) != 1 || !strings.Contains(flat(left[0]), finance) || w.get(at)["notes"] != "Owner: service desk" {
		t.Errorf("given back as %v with %v", w.get(at)["notes"], left)
	}
}
