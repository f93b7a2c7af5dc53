package factory_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// asks makes a request of the simulator with a token, and gives the object's id.
func asks(t *testing.T, server *graph.Server, token, method, path string, body map[string]any) string {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	for range 3 { // what was just made is not found at once
		r := httptest.NewRequest(method, path, bytes.NewReader(data))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		rec = httptest.NewRecorder()
		if server.ServeHTTP(rec, r); rec.Code != http.StatusNotFound {
			break
		}
	}
	var made struct{ ID string }
	if rec.Code >= 300 || rec.Body.Len() > 0 && json.Unmarshal(rec.Body.Bytes(), &made) != nil {
		t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return made.ID
}

// TestAuditOfConfigurations finds that a person changed a configuration of
// packmill's, and that somebody with packmill's credential changed the tenant's own
// while a rollout went on. Neither is explained by the rollout.
func TestAuditOfConfigurations(t *testing.T) {
	w, server := settingWave(t)
	person := server.PersonToken(aDirectory, "ada@aurora.example")
	theirs := asks(t, server, person, http.MethodPost, "/beta/deviceManagement/deviceConfigurations",
		map[string]any{"@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "displayName": "Theirs"})
	w.clock.Set(buildTime.AddDate(0, 0, 1))
	person, stolen := server.PersonToken(aDirectory, "ada@aurora.example"), server.Token(aDirectory)
	if rest, _, err := w.carrySetting(t, rollout.Deploy); len(rest) != 1 || err != nil {
		t.Fatalf("%v %v", rest, err)
	}
	change := map[string]any{"@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "displayName": "Changed"}
	asks(t, server, stolen, http.MethodPatch, "/beta/deviceManagement/deviceConfigurations/"+theirs, change)
	r, err := w.Drift(t.Context(), rollout.Facts{Repo: w.repo, Record: w.ledger.rec}, "")
	if err != nil {
		t.Fatal(err)
	}
	ours := ""
	for _, o := range r.Objects {
		if o.Setting == "ring" {
			ours = o.ID
		}
	}
	asks(t, server, person, http.MethodPatch, "/beta/deviceManagement/deviceConfigurations/"+ours, change)
	w.clock.Set(w.clock.Now().Add(time.Hour))
	list, err := w.Reconcile(t.Context(), []fleet.Tenant{w.repo.Tenants[w.tenants[0]]})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	got := map[string]string{}
	for _, f := range list[0].Findings {
		got[f.Kind+" "+string(f.Package)] = f.Object
	}
	if len(got) != 2 || got["unexplained "] != theirs || got["foreign "+string(aBaseline)] != ours || list[0].Own < 5 || list[0].Explained != list[0].Own-1 {
		t.Errorf("%v of %+v", got, list[0])
	}
	configurations := 0
	for _, o := range list[0].Objects {
		if o == (fleet.OwnObject{Kind: "configuration", Package: aBaseline}) {
			configurations++
		}
	}
	if configurations != 4 {
		t.Errorf("objects %v", list[0].Objects)
	}
}
