package graph_test

import (
	"context"
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

// version24H2 is the build of the devices that a deployment reached.
const version24H2 = "10.0.26100.1742"

// gradualApp takes devices to a version two at a time, and stops where more than a
// tenth goes back.
func gradualApp(slot string) fleet.App {
	app := featureApp(slot)
	app.Artifact = fleet.DigestOf([]byte("in parts"))
	app.Patch = &fleet.OSPatch{Feature: app.Patch.Feature, Builds: app.Patch.Builds, Reboot: "always",
		Deploy: &fleet.Deploy{DevicesPerOffer: 2, EveryDays: 1, PauseOn: &fleet.PauseOn{Rollbacks: 10}}}
	return app
}

// rolling deploys a version in parts to a wave.
func rolling(ctx context.Context, c *updates.Client, group string) error {
	if _, err := c.PublishUpdate(ctx, gradualApp(fleet.Candidate)); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, featureID, fleet.Candidate, to(group))
}

// unrolling takes that back.
func unrolling(ctx context.Context, c *updates.Client, _ string) error {
	return c.AssignUpdate(ctx, featureID, fleet.Candidate, nil)
}

// ending has the package's next form go out at once.
func ending(ctx context.Context, c *updates.Client, group string) error {
	app := featureApp(fleet.Candidate)
	app.Generation = 2
	if _, err := c.PublishUpdate(ctx, app); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, featureID, fleet.Candidate, to(group))
}

const updatesBase = "/beta/admin/windows/updates"

// deployments are those of a tenant as they are now: what is asked, and what is.
func (w *world) deployments() (out []string) {
	w.get(updatesBase + "/deployments") // the first list may lack the newest
	for _, d := range w.get(updatesBase + "/deployments?$expand=audience")["value"].([]any) {
		s := d.(map[string]any)["state"].(map[string]any)
		out = append(out, fmt.Sprint(s["requestedValue"], " ", s["effectiveValue"]))
	}
	slices.Sort(out)
	return out
}

// audienceIn is the audience that the marker of the slot's profile names, and how
// many devices are in it.
func (w *world) audienceIn() (id string, members int) {
	w.t.Helper()
	for _, p := range w.get("/beta/deviceManagement/windowsFeatureUpdateProfiles")["value"].([]any) {
		m, _ := updates.ParseMarker(p.(map[string]any)["description"].(string))
		if m.Gradual != nil && m.Gradual.Audience != "" {
			id = m.Gradual.Audience
			members = len(w.get(updatesBase + "/deploymentAudiences/" + id + "/members")["value"].([]any))
		}
	}
	return id, members
}

