package graph_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

const featureProfiles = "/beta/deviceManagement/windowsFeatureUpdateProfiles"

// byDays reaches all devices within so many days: each wave moves the end.
func byDays() fleet.App {
	app := gradualApp(fleet.Candidate)
	app.Patch.Deploy = &fleet.Deploy{EndAfterDays: 10, EveryDays: 1, PauseOn: &fleet.PauseOn{Rollbacks: 10}}
	return app
}

// TestStoppedDeploymentIsNotJoined has a second wave come to a deployment that the
// service stopped, or that people paused: nothing is written.
func TestStoppedDeploymentIsNotJoined(t *testing.T) {
	for name, tt := range map[string]struct {
		rollback float64
		says     string
	}{"service": {0.5, "went back"}, "people": {0, "people paused"}} {
		t.Run(name, func(t *testing.T) {
			w := patchWorld(t, func(o *graph.Options) {
				o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(40)}}
				o.Updates.Rollback = func(string) float64 { return tt.rollback }
			})
			apps, c := w.client(nordic), w.updates(nordic)
			all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
			pilot, broad := must[string](t)(apps.Group(t.Context(), "pilot", all[:20])), must[string](t)(apps.Group(t.Context(), "broad", all[20:]))
			must[fleet.AppState](t)(c.PublishUpdate(t.Context(), byDays()))
			ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, to(pilot)))
			if name == "people" {
				w.get(updatesBase + "/deployments")
				id := w.get(updatesBase + "/deployments")["value"].([]any)[0].(map[string]any)["id"].(string)
				w.do(http.MethodPatch, updatesBase+"/deployments/"+id, map[string]any{"state": map[string]any{"requestedValue": "paused"}})
			} else {
				w.pass(30 * 24 * time.Hour)
			}
			var err error
			if n := w.writes(func() {
				err = w.updates(nordic).AssignUpdate(t.Context(), featureID, fleet.Candidate, to(pilot, broad))
			}); n != 0 {
				t.Errorf("%d writes", n)
			}
			if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
			if _, members := w.audienceIn(); members != 20 || w.count("deployment.none") != 0 {
				t.Errorf("%d members, asked %d times to go on", members, w.count("deployment.none"))
			}
		})
	}
}

// TestAudienceIsKept has calls find nothing for another reason than that the
// audience is gone: the marker goes on naming it, and a halt finds it.
func TestAudienceIsKept(t *testing.T) {
	for _, operation := range []string{"asset.enrol", "audience.update"} {
		t.Run(operation, func(t *testing.T) {
			var failing atomic.Bool
			w, group := patchedWorld(t, func(o *graph.Options) {
				o.Fault = func(c graph.Call) graph.Fault {
					if failing.Load() && c.Operation == operation {
						return graph.Fault{Status: http.StatusNotFound}
					}
					return graph.Fault{}
				}
			})
			ok(t, rolling(t.Context(), w.updates(nordic), group))
			id, _ := w.audienceIn()
			apps := w.client(nordic)
			all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
			broad := must[string](t)(apps.Group(t.Context(), "broad", all[3:]))
			failing.Store(true)
			if err := w.updates(nordic).AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group, broad)); err == nil {
				t.Error("a call that found nothing was passed over")
			}
			failing.Store(false)
			if again, _ := w.audienceIn(); again != id {
				t.Errorf("audience %s, then %q", id, again)
			}
			ok(t, unrolling(t.Context(), w.updates(nordic), ""))
			if got := w.deployments(); len(got) != 1 || got[0] != "paused paused" {
				t.Errorf("deployments %q", got)
			}
		})
	}
}

// TestSpareDeploymentEnds: what a second profile deploys ends before that profile
// goes, and a read removes neither.
func TestSpareDeploymentEnds(t *testing.T) {
	w, group := patchedWorld(t, nil)
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	first := w.get(featureProfiles)["value"].([]any)[0].(map[string]any)
	m, _ := updates.ParseMarker(first["description"].(string))
	other := w.do(http.MethodPost, updatesBase+"/deploymentAudiences", map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.deploymentAudience"})["id"].(string)
	w.do(http.MethodPost, updatesBase+"/deployments", map[string]any{
		"@odata.type": "#microsoft.graph.windowsUpdates.deployment", "audience": map[string]any{"id": other},
		"content": map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.catalogContent", "catalogEntry": map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.featureUpdateCatalogEntry", "id": m.Updates[0]}},
	})
	text := strings.NewReplacer(`"id":"`+m.ID+`",`, "", m.Gradual.Audience, other).Replace(first["description"].(string))
	w.clock.Set(w.clock.Now().Add(time.Minute))
	w.do(http.MethodPost, featureProfiles, map[string]any{"displayName": "spare", "description": text, "featureUpdateVersion": first["featureUpdateVersion"]})
	if n := w.writes(func() {
		must[fleet.AppState](t)(w.updates(nordic).ObserveUpdate(t.Context(), featureID, fleet.Candidate))
	}); n != 0 {
		t.Errorf("a read wrote %d times", n)
	}
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	got := w.deployments()
	if left := w.profilesLeft()["windowsFeatureUpdateProfiles"]; left != 1 || len(got) != 2 || got[0] != "archived archived" || got[1] != "none offering" {
		t.Errorf("%d profiles, deployments %q", left, got)
	}
}

// TestHaltWithoutAllLists: a halt stops what it finds though the lists of other
// kinds fail, and tells that they did.
func TestHaltWithoutAllLists(t *testing.T) {
	for _, broken := range []string{"featureProfile.list", "qualityProfile.list", "driverProfile.list"} {
		t.Run(broken, func(t *testing.T) {
			var failing atomic.Bool
			w, group := patchedWorld(t, func(o *graph.Options) {
				o.Fault = func(c graph.Call) graph.Fault {
					if failing.Load() && c.Operation == broken {
						return graph.Fault{Status: http.StatusForbidden}
					}
					return graph.Fault{}
				}
			})
			ok(t, patching(t.Context(), w.updates(nordic), group))
			failing.Store(true)
			if err := halting(t.Context(), w.updates(nordic), ""); err == nil {
				t.Error("a list that failed is not told")
			}
			failing.Store(false)
			if state := must[fleet.AppState](t)(w.updates(nordic).ObserveUpdate(t.Context(), patchID, fleet.Candidate)); len(state.Targets) != 0 || w.count("suspend") == 0 {
				t.Errorf("%+v, suspended %d times", state, w.count("suspend"))
			}
		})
	}
}

// TestVersionLeaves: what a package in parts deployed ends, and its profile goes.
func TestVersionLeaves(t *testing.T) {
	w, group := patchedWorld(t, nil)
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	for range 2 {
		ok(t, w.updates(nordic).RemoveUpdate(t.Context(), featureID, 0))
	}
	if got := w.deployments(); len(w.profilesLeft()) != 0 || len(got) != 1 || got[0] != "archived archived" {
		t.Errorf("profiles %v, deployments %q", w.profilesLeft(), got)
	}
}
