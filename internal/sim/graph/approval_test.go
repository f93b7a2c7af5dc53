package graph_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// guarded is a world whose tenant asks a second person for changes of apps.
func guarded(t *testing.T) *world {
	return newWorld(t, func(o *graph.Options) { o.Tenants[0].Approvals = []string{"app"} })
}

// connection is a connection to a tenant, and the client on it.
func (w *world) connection(directory string) (*msgraph.Client, *intune.Client) {
	w.t.Helper()
	api := dial(w.t, msgraph.Options{BaseURL: w.http.URL, Directory: directory, Token: w.token(directory), Transport: w.transport(), Clock: w.clock})
	return api, intune.New(api, intune.Options{TempDir: w.t.TempDir(), BlockSize: 1000})
}

// TestSecondPerson brings a release into a tenant that holds every change of an
// app: each run gets one change further, and says in between what it waits for.
// No run knows what an earlier one did but by what the tenant tells.
func TestSecondPerson(t *testing.T) {
	for name, told := range map[string]bool{"told beforehand": true, "by the policies": false} {
		t.Run(name, func(t *testing.T) {
			w := guarded(t)
			reason := "assign " + string(pkg) + " 24.08, plan sha256:" + strings.Repeat("ab", 32)
			ctx := fleet.WithReason(t.Context(), reason)
			app, content := release(t, fleet.Candidate, "24.08", 5000)
			runs := 0
			for generation := 1; ; generation++ { // each run has an intent of its own
				api, c := w.connection(nordic)
				if told {
					api.Guard()
				}
				app.Generation = generation
				_, err := c.Publish(ctx, app, content)
				if err == nil {
					err = c.Assign(ctx, pkg, fleet.Candidate, []fleet.Target{{Intent: "required", Group: "all devices"}})
				}
				if err == nil {
					break
				}
				runs++
				var e *fleet.Error
				if !errors.Is(err, fleet.ErrAwaitsApproval) || fleet.KindOf(err) != fleet.Stalled || !errors.As(err, &e) || !strings.Contains(e.Hint, "Multi Admin Approval") {
					t.Fatalf("run %d: %v", runs, err)
				}
				if runs > 5 {
					t.Fatalf("does not come to an end: %v", err)
				}
				// A second run before the decision asks for nothing anew.
				before := len(w.requests(api))
				_, again := w.connection(nordic)
				app.Generation = generation + 1
				if _, err := again.Publish(ctx, app, content); err != nil && !errors.Is(err, fleet.ErrAwaitsApproval) {
					t.Fatal(err)
				}
				list := w.requests(api)
				if len(list) != before || !list[0].Ours() || !strings.Contains(list[0].Justification, reason) {
					t.Fatalf("%d requests, then %+v", before, list)
				}
				if n, err := w.server.Decide(nordic, "approved", "agreed"); n != 1 || err != nil {
					t.Fatalf("%d requests were decided: %v", n, err)
				}
			}
			// The app, its content made current, whom it is for, its assignment.
			if runs != 4 || w.count("create") != 1 || w.count("assign") != 1 {
				t.Errorf("%d runs waited; %d apps were made, %d assignments", runs, w.count("create"), w.count("assign"))
			}
			api, c := w.connection(nordic)
			for _, r := range w.requests(api) {
				if r.Status != "completed" {
					t.Errorf("left behind: %+v", r)
				}
			}
			state, err := c.Observe(t.Context(), pkg, fleet.Candidate)
			if err != nil || state.Version != "24.08" || len(state.Targets) != 1 {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
}

func (w *world) requests(api *msgraph.Client) []msgraph.ApprovalRequest {
	w.t.Helper()
	return must[[]msgraph.ApprovalRequest](w.t)(api.ApprovalRequests(w.t.Context()))
}

// TestSecondPersonSaysNo leaves a rejected change alone, and asks again for one
// that nobody looked at in time.
func TestSecondPersonSaysNo(t *testing.T) {
	w := guarded(t)
	app, content := release(t, fleet.Candidate, "24.08", 5000)
	try := func() error {
		_, c := w.connection(nordic)
		_, err := c.Publish(t.Context(), app, content)
		return err
	}
	if err := try(); !errors.Is(err, fleet.ErrAwaitsApproval) {
		t.Fatal(err)
	}
	w.clock.Set(w.clock.Now().Add(73 * time.Hour))
	if err := try(); !errors.Is(err, fleet.ErrAwaitsApproval) {
		t.Fatal(err)
	}
	api, _ := w.connection(nordic)
	if list := w.requests(api); len(list) != 2 || list[0].Status != "needsApproval" || list[1].Status != "expired" {
		t.Fatalf("%+v", list)
	}
	if _, err := w.server.Decide(nordic, "rejected", "not this week"); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(w.clock.Now().Add(time.Hour))
	if err := try(); fleet.KindOf(err) != fleet.Refused || !strings.Contains(fmt.Sprint(err), "not this week") {
		t.Errorf("after the rejection: %v", err)
	}
	if len(w.requests(api)) != 2 || w.count("create") != 0 {
		t.Error("it was asked for once more")
	}
}
