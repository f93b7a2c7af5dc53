package factory_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// apps are the app objects of the first tenant, by id: their notes.
func (p people) apps() map[string]string {
	p.w.t.Helper()
	out := map[string]string{}
	for _, app := range p.list(appsAt) {
		notes, _ := app["notes"].(string)
		out[app["id"].(string)] = notes
	}
	return out
}

// TestLeaves: a package that leaves a tenant is taken from its devices where that
// is declared, and its objects go; otherwise devices keep it. Of six devices three
// are in a second wave that never ended.
func TestLeaves(t *testing.T) {
	const cycle2 = fleet.CycleID("2026-W49")
	for name, uninstall := range map[string]bool{"keep": false, "uninstall": true, "uninstall after a halt": true} {
		t.Run(name, func(t *testing.T) {
			s := scale{tenants: 1, packages: 1, devices: 6}
			w := newScaleWorld(t, s)
			ids := slices.Sorted(maps.Keys(w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now())))
			p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
			theirs := p.app(0)
			w.must(rollout.Deploy, theCycle)
			w.must(rollout.Promote, theCycle)
			w.later(14 * day)
			w.release("24.10")
			w.wave(cycle2, theWave, s)
			members := &w.rec.Members[len(w.rec.Members)-1]
			members.Devices = members.Devices[:3]
			w.must(rollout.Deploy, cycle2)
			w.later(4 * day)
			has := w.server.Installed(p.dir, w.packages[0], w.clock.Now())
			count := map[string]int{}
			for _, id := range ids {
				count[has[id]]++
			}
			if count["24.09"] != 3 || count["24.10"] != 3 || len(p.apps()) != 3 {
				t.Fatalf("before: %v, %d apps", count, len(p.apps()))
			}
			if strings.HasSuffix(name, "halt") {
				w.must(rollout.Withdraw, cycle2)
				w.later(4 * day)
			}
			if uninstall {
				w.must(rollout.Uninstall, cycle2)
				w.later(4 * day)
				w.expect("uninstalled", ids, "", "", "")
				if len(p.apps()) != 3 {
					t.Error("objects went while the package is still under packages")
				}
			}
			w.must(rollout.Remove, cycle2)
			if left := p.apps(); len(left) != 1 || left[theirs] != "" {
				t.Errorf("left %v", left)
			}
			w.later(20 * day)
			for id, version := range w.server.Installed(p.dir, w.packages[0], w.clock.Now()) {
				if want := map[bool]string{false: has[id], true: ""}[uninstall]; version != want {
					t.Errorf("afterwards %s has %q, want %q", id, version, want)
				}
			}
			receipt := w.rec.Receipts[len(w.rec.Receipts)-1]
			if receipt.Action != "remove" || receipt.Outcome != "done" || receipt.Left[fleet.Stable] != "nothing" || receipt.Left[fleet.Candidate] != "nothing" {
				t.Errorf("receipt %+v", receipt)
			}
			// Again, by a run that was killed before its receipt, it finds nothing to do.
			w.rec.Receipts = w.rec.Receipts[:len(w.rec.Receipts)-1]
			w.must(rollout.Remove, cycle2)
		})
	}
}

// TestLeavingWaitsForPeople: what the tenant's people did with an object stops its
// removal with exit code 4, and nothing of it is changed.
func TestLeavingWaitsForPeople(t *testing.T) {
	for name, tt := range map[string]struct {
		meddle func(p people, app, theirs string)
		words  string
	}{
		"assigned": {func(p people, app, _ string) {
			p.assign(app, target("group", p.post(groupsAt, map[string]any{"displayName": "Tills", "mailNickname": "tills", "mailEnabled": false, "securityEnabled": true})), target("allDevices", ""))
		}, "the tenant's people have assigned the app"},
		"awaited": {func(p people, app, _ string) {
			p.post("/v1.0/deviceManagement/deviceEnrollmentConfigurations", map[string]any{"@odata.type": "#microsoft.graph.windows10EnrollmentCompletionPageConfiguration",
				"displayName": "Autopilot", "selectedMobileAppIds": []string{app}})
		}, `"Autopilot" names app`},
		"depended on": {func(p people, app, theirs string) {
			p.post(appsAt+"/"+theirs+"/updateRelationships", map[string]any{"relationships": []any{map[string]any{
				"@odata.type": "#microsoft.graph.mobileAppDependency", "targetId": app, "dependencyType": "detect"}}})
		}, "an app that is not packmill's depends on it"},
	} {
		w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
		p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
		theirs := p.app(0)
		w.must(rollout.Deploy, theCycle)
		w.must(rollout.Promote, theCycle)
		for id, notes := range p.apps() {
			if strings.Contains(notes, `"slot":"stable"`) {
				tt.meddle(p, id, theirs)
			}
		}
		before := p.apps()
		w.dial()
		made, _, err := w.carry(t.Context(), w.newest(rollout.Remove, theCycle))
		if made != 0 || fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: made %d: %v", name, made, err)
		}
		if after := p.apps(); !maps.Equal(before, after) || w.counts[w.tenants[0]].writes.Load() != 0 {
			t.Errorf("%s: %d writes, %v became %v", name, w.counts[w.tenants[0]].writes.Load(), before, after)
		}
		if r := w.rec.Receipts[len(w.rec.Receipts)-1]; r.Outcome != "failed" || r.Detail != "stalled" {
			t.Errorf("%s: receipt %+v", name, r)
		}
	}
}

