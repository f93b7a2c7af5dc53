package graph_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

const (
	appsURL    = "/beta/deviceAppManagement/mobileApps"
	groupsURL  = "/v1.0/groups"
	scriptsURL = "/beta/deviceManagement/deviceHealthScripts"
)

// onCall decides from now on what goes wrong with calls; nil for nothing.
func (w *world) onCall(f func(graph.Call) graph.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *world) faultOf(c graph.Call) graph.Fault {
	w.mu.Lock()
	f := w.fault
	w.mu.Unlock()
	if f == nil {
		return graph.Fault{}
	}
	return f(c)
}

// populate fills the tenant with what its people made, among it what looks like
// packmill's, and returns a group of theirs.
func populate(w *world) (vip string) {
	w.t.Helper()
	for i := range 12 {
		w.do(http.MethodPost, appsURL, map[string]any{
			"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "7-Zip", "publisher": "Igor Pavlov", "fileName": "a.intunewin", "setupFilePath": "a.msi",
			"installCommandLine": "a", "uninstallCommandLine": "b", "notes": fmt.Sprintf("packmill: was here %d", i),
			"rules": []any{map[string]any{"@odata.type": "#microsoft.graph.win32LobAppFileSystemRule", "ruleType": "detection", "path": "c:\\", "fileOrFolderName": "a", "operationType": "exists"}},
		})
	}
	group := func(name, nick string) string {
		made := w.do(http.MethodPost, groupsURL, map[string]any{
			"displayName": name, "description": "made by hand", "mailNickname": nick, "mailEnabled": false, "securityEnabled": true,
		})
		return made["id"].(string)
	}
	group("packmill wave dogfood", "dogfood")
	vip = group("VIP", "vip")
	w.do(http.MethodPost, groupsURL+"/"+vip+"/members/$ref", map[string]any{"@odata.id": w.http.URL + "/v1.0/directoryObjects/" + w.get("/v1.0/devices")["value"].([]any)[3].(map[string]any)["id"].(string)})
	script := w.do(http.MethodPost, scriptsURL, map[string]any{
		"displayName": "disk", "publisher": "IT", "detectionScriptContent": "ZXhpdCAw", "runAsAccount": "system", "description": "packmill: no, ours",
	})
	w.do(http.MethodPost, scriptsURL+"/"+script["id"].(string)+"/assign", map[string]any{"deviceHealthScriptAssignments": []any{
		map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": vip}, "runRemediationScript": false},
	}})
	// An app of theirs with content and assignments.
	app, content := release(w.t, fleet.Stable, "1.0", 1000)
	app.Package, app.Name = "some/other", "Their app"
	made := must[fleet.AppState](w.t)(w.client(nordic).Publish(w.t.Context(), app, content))
	w.do(http.MethodPatch, appsURL+"/"+made.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": "made by hand"})
	w.do(http.MethodPost, appsURL+"/"+made.ID+"/assign", map[string]any{"mobileAppAssignments": []any{w.theirs(vip, "available")}})
	return vip
}

// theirs is an assignment as people make it in the portal, past a filter of their
// own.
func (w *world) theirs(group, intent string) map[string]any {
	w.t.Helper()
	const name = "Loaners"
	filter := ""
	for _, f := range w.list(filtersPath) {
		if f["displayName"] == name {
			filter = f["id"].(string)
		}
	}
	if filter == "" {
		filter = w.filter(name, "windows10AndLater", `device.model -eq "loaner"`)
	}
	return map[string]any{
		"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": intent,
		"target": map[string]any{
			"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group,
			"deviceAndAppManagementAssignmentFilterId": filter, "deviceAndAppManagementAssignmentFilterType": "exclude",
		},
		"settings": map[string]any{
			"@odata.type": "#microsoft.graph.win32LobAppAssignmentSettings", "notifications": "showReboot", "deliveryOptimizationPriority": "foreground",
			"restartSettings":     nil, // which only apps take that restart by their exit code
			"installTimeSettings": map[string]any{"useLocalTime": true, "startDateTime": "2026-11-24T06:00:00Z", "deadlineDateTime": nil},
		},
	}
}

// interfere lets people assign packmill's app as well.
func interfere(w *world, vip string) {
	w.t.Helper()
	for _, id := range w.ours() {
		set := []any{w.theirs(vip, "available")}
		for _, a := range w.list(appsURL + "/" + id + "/assignments") {
			for _, name := range []string{"id", "source", "sourceId"} {
				delete(a, name)
			}
			set = append(set, a)
		}
		w.do(http.MethodPost, appsURL+"/"+id+"/assign", map[string]any{"mobileAppAssignments": set})
	}
}

// list reads a whole collection past the checker and the world's faults.
func (w *world) list(path string) []map[string]any {
	w.t.Helper()
	var out []map[string]any
	for path != "" {
		rec := w.past(http.MethodGet, path, "")
		for range 9 { // what is new is not found at first
			if rec.Code != http.StatusNotFound {
				break
			}
			rec = w.past(http.MethodGet, path, "")
		}
		var page struct {
			Value []map[string]any `json:"value"`
			Next  string           `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != http.StatusOK {
			w.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		out = append(out, page.Value...)
		_, path, _ = strings.Cut(page.Next, "http://example.com")
	}
	return out
}

// all are a collection's objects, in as few requests as possible, and when the
// list has caught up.
func (w *world) all(path string) []map[string]any {
	for range w.opts.ListLag {
		w.past(http.MethodGet, path+"?$top=1", "")
	}
	return w.list(path + "?$top=999")
}

// ours are the ids of the apps that bear packmill's marker.
func (w *world) ours() []string {
	var out []string
	for _, app := range w.all(appsURL) {
		if ourApp(app) {
			out = append(out, app["id"].(string))
		}
	}
	return out
}

func ourApp(app map[string]any) bool {
	notes, _ := app["notes"].(string)
	_, ok := intune.ParseMarker(notes)
	return ok
}

func ourScript(s map[string]any) bool {
	description, _ := s["description"].(string)
	_, ok := intune.ParseProbeMarker(description)
	return ok
}

func ourGroup(g map[string]any) bool {
	nick, _ := g["mailNickname"].(string)
	return strings.HasPrefix(nick, "packmill-")
}

// A picture is what packmill has in a tenant, without ids and times that depend
// on how it came about.
type picture struct{ text string }

func (w *world) picture() picture {
	w.t.Helper()
	var out []string
	names := map[string]string{}
	for _, g := range w.all(groupsURL) {
		if !ourGroup(g) {
			continue
		}
		id := g["id"].(string)
		names[id] = fmt.Sprint(g["displayName"])
		var members []string
		for _, m := range w.list(groupsURL + "/" + id + "/members") {
			members = append(members, m["id"].(string))
		}
		out = append(out, fmt.Sprintf("group %v %v %v members %v", g["displayName"], g["description"], g["mailNickname"], members))
	}
	for _, app := range w.all(appsURL) {
		if !ourApp(app) {
			continue
		}
		id := app["id"].(string)
		names[id] = "app"
		out = append(out, "app "+flat(app))
		for _, a := range w.list(appsURL + "/" + id + "/assignments") {
			out = append(out, "assignment "+flat(a))
		}
		for _, r := range w.list(appsURL + "/" + id + "/relationships") {
			out = append(out, "relation "+flat(r))
		}
		versions := appsURL + "/" + id + "/graph.win32LobApp/contentVersions"
		for _, v := range w.list(versions) {
			for _, f := range w.list(versions + "/" + v["id"].(string) + "/files") {
				out = append(out, fmt.Sprintf("file %v of content %v: %v", f["name"], v["id"], flat(f)))
			}
		}
	}
	for _, s := range w.all(scriptsURL) {
		if !ourScript(s) {
			continue
		}
		id := s["id"].(string)
		out = append(out, "script "+flat(s))
		for _, a := range w.list(scriptsURL + "/" + id + "/assignments") {
			out = append(out, "assignment of the script "+flat(a))
		}
	}
	err := filepath.WalkDir(filepath.Join(w.opts.Dir, nordic, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, "a block is left over")
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(out)
	text := strings.Join(out, "\n")
	for id, name := range names {
		text = strings.ReplaceAll(text, id, "<"+name+">")
	}
	return picture{text}
}

// flat is an object without its id and times.
func flat(o map[string]any) string {
	for _, name := range []string{"id", "createdDateTime", "lastModifiedDateTime", "azureStorageUri", "azureStorageUriExpirationDateTime"} {
		delete(o, name)
	}
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// foreign is everything in the tenant that is not packmill's, to the byte.
func (w *world) foreign() string {
	w.t.Helper()
	var out []string
	add := func(what string, list []map[string]any) {
		for _, o := range list {
			data, err := json.Marshal(o)
			if err != nil {
				w.t.Fatal(err)
			}
			out = append(out, what+" "+string(data))
		}
	}
	groups := map[string]bool{}
	for _, g := range w.all(groupsURL) {
		id := g["id"].(string)
		if groups[id] = ourGroup(g); !groups[id] {
			add("group", []map[string]any{g})
			add("member of "+id, w.list(groupsURL+"/"+id+"/members"))
		}
	}
	for _, app := range w.all(appsURL) {
		id := app["id"].(string)
		if ourApp(app) {
			// Of packmill's app what people assigned to a group of theirs.
			add("assignment", slices.DeleteFunc(w.list(appsURL+"/"+id+"/assignments"), func(a map[string]any) bool {
				target := a["target"].(map[string]any)
				return groups[fmt.Sprint(target["groupId"])] || strings.Contains(fmt.Sprint(target["@odata.type"]), "exclusion")
			}))
			continue
		}
		add("app", []map[string]any{app})
		if app["isAssigned"] == true {
			add("assignment of "+id, w.list(appsURL+"/"+id+"/assignments"))
		}
		versions := appsURL + "/" + id + "/graph.win32LobApp/contentVersions"
		if app["committedContentVersion"] == nil {
			continue
		}
		for _, v := range w.list(versions) {
			add("file of "+id, w.list(versions+"/"+v["id"].(string)+"/files"))
		}
	}
	for _, s := range w.all(scriptsURL) {
		if ourScript(s) {
			continue
		}
		add("script", []map[string]any{s})
		add("assignment of script", w.list(scriptsURL+"/"+s["id"].(string)+"/assignments"))
	}
	return strings.Join(out, "\n")
}

// differing are the lines that only one of two texts has.
func differing(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "is    "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "wants "+line)
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("%d lines, wants %d of the same", len(a), len(b))
	}
	return "\n" + strings.Join(out, "\n")
}
