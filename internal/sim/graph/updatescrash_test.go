package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// patching is what a wave does to a tenant: a patch for its group, instead of the
// one that was there.
func patching(ctx context.Context, c *updates.Client, group string) error {
	if _, err := c.PublishUpdate(ctx, patchApp(fleet.Candidate)); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, patchID, fleet.Candidate, to(group))
}

// upgrading takes the wave to a version of Windows.
func upgrading(ctx context.Context, c *updates.Client, group string) error {
	if _, err := c.PublishUpdate(ctx, featureApp(fleet.Candidate)); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, featureID, fleet.Candidate, to(group))
}

// expediting has a wave take at once what was approved for it before.
func expediting(ctx context.Context, c *updates.Client, group string) error {
	if _, err := c.PublishUpdate(ctx, expediteApp(fleet.Candidate)); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, patchID, fleet.Candidate, to(group))
}

// halting takes it back.
func halting(ctx context.Context, c *updates.Client, _ string) error {
	return c.AssignUpdate(ctx, patchID, fleet.Candidate, nil)
}

// patchEnd is everything a tenant holds of update profiles: what they are, who
// they are for, what is approved in them.
func patchEnd(w *world) string {
	w.t.Helper()
	var out []string
	for _, name := range []string{"windowsQualityUpdatePolicies", "windowsQualityUpdateProfiles", "windowsFeatureUpdateProfiles"} {
		path := "/beta/deviceManagement/" + name
		for _, p := range w.get(path)["value"].([]any) {
			p := p.(map[string]any)
			assigned, err := json.Marshal(w.get(path + "/" + p["id"].(string) + "/assignments")["value"])
			if err != nil {
				w.t.Fatal(err)
			}
			var targets []struct{ Target map[string]string }
			if err := json.Unmarshal(assigned, &targets); err != nil {
				w.t.Fatal(err)
			}
			out = append(out, fmt.Sprint(name, p["displayName"], p["description"], p["approvalSettings"], p["expeditedUpdateSettings"], p["featureUpdateVersion"], targets))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// patchedWorld is a world with a wave's group.
func patchedWorld(t *testing.T, change func(*graph.Options)) (*world, string) {
	w := patchWorld(t, change)
	apps := w.client(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	return w, must[string](t)(apps.Group(t.Context(), "pilot", all[:3]))
}

// TestPatchKilledAtEachStep kills a run after each change it makes; the next one
// ends where one that nobody killed does, and devices get the same.
func TestPatchKilledAtEachStep(t *testing.T) {
	for name, work := range map[string]func(context.Context, *updates.Client, string) error{"patch": patching, "halt": halting, "version": upgrading, "expedite": expediting} {
		run := func(t *testing.T, kill int) (end string, steps int, got map[string]int) {
			w, group := patchedWorld(t, func(o *graph.Options) { o.ListLag = 1 })
			if name == "halt" || name == "expedite" {
				ok(t, patching(t.Context(), w.updates(nordic), group))
			}
			before := len(w.events)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.when(func(event.Event) {
				if len(w.events)-before == kill {
					cancel()
				}
			})
			err := work(ctx, w.updates(nordic), group)
			w.when(nil)
			if kill > 0 && err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the killed run returned %v", err)
			}
			steps = len(w.events) - before
			ok(t, work(t.Context(), w.updates(nordic), group))
			end = patchEnd(w)
			w.pass(14 * 3600e9)
			return end, steps, builds(t, w.client(nordic), nil)
		}
		want, steps, devices := run(t, 0)
		if steps < 2 {
			t.Fatalf("%s takes %d steps", name, steps)
		}
		for kill := 1; kill <= steps; kill++ {
			t.Run(fmt.Sprintf("%s %d", name, kill), func(t *testing.T) {
				end, _, got := run(t, kill)
				if end != want || fmt.Sprint(got) != fmt.Sprint(devices) {
					t.Errorf("end\n%s\n%v\nwant\n%s\n%v", end, got, want, devices)
				}
			})
		}
	}
}

// TestPatchFaults has every call of an approval fail in every way, once; what is
// there afterwards is what is there without a fault, and what was not approved is
// not on devices.
func TestPatchFaults(t *testing.T) {
	w, group := patchedWorld(t, nil)
	ok(t, patching(t.Context(), w.updates(nordic), group))
	want := patchEnd(w)
	for _, operation := range []string{"catalogItem.list", "qualityPolicy.list", "driverProfile.list", "qualityPolicy.create", "qualityPolicy.assignments", "qualityPolicy.patch", "qualityPolicy.assign", "qualityPolicy.act"} {
		for name, fault := range map[string]graph.Fault{
			"429": {Status: http.StatusTooManyRequests, RetryAfter: 3}, "429 bare": {Status: http.StatusTooManyRequests}, "500": {Status: http.StatusInternalServerError},
			"503": {Status: http.StatusServiceUnavailable}, "404": {Status: http.StatusNotFound}, "409": {Status: http.StatusConflict}, "lost": {Lose: true},
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				w, group := patchedWorld(t, func(o *graph.Options) {
					o.Fault = func(c graph.Call) graph.Fault {
						if c.Operation == operation && c.N == 1 {
							return fault
						}
						return graph.Fault{}
					}
				})
				if err := patching(t.Context(), w.updates(nordic), group); err != nil {
					ok(t, patching(t.Context(), w.updates(nordic), group))
				}
				if got := patchEnd(w); got != want {
					t.Errorf("end\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestDriverKilledAtEachStep kills a run that approves a driver, and one that
// suspends it.
func TestDriverKilledAtEachStep(t *testing.T) {
	approving := func(ctx context.Context, c *updates.Client, group string) error {
		return c.AssignUpdate(ctx, driverID, fleet.Candidate, to(group))
	}
	suspending := func(ctx context.Context, c *updates.Client, _ string) error {
		return c.AssignUpdate(ctx, driverID, fleet.Candidate, nil)
	}
	for kill := 1; kill <= 8; kill++ {
		w, group := patchedWorld(t, nil)
		must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), driverApp(fleet.Candidate)))
		if err := approving(t.Context(), w.updates(nordic), group); fleet.KindOf(err) != fleet.Waiting {
			t.Fatal(err)
		}
		w.pass(25 * time.Hour)
		for _, want := range []string{"approved", "suspended"} {
			work := map[string]func(context.Context, *updates.Client, string) error{"approved": approving, "suspended": suspending}[want]
			ctx, cancel := context.WithCancel(t.Context())
			before := len(w.events)
			w.when(func(event.Event) {
				if len(w.events)-before == kill {
					cancel()
				}
			})
			if err := work(ctx, w.updates(nordic), group); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("killed at %d: %v", kill, err)
			}
			cancel()
			w.when(nil)
			ok(t, work(t.Context(), w.updates(nordic), group))
			state := must[fleet.AppState](t)(w.updates(nordic).ObserveUpdate(t.Context(), driverID, fleet.Candidate))
			if (len(state.Targets) == 1) != (want == "approved") {
				t.Errorf("killed at %d, %s: %+v", kill, want, state)
			}
			w.assignTo(driverProfiles+"/"+state.ID, group) // the inventory is of those it is for
			if list := w.drivers(state.ID); !strings.HasPrefix(list["Display"], want) {
				t.Errorf("killed at %d: %v, want %s", kill, list, want)
			}
		}
	}
}
