package factory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

// A people is the staff of a tenant who work in it by hand.
type people struct {
	w       *scaleWorld
	dir     string
	objects []string        // directory ids of devices
	made    map[string]bool // ids of what they made
}

// post sends what a person's tool sends, and gives the id of what was made.
func (p people) post(path string, body any) string {
	p.w.t.Helper()
	var made struct{ ID string }
	if answer := p.send(http.MethodPost, path, body); len(answer) > 0 {
		if err := json.Unmarshal(answer, &made); err != nil {
			p.w.t.Fatal(err)
		}
	}
	if made.ID != "" {
		p.made[made.ID] = true
	}
	return made.ID
}

func (p people) send(method, path string, body any) []byte {
	p.w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	req, err := http.NewRequest(method, p.w.web.URL+path, bytes.NewReader(data))
	if err != nil {
		p.w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.w.server.Token(p.w.directory(p.w.tenants[0])))
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.w.web.Client().Do(req)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		p.w.t.Fatalf("%s: %s %s %v", path, resp.Status, answer, err)
	}
	return answer
}

const (
	appsAt    = "/beta/deviceAppManagement/mobileApps"
	scriptsAt = "/beta/deviceManagement/deviceHealthScripts"
	groupsAt  = "/v1.0/groups"
)

func target(kind, group string) map[string]any {
	t := map[string]any{"@odata.type": "#microsoft.graph." + kind + "AssignmentTarget"}
	if group != "" {
		t["groupId"] = group
	}
	return t
}

