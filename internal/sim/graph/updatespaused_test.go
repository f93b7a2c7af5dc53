package graph_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
)

// pauseDeployment does what people of the tenant do in its portal.
func (w *world) pauseDeployment() {
	w.t.Helper()
	w.get(updatesBase + "/deployments") // the first list may lack the newest
	for _, v := range w.get(updatesBase + "/deployments")["value"].([]any) {
		id := v.(map[string]any)["id"].(string)
		w.do(http.MethodPatch, updatesBase+"/deployments/"+id, map[string]any{"state": map[string]any{"requestedValue": "paused"}})
	}
}

// TestPauseOfPeopleOutlasts: what people paused they alone let go on, whatever the
// slot is about next, and after a halt of packmill's own.
func TestPauseOfPeopleOutlasts(t *testing.T) {
	next := gradualApp(fleet.Candidate)
	next.Artifact, next.Generation = fleet.DigestOf([]byte("the next one")), 2
	next.Patch.Deploy = &fleet.Deploy{DevicesPerOffer: 3, EveryDays: 1}
	for name, between := range map[string]func(context.Context, *updates.Client) error{
		"a new artifact": func(ctx context.Context, c *updates.Client) error {
			_, err := c.PublishUpdate(ctx, next)
			return err
		},
		"a halt": func(ctx context.Context, c *updates.Client) error { return unrolling(ctx, c, "") },
	} {
		w, group := patchedWorld(t, nil)
		ok(t, rolling(t.Context(), w.updates(nordic), group))
		w.pauseDeployment()
		for range 2 {
			ok(t, between(t.Context(), w.updates(nordic)))
		}
		err := w.updates(nordic).AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group))
		if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "people paused") {
			t.Errorf("%s: %v", name, err)
		}
		if _, members := w.audienceIn(); members != 0 || w.count("deployment.none") != 0 || !slices.Equal(w.deployments(), []string{"paused paused"}) {
			t.Errorf("%s: %d members, asked %d times to go on, deployments %q", name, members, w.count("deployment.none"), w.deployments())
		}
		for _, v := range w.get(updatesBase + "/deployments")["value"].([]any) { // they let it go on
			w.do(http.MethodPatch, updatesBase+"/deployments/"+v.(map[string]any)["id"].(string), map[string]any{"state": map[string]any{"requestedValue": "none"}})
		}
		ok(t, w.updates(nordic).AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group)))
		if _, members := w.audienceIn(); members != 3 || !slices.Equal(w.deployments(), []string{"none offering"}) {
			t.Errorf("%s: afterwards %d members, deployments %q", name, members, w.deployments())
		}
	}
}

// TestOwnPauseKilledAtEachStep: wherever a halt was killed, what it paused is known
// to be packmill's, and the next release goes out.
func TestOwnPauseKilledAtEachStep(t *testing.T) {
	for kill := 1; ; kill++ {
		w, group := patchedWorld(t, nil)
		ok(t, rolling(t.Context(), w.updates(nordic), group))
		before := len(w.events)
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(event.Event) {
			if len(w.events) == before+kill {
				cancel()
			}
		})
		_ = unrolling(ctx, w.updates(nordic), "")
		killed := ctx.Err() != nil
		cancel()
		w.when(nil)
		ok(t, rolling(t.Context(), w.updates(nordic), group))
		if _, members := w.audienceIn(); members != 3 || !slices.Equal(w.deployments(), []string{"none offering"}) {
			t.Errorf("%d: %d members, deployments %q", kill, members, w.deployments())
		}
		if !killed {
			if kill < 4 {
				t.Errorf("it took %d steps alone", kill-1)
			}
			return
		}
	}
}
