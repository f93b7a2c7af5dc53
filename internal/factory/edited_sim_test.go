package factory_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// edit changes an app of the first tenant as a person there does.
func (w *leaseWorld) edit(app string, props map[string]any) {
	w.t.Helper()
	props["@odata.type"] = "#microsoft.graph.win32LobApp"
	body, err := json.Marshal(props)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPatch, w.web.URL+"/beta/deviceAppManagement/mobileApps/"+app, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.server.Token(w.directory(w.tenants[0])))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		w.t.Fatal(resp.Status)
	}
}

// stalls has a change stop at what a person changed.
func (w *leaseWorld) stalls(kind string) {
	w.t.Helper()
	w.dial()
	made, again, err := w.carry(w.t.Context(), w.newest(kind, leaseCycle))
	if made != 0 || len(again) > 0 || fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "changed the app's properties") {
		w.t.Errorf("%s: made %d, %d again: %v", kind, made, len(again), err)
	}
}

// TestEditedAppStalls: a promotion stops at an app that a person changed and leaves
// it as it is. A way back ends the revoked release there and says that it waits for
// a person. Where main says so, both write over it.
func TestEditedAppStalls(t *testing.T) {
	for _, kind := range []string{rollout.Promote, rollout.RollBack} {
		t.Run(kind, func(t *testing.T) {
			w := newLeaseWorld(t)
			if kind == rollout.RollBack {
				w.must(rollout.Promote, leaseCycle)
			}
			before := w.slot(fleet.Stable)
			w.edit(before.ID, map[string]any{"installCommandLine": "theirs.exe /quiet"})
			w.stalls(kind)
			state := w.slot(fleet.Stable)
			if emptied := len(state.Targets) == 0; state.Version != before.Version || emptied != (kind == rollout.RollBack) {
				t.Errorf("stable is %+v", state)
			}
			tenant := w.repo.Tenants[w.tenants[0]]
			tenant.Restore = map[fleet.PackageID]fleet.Because{w.packages[0]: {Reason: "agreed", Expires: w.clock.Now().Add(24 * time.Hour)}}
			w.repo.Tenants[tenant.ID] = tenant
			w.must(kind, leaseCycle)
			if state := w.slot(fleet.Stable); state.Version == before.Version || len(state.Targets) == 0 {
				t.Errorf("restored: stable is %+v", state)
			}
		})
	}
}
