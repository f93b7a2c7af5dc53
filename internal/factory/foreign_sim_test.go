package factory_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
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

// list is a whole collection as the service tells it.
func (p people) list(path string) (out []map[string]any) {
	p.w.t.Helper()
	var answer struct{ Value []map[string]any }
	if err := json.Unmarshal(p.send(http.MethodGet, path+"?$top=999", nil), &answer); err != nil {
		p.w.t.Fatal(err)
	}
	return answer.Value
}

// appNotes are what an app's notes say.
func appNotes(n int) string {
	return []string{"", "packmill: {not a marker", "packaged by hand\nask Ines"}[n%3]
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
	notes := appNotes(n)
	p.send(http.MethodPatch, appsAt+"/"+state.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
	p.made[state.ID] = true
	return state.ID
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