func (p people) assign(app string, targets ...map[string]any) {
	var set []any
	for _, t := range targets {
		set = append(set, map[string]any{"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "required", "target": t})
	}
	p.post(appsAt+"/"+app+"/assign", map[string]any{"mobileAppAssignments": set})
}

// app is an app with content that no line of packmill's is in: made with
// packmill's client, since uploads are long, and then made theirs.
func (p people) app(n int) string {
	p.w.t.Helper()
	api, err := msgraph.New(msgraph.Options{BaseURL: p.w.web.URL, Directory: p.w.directory(p.w.tenants[0]), Token: freshToken{p.w.server, p.w.directory(p.w.tenants[0])},
		Clock: fleet.NewManualClock(p.w.clock.Now()), Transport: transport.New(transport.Options{Clock: p.w.clock, AllowLoopback: true})})
	if err != nil {
		p.w.t.Fatal(err)
	}
	built := p.w.rec.Builds[0]
	i := slices.IndexFunc(built.Files, func(f fleet.BuiltFile) bool { return f.Installer == "x64" })
	pkg := p.w.repo.Packages[built.Package]
	app := fleet.App{
		Package: built.Package, Slot: fleet.Stable, Name: []string{"Hello", "Accounts", "Viewer"}[n%3], Publisher: "Acme", Description: "ours",
		Version: "24.09", Artifact: built.Artifact, File: built.Files[i], Installer: pkg.Installers["x64"], Download: pkg.Releases["24.09"].Installers["x64"],
	}
	state, err := intune.New(api, intune.Options{}).Publish(p.w.t.Context(), app, func() (io.ReadCloser, error) { return p.w.Store.Open(p.w.t.Context(), app.File) })
	if err != nil {
		p.w.t.Fatal(err)
	}
	notes := []string{"", "packmill: {not a marker", "packaged by hand\nask Ines"}[n%3]
	p.send(http.MethodPatch, appsAt+"/"+state.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
	p.made[state.ID] = true
	return state.ID
}

// furnish makes 40 groups with members, 100 apps and 60 scripts, assigned in
// several ways. Some are called like packmill's own, or speak of it.
func (p people) furnish() (apps, groups []string) {
	for n := range 40 {
		name := fmt.Sprintf("Staff %d", n)
		if n == 0 {
			name = "packmill wave " + theWave
		}
		id := p.post(groupsAt, map[string]any{"displayName": name, "description": "packmill: not ours", "mailEnabled": false, "mailNickname": fmt.Sprintf("packmill-%d", n), "securityEnabled": true})
		groups = append(groups, id)
		for _, object := range p.objects[:1+n%len(p.objects)] {
			p.post(groupsAt+"/"+id+"/members/$ref", map[string]any{"@odata.id": p.w.web.URL + "/v1.0/directoryObjects/" + object})
		}
	}
	for n := range 100 {
		id := p.app(n)
		apps = append(apps, id)
		switch n % 4 {
		case 0:
			p.assign(id, target("allDevices", ""))
		case 1:
			p.assign(id, target("group", groups[n%40]), target("exclusionGroup", groups[(n+1)%40]))
		case 2:
			p.assign(id, target("group", groups[0]))
		}
	}
	for n := range 60 {
		id := p.post(scriptsAt, map[string]any{
			"@odata.type": "#microsoft.graph.deviceHealthScript", "displayName": []string{"Hello: boot", "Disk"}[n%2], "publisher": "packmill", "description": "packmill: by hand",
			"detectionScriptContent": "ZXhpdCAw", "runAsAccount": "system", "enforceSignatureCheck": false, "runAs32Bit": false, "roleScopeTagIds": []string{"0"},
		})
		p.post(scriptsAt+"/"+id+"/assign", map[string]any{"deviceHealthScriptAssignments": []any{map[string]any{
			"@odata.type": "#microsoft.graph.deviceHealthScriptAssignment", "target": target("group", groups[n%40]), "runRemediationScript": false,
			"runSchedule": map[string]any{"@odata.type": "#microsoft.graph.deviceHealthScriptDailySchedule", "interval": 1, "time": "1:0", "useUtc": false},
		}}})
	}
	return apps, groups
}

// stored are all changes that the service ever stored of what people made, as it
// stored them: content, assignments, members, times.
func (p people) stored() (out [][]byte) {
	p.w.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, p.w.directory(p.w.tenants[0]), "journal.jsonl"))
	if err != nil {
		p.w.t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var c struct{ ID string }
		if err := json.Unmarshal(line, &c); err != nil {
			p.w.t.Fatal(err)
		}
		if p.made[c.ID] {
			out = append(out, bytes.Clone(line))
		}
	}
	return out
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

// assignedTo is an app's assignment set, whoever assigned it.
func (p people) assignedTo(app string) (set []map[string]any) {
	p.w.t.Helper()
	var answer struct{ Value []map[string]any }
	if err := json.Unmarshal(p.send(http.MethodGet, appsAt+"/"+app+"/assignments", nil), &answer); err != nil {
		p.w.t.Fatal(err)
	}
	return answer.Value
}

// TestMonthLeavesForeignObjectsAlone: four weekly cycles with waves, promotions, a
// withdrawal and a way back in a tenant that has 200 objects of its own. The
// service has not stored one change of them; also not of an app that people gave
// to packmill's own group, and what people assigned to packmill's own app stays.
func TestMonthLeavesForeignObjectsAlone(t *testing.T) {
	s := scale{tenants: 1, packages: 1, devices: 5}
	dir := ""
	s.change = func(o *graph.Options) { dir = o.Dir }
	w := newScaleWorld(t, s)
	w.repo.Waves = []fleet.Wave{{Name: theWave, Gate: fleet.Gate{Signals: []string{fleet.SignalInstall, fleet.SignalBoot}}}}
	p := people{w: w, dir: dir, made: map[string]bool{}}
	for object := range w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now()) {
		p.objects = append(p.objects, object)
	}
	slices.Sort(p.objects)
	apps, groups := p.furnish()
	before := p.stored()
	if len(p.made) != 200 || len(before) < 300 {
		t.Fatalf("%d objects, %d changes", len(p.made), len(before))
	}
	for week, kinds := range [][]string{{rollout.Promote}, {rollout.Withdraw}, {rollout.Promote, rollout.RollBack}, {rollout.Promote}} {
		cycle := theCycle
		if week > 0 {
			cycle = fleet.CycleID(fmt.Sprintf("2026-W%d", 47+week))
			w.release(fmt.Sprintf("24.%d", 10+week))
			w.wave(cycle, theWave, s)
		}
		w.must(rollout.Deploy, cycle)
		if week == 0 {
			// People give an app of theirs to packmill's group, and one of theirs groups
			// packmill's app.
			app, group := w.ours()
			p.assign(apps[3], target("group", group))
			before = p.stored()
			set := append(p.assignedTo(app), map[string]any{"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "available", "target": target("group", groups[7])})
			p.post(appsAt+"/"+app+"/assign", map[string]any{"mobileAppAssignments": set})
		}
		w.later(2 * day)
		for _, kind := range kinds {
			w.must(kind, cycle)
			w.later(2 * day)
		}
		console, err := w.Consoles(t.Context(), w.repo.Tenants[w.tenants[0]])
		if err == nil {
			_, err = console.Health(t.Context(), w.packages[0])
		}
		if err == nil {
			_, err = console.Statuses(t.Context(), w.packages[0], fleet.Stable)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.later(day)
	}
	after := p.stored()
	if len(after) != len(before) {
		t.Errorf("the service stored %d changes of foreign objects", len(after)-len(before))
	}
	for i := range min(len(before), len(after)) {
		if !bytes.Equal(before[i], after[i]) {
			t.Errorf("%s\nis now\n%s", before[i], after[i])
		}
	}
	has := w.server.Installed(w.directory(w.tenants[0]), w.packages[0], w.clock.Now())
	for device, version := range has {
		if version != "24.13" {
			t.Errorf("%s has %q after the month", device, version)
		}
	}
	w.release("24.14")
	w.wave("2026-W51", theWave, s)
	w.must(rollout.Deploy, "2026-W51")
	app, _ := w.ours()
	if set := p.assignedTo(app); !slices.ContainsFunc(set, func(a map[string]any) bool { return fmt.Sprint(a["target"]) == fmt.Sprint(target("group", groups[7])) }) {
		t.Errorf("what people assigned to packmill's app is gone: %v", set)
	}
}