// TestRestores: what a person changed of an app is undone, its assignments and the
// receipts stay true, and nothing is written where nobody changed anything.
func TestRestores(t *testing.T) {
	w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
	p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Restore = map[fleet.PackageID]fleet.Because{w.packages[0]: {Reason: "agreed", Expires: w.clock.Now().Add(30 * day)}}
	w.repo.Tenants[tenant.ID] = tenant
	w.must(rollout.Deploy, theCycle)
	w.must(rollout.Promote, theCycle)
	names := func() (out []string) {
		var list struct {
			Value []struct{ DisplayName, InstallCommandLine string }
		}
		if err := json.Unmarshal(p.send(http.MethodGet, appsAt, nil), &list); err != nil {
			t.Fatal(err)
		}
		for _, app := range list.Value {
			out = append(out, app.DisplayName+": "+app.InstallCommandLine)
		}
		return out
	}
	before := names()
	w.must(rollout.Restore, theCycle)
	if n := w.counts[tenant.ID].writes.Load(); n != 0 {
		t.Errorf("nobody changed anything: %d writes", n)
	}
	for id := range p.apps() {
		p.send(http.MethodPatch, appsAt+"/"+id, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "installCommandLine": "whatever.exe", "displayName": "Ours (IT)"})
	}
	if slices.Equal(before, names()) {
		t.Fatal("nothing was changed")
	}
	w.must(rollout.Restore, theCycle)
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("had %q, has %q", before, after)
	}
	left := w.rec.Receipts[len(w.rec.Receipts)-1].Left
	if left[fleet.Stable] == "" || left[fleet.Stable] != w.rec.Receipts[1].Left[fleet.Stable] {
		t.Errorf("left %q, was %q", left, w.rec.Receipts[1].Left)
	}
}

// TestLeavingEndsWithItsLease: at whichever write the lease of the intent is over,
// nothing is written any more, and another run takes the rest away.
func TestLeavingEndsWithItsLease(t *testing.T) {
	for cut := int64(1); ; cut++ {
		w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
		p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
		w.must(rollout.Deploy, theCycle)
		w.must(rollout.Promote, theCycle)
		over := false
		w.wrote = func(n int64) {
			if n == cut {
				over = true
				w.later(rollout.Lease + time.Minute)
			}
		}
		w.dial()
		made, _, err := w.carry(t.Context(), w.newest(rollout.Remove, theCycle))
		writes := w.counts[w.tenants[0]].writes.Load()
		if !over || made == 1 { // it was done by then
			if err != nil || cut < 4 {
				t.Errorf("done after %d writes: %v", writes, err)
			}
			return
		}
		if r := w.rec.Receipts[len(w.rec.Receipts)-1]; err != nil || writes != cut || r.Outcome != "expired" {
			t.Errorf("over at write %d: %d writes, %+v, %v", cut, writes, r, err)
		}
		w.wrote = nil
		w.must(rollout.Remove, theCycle)
		if left := p.apps(); len(left) != 0 {
			t.Errorf("over at write %d: left %v", cut, left)
		}
	}
}

// TestLeavingOvertaken: what a later change brought back stays, untouched.
func TestLeavingOvertaken(t *testing.T) {
	w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
	p := people{w: w, dir: w.directory(w.tenants[0]), made: map[string]bool{}}
	w.must(rollout.Deploy, theCycle)
	w.must(rollout.Promote, theCycle)
	for id, notes := range p.apps() {
		if strings.Contains(notes, `"slot":"stable"`) {
			p.send(http.MethodPatch, appsAt+"/"+id, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": strings.Replace(notes, `"generation":`, `"generation":7`, 1)})
		}
	}
	before := p.apps()
	w.dial()
	made, _, err := w.carry(t.Context(), w.newest(rollout.Remove, theCycle))
	if made != 0 || fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "is of generation 7") {
		t.Errorf("made %d: %v", made, err)
	}
	if after := p.apps(); len(before) != 2 || !maps.Equal(before, after) || w.counts[w.tenants[0]].writes.Load() != 0 {
		t.Errorf("%d writes, %v became %v", w.counts[w.tenants[0]].writes.Load(), before, after)
	}
}