// TestGradualRollout offers a version to two devices of the wave a day, and ends
// there at a halt; what devices took they keep, and what others deploy is theirs.
func TestGradualRollout(t *testing.T) {
	w := patchWorld(t, func(o *graph.Options) { o.ListLag = 1 })
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:8]))
	vip := must[string](t)(apps.Group(t.Context(), "vip", all[:2]))
	foreign := w.do(http.MethodPost, updatesBase+"/deploymentAudiences", map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.deploymentAudience"})["id"].(string)
	entry := w.get(updatesBase + "/catalog/entries?$filter=isof('microsoft.graph.windowsUpdates.featureUpdateCatalogEntry')")["value"].([]any)[0].(map[string]any)["id"]
	w.do(http.MethodPost, updatesBase+"/deployments", map[string]any{
		"@odata.type": "#microsoft.graph.windowsUpdates.deployment", "audience": map[string]any{"id": foreign},
		"content": map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.catalogContent", "catalogEntry": map[string]any{"@odata.type": "#microsoft.graph.windowsUpdates.featureUpdateCatalogEntry", "id": entry}},
	})
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), gradualApp(fleet.Candidate)))
	targets := append(to(group), fleet.Target{Intent: "required", Group: vip, Exclude: true})
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, targets))
	counts := []int{}
	for range 4 {
		w.pass(24 * time.Hour)
		counts = append(counts, builds(t, apps, all)[version24H2])
	}
	if !slices.IsSorted(counts) || counts[0] > 2 || counts[1] > 4 || counts[3] != 6 {
		t.Errorf("devices day by day: %v", counts)
	}
	if got := builds(t, apps, slices.Concat(all[:2], all[8:])); got[version24H2] != 0 {
		t.Errorf("left out, and not in the wave: %v", got)
	}
	writes := len(w.events)
	c = w.updates(nordic)
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), gradualApp(fleet.Candidate)))
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, targets))
	if len(w.events) != writes {
		t.Errorf("the same again wrote %v", w.events[writes:])
	}
	state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), featureID, fleet.Candidate))
	if len(state.Targets) != 2 || state.Stopped != "" || state.Artifact != gradualApp("").Artifact {
		t.Errorf("%+v", state)
	}
	// A second wave joins the same deployment, and is halted before its turn.
	broad := must[string](t)(apps.Group(t.Context(), "broad", all[8:]))
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, append(targets, to(broad)...)))
	ok(t, unrolling(t.Context(), c, ""))
	w.pass(20 * 24 * time.Hour)
	if got := builds(t, apps, all)[version24H2]; got < 6 || got > 7 { // one may check in while the pause is on its way
		t.Errorf("at the end %d devices", got)
	}
	if _, members := w.audienceIn(); members != 0 || !slices.Equal(w.deployments(), []string{"none offering", "paused paused"}) {
		t.Errorf("%d members left, deployments %q", members, w.deployments())
	}
	if state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), featureID, fleet.Candidate)); len(state.Targets) != 0 || state.Stopped != "" {
		t.Errorf("%+v", state)
	}
	// It goes on where it was, and ends for good with the package's next form.
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	if got := w.deployments(); !slices.Equal(got, []string{"none offering", "none offering"}) {
		t.Errorf("%q", got)
	}
	must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), featureApp(fleet.Candidate)))
	if id, _ := w.audienceIn(); id != "" || !slices.Equal(w.deployments(), []string{"archived archived", "none offering"}) {
		t.Errorf("audience %q, deployments %q", id, w.deployments())
	}
}

// TestRolloutByDays reaches all devices of the wave within the days it is given;
// the stable slot is no deployment.
func TestRolloutByDays(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all))
	app := gradualApp(fleet.Candidate)
	app.Patch.Deploy = &fleet.Deploy{EndAfterDays: 5, EveryDays: 1}
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), app))
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group)))
	w.pass(48 * time.Hour)
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Candidate, to(group))) // the end stays where it is
	if n := w.count("deployment.none"); n != 0 {
		t.Errorf("the deployment was changed %d times", n)
	}
	if got := builds(t, apps, all)[version24H2]; got < 1 || got > 5 {
		t.Errorf("after two days %d devices", got)
	}
	w.pass(4 * 24 * time.Hour)
	if got := builds(t, apps, all)[version24H2]; got != 10 {
		t.Errorf("after six days %d devices", got)
	}
	app.Slot = fleet.Stable
	must[fleet.AppState](t)(c.PublishUpdate(t.Context(), app))
	ok(t, c.AssignUpdate(t.Context(), featureID, fleet.Stable, to(group)))
	if n := w.count("deploy"); n != 1 {
		t.Errorf("%d deployments", n)
	}
}

// TestMonitoringRule has the service stop what makes devices go back, and tells it:
// to whoever observes the slot, and to whoever wants to go on.
func TestMonitoringRule(t *testing.T) {
	w := patchWorld(t, func(o *graph.Options) {
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(40)}}
		o.Updates.Rollback = func(string) float64 { return 0.5 }
	})
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all))
	ok(t, rolling(t.Context(), c, group))
	w.pass(30 * 24 * time.Hour)
	state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), featureID, fleet.Candidate))
	if !strings.Contains(state.Stopped, "more devices went back") || len(state.Targets) != 1 {
		t.Errorf("%+v", state)
	}
	if got := builds(t, apps, all)[version24H2]; got == 0 || got > 15 {
		t.Errorf("%d of 40 devices have it", got)
	}
	if err := rolling(t.Context(), c, group); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "went back") {
		t.Errorf("%v", err)
	}
	if n := w.count("deployment.none"); n != 0 {
		t.Error("a run had a stopped deployment go on")
	}
	ok(t, unrolling(t.Context(), c, ""))
	if state := must[fleet.AppState](t)(c.ObserveUpdate(t.Context(), featureID, fleet.Candidate)); state.Stopped != "" {
		t.Errorf("withdrawn: %+v", state)
	}
}

