package factory_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// differing are the objects of a report that are not the same everywhere, by slot,
// and their changes in words.
func (w *scaleWorld) differing() map[string]string {
	w.t.Helper()
	r, err := w.Drift(w.t.Context(), rollout.Facts{Repo: w.repo, Record: w.rec}, "")
	if err != nil || len(r.Unread) > 0 {
		w.t.Fatal(err, r.Unread)
	}
	out := map[string]string{}
	for _, o := range r.Objects {
		if o.State == drift.Same || o.State == drift.Apply {
			continue
		}
		words := []string{string(o.State)}
		for _, c := range o.Changes {
			words = append(words, c.Path+": "+c.Base+" → "+c.Have)
		}
		out[o.Slot] = strings.Join(words, "; ")
	}
	if r.Differs() != (len(out) > 0) && len(out) > 0 {
		w.t.Errorf("differs %v with %v", r.Differs(), out)
	}
	return out
}

// TestDriftOfAssignments: whom an app of packmill's is for is compared with whom it
// was left for, by target, start, deadline and filter, whatever the tenant's people
// assigned it to themselves; and an app that was deleted is missed.
func TestDriftOfAssignments(t *testing.T) {
	const cycle2 = fleet.CycleID("2026-W49")
	s := scale{tenants: 1, packages: 1, devices: 4}
	w := newScaleWorld(t, s)
	p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
	w.must(rollout.Deploy, theCycle)
	w.must(rollout.Promote, theCycle)
	w.later(14 * day)
	w.release("24.10")
	w.wave(cycle2, theWave, s)
	w.must(rollout.Deploy, cycle2)
	candidate, group := w.ours()
	console, err := w.Consoles(t.Context(), w.repo.Tenants[w.tenants[0]])
	if err != nil {
		t.Fatal(err)
	}
	state, err := console.Observe(t.Context(), w.packages[0], fleet.Stable)
	if err != nil {
		t.Fatal(err)
	}
	stable := state.ID
	if got := w.differing(); len(got) > 0 {
		t.Errorf("left alone it differs: %v", got)
	}
	were := map[string][]map[string]any{candidate: p.list(appsAt + "/" + candidate + "/assignments"), stable: p.list(appsAt + "/" + stable + "/assignments")}
	send := func(app string, set []map[string]any) {
		t.Helper()
		p.post(appsAt+"/"+app+"/assign", map[string]any{"mobileAppAssignments": set})
		w.later(time.Hour)
	}
	theirs := map[string]any{"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "available",
		"target": target("group", p.post(groupsAt, map[string]any{"displayName": "Tills", "mailNickname": "tills", "mailEnabled": false, "securityEnabled": true}))}
	for _, tt := range []struct {
		what, slot, words string
		change            func(set []map[string]any) []map[string]any
	}{
		{"theirs added", fleet.Candidate, "", func(set []map[string]any) []map[string]any { return append(set, theirs) }},
		{"ours removed", fleet.Candidate, `drift; assignments/` + group + `: "required ` + group + ` from `, func([]map[string]any) []map[string]any { return []map[string]any{theirs} }},
		{"another deadline", fleet.Candidate, "2027-01-31T00:00:00Z", func(set []map[string]any) []map[string]any {
			at := set[0]["settings"].(map[string]any)["installTimeSettings"].(map[string]any)
			at["deadlineDateTime"] = "2027-01-31T00:00:00Z"
			return set
		}},
		{"a filter", fleet.Stable, " through filter ", func(set []map[string]any) []map[string]any {
			filter := p.post("/beta/deviceManagement/assignmentFilters", map[string]any{"displayName": "Kiosks", "platform": "windows10AndLater", "rule": `(device.model -eq "K1")`, "assignmentFilterManagementType": "devices"})
			for _, a := range set {
				if to := a["target"].(map[string]any); to["@odata.type"] == "#microsoft.graph.allDevicesAssignmentTarget" {
					to["deviceAndAppManagementAssignmentFilterId"], to["deviceAndAppManagementAssignmentFilterType"] = filter, "include"
				}
			}
			return set
		}},
		{"the wave no longer left out", fleet.Stable, `drift; assignments/not ` + group + `: "not ` + group + `" → `, func(set []map[string]any) []map[string]any {
			return slices.DeleteFunc(set, func(a map[string]any) bool {
				return a["target"].(map[string]any)["@odata.type"] == "#microsoft.graph.exclusionGroupAssignmentTarget"
			})
		}},
		{"everyone removed", fleet.Stable, `drift; assignments/all devices: "required all devices`, func([]map[string]any) []map[string]any { return []map[string]any{} }},
	} {
		app := map[string]string{fleet.Candidate: candidate, fleet.Stable: stable}[tt.slot]
		send(app, tt.change(p.list(appsAt+"/"+app+"/assignments")))
		got := w.differing()
		if tt.words == "" && len(got) > 0 || tt.words != "" && (len(got) != 1 || !strings.Contains(got[tt.slot], tt.words)) {
			t.Errorf("%s: %v", tt.what, got)
		}
		send(app, were[app])
		if got := w.differing(); len(got) > 0 {
			t.Errorf("%s, put back: %v", tt.what, got)
		}
	}
	p.send(http.MethodDelete, appsAt+"/"+stable, nil)
	w.later(time.Hour)
	if got := w.differing(); len(got) != 1 || got[fleet.Stable] != "missing" {
		t.Errorf("deleted: %v", got)
	}
	w.must(rollout.Remove, cycle2)
	if got := w.differing(); len(got) > 0 {
		t.Errorf("packmill removed it: %v", got)
	}
}

// ours finds packmill's own objects of a slot and a wave.
func (w *scaleWorld) ours() (app, group string) {
	w.t.Helper()
	console, err := w.Consoles(w.t.Context(), w.repo.Tenants[w.tenants[0]])
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := console.Observe(w.t.Context(), w.packages[0], fleet.Candidate)
	if err != nil || len(state.Targets) == 0 {
		w.t.Fatalf("%+v, %v", state, err)
	}
	return state.ID, state.Targets[0].Group
}