// TestAudienceRemoved has somebody remove the audience: the next run makes another.
func TestAudienceRemoved(t *testing.T) {
	w, group := patchedWorld(t, nil)
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	id, _ := w.audienceIn()
	w.do(http.MethodDelete, updatesBase+"/deploymentAudiences/"+id, nil)
	if err := rolling(t.Context(), w.updates(nordic), group); err != nil {
		ok(t, rolling(t.Context(), w.updates(nordic), group))
	}
	if again, members := w.audienceIn(); again == id || again == "" || members != 3 {
		t.Errorf("audience %s with %d members, then %s", id, members, again)
	}
	if got := w.deployments(); !slices.Equal(got, []string{"archived archived", "none offering"}) {
		t.Errorf("deployments %q", got)
	}
	again, _ := w.audienceIn()
	w.do(http.MethodDelete, updatesBase+"/deploymentAudiences/"+again, nil)
	ok(t, unrolling(t.Context(), w.updates(nordic), group))
}

// gradualEnd is what a tenant holds of a deployment in parts.
func gradualEnd(w *world) string {
	id, members := w.audienceIn()
	return fmt.Sprint(id != "", members, w.deployments(), w.profilesLeft())
}

// TestRolloutKilledAtEachStep kills a run after each change it makes; the next one
// ends where one that nobody killed does. At no moment is a device in an audience
// that no marker names.
func TestRolloutKilledAtEachStep(t *testing.T) {
	for name, work := range map[string]func(context.Context, *updates.Client, string) error{"deploy": rolling, "halt": unrolling, "again": rolling, "end": ending} {
		run := func(t *testing.T, kill int) (end string, steps int, got map[string]int) {
			w, group := patchedWorld(t, func(o *graph.Options) { o.ListLag = 1 })
			if name != "deploy" {
				ok(t, rolling(t.Context(), w.updates(nordic), group))
			}
			if name == "again" {
				ok(t, unrolling(t.Context(), w.updates(nordic), group))
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
			if name == "deploy" && w.count("audience") > 0 {
				if id, _ := w.audienceIn(); id == "" {
					t.Error("devices are in an audience that nothing names")
				}
			}
			ok(t, work(t.Context(), w.updates(nordic), group))
			end = gradualEnd(w)
			w.pass(4 * 24 * time.Hour)
			return end, steps, builds(t, w.client(nordic), nil)
		}
		want, steps, devices := run(t, 0)
		if steps < 3 {
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

// TestRolloutFaults has every call of a deployment fail in every way, once.
func TestRolloutFaults(t *testing.T) {
	w, group := patchedWorld(t, nil)
	ok(t, rolling(t.Context(), w.updates(nordic), group))
	want := gradualEnd(w)
	for _, operation := range []string{"entry.list", "featureProfile.create", "featureProfile.patch", "audience.create", "audience.members", "asset.enrol", "audience.update", "deployment.list", "deployment.create"} {
		for name, fault := range map[string]graph.Fault{
			"429": {Status: http.StatusTooManyRequests, RetryAfter: 3}, "429 bare": {Status: http.StatusTooManyRequests}, "500": {Status: http.StatusInternalServerError},
			"404": {Status: http.StatusNotFound}, "lost": {Lose: true},
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				w, group := patchedWorld(t, func(o *graph.Options) {
					o.ListLag = 1
					o.Fault = func(c graph.Call) graph.Fault {
						if c.Operation == operation && c.N == 1 {
							return fault
						}
						return graph.Fault{}
					}
				})
				if err := rolling(t.Context(), w.updates(nordic), group); err != nil {
					ok(t, rolling(t.Context(), w.updates(nordic), group))
				}
				if got := gradualEnd(w); got != want {
					t.Errorf("end\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}
