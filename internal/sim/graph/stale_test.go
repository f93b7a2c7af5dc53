package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// A stoppable is a kind of object that a wave is assigned, and how it is stopped.
type stoppable struct {
	publish, assign, stop func(ctx context.Context, w *world) error
	sets                  []string // collections whose objects' assignments are looked at
	others                string   // what a request to assign calls its set
	one                   string   // of the collections, the one that people assign
}

const wave = "dogfood"

// stoppables are all kinds, each with a new client for every step.
func stoppables(t *testing.T) map[string]stoppable {
	group := func(ctx context.Context, w *world) ([]fleet.Target, error) {
		id, err := w.client(nordic).Group(ctx, wave, nil)
		return []fleet.Target{{Intent: "required", Group: id}}, err
	}
	const management = "/beta/deviceManagement/"
	update := func(app fleet.App, set string) stoppable {
		return stoppable{
			publish: func(ctx context.Context, w *world) error {
				_, err := w.updates(nordic).PublishUpdate(ctx, app)
				return err
			},
			assign: func(ctx context.Context, w *world) error {
				targets, err := group(ctx, w)
				if err != nil {
					return err
				}
				return w.updates(nordic).AssignUpdate(ctx, app.Package, app.Slot, targets)
			},
			stop: func(ctx context.Context, w *world) error {
				return w.updates(nordic).AssignUpdate(ctx, app.Package, app.Slot, nil)
			},
			sets: []string{management + set}, one: management + set, others: "assignments",
		}
	}
	return map[string]stoppable{
		"app": {
			publish: func(ctx context.Context, w *world) error {
				app, content := release(t, fleet.Candidate, "24.09", 2000)
				_, err := w.client(nordic).Publish(ctx, app, content)
				return err
			},
			assign: func(ctx context.Context, w *world) error {
				targets, err := group(ctx, w)
				if err != nil {
					return err
				}
				return w.client(nordic).Assign(ctx, pkg, fleet.Candidate, targets)
			},
			stop: func(ctx context.Context, w *world) error {
				return w.client(nordic).Stop(ctx, pkg, fleet.Candidate)
			},
			sets: []string{appsURL}, one: appsURL, others: "mobileAppAssignments",
		},
		"configuration": {
			publish: func(ctx context.Context, w *world) error {
				_, err := w.policies(nordic).Publish(ctx, configuration(t, fleet.Candidate, "1.0"), nil)
				return err
			},
			assign: func(ctx context.Context, w *world) error {
				targets, err := group(ctx, w)
				if err != nil {
					return err
				}
				return w.policies(nordic).Assign(ctx, baseline, fleet.Candidate, targets)
			},
			stop: func(ctx context.Context, w *world) error {
				return w.policies(nordic).Stop(ctx, baseline, fleet.Candidate)
			},
			sets: []string{management + "configurationPolicies", management + "deviceConfigurations", management + "deviceCompliancePolicies", scriptsURL},
			one:  management + "deviceCompliancePolicies", others: "assignments",
		},
		"patch":     update(patchApp(fleet.Candidate), "windowsQualityUpdatePolicies"),
		"expedited": update(expediteApp(fleet.Candidate), "windowsQualityUpdateProfiles"),
		"version":   update(featureApp(fleet.Candidate), "windowsFeatureUpdateProfiles"),
	}
}

// assigned are the groups that all objects of some collections are assigned to, as
// the service will tell.
func (s stoppable) assigned(w *world) []string {
	w.t.Helper()
	w.again(graph.Pitfalls{})
	var out []string
	for _, set := range s.sets {
		for _, o := range w.all(set) {
			for _, a := range w.list(set + "/" + o["id"].(string) + "/assignments") {
				out = append(out, fmt.Sprint(a["target"].(map[string]any)["groupId"]))
			}
		}
	}
	slices.Sort(out)
	return out
}

// staleWorld is a world whose tenant tells assignments as they were.
func staleWorld(t *testing.T, stale int) *world {
	return patchWorld(t, func(o *graph.Options) {
		o.Lag = 0
		o.Pitfalls.StaleAssignments = stale
	})
}

// TestStopWhereAssignmentsAreStale stops what was just assigned, by another client,
// in tenants that go on telling the assignments of before: after a run that ended,
// and after one that was killed with its assignment done. It stops, or says that it
// did not.
func TestStopWhereAssignmentsAreStale(t *testing.T) {
	for name, s := range stoppables(t) {
		for _, stale := range []int{1, 2, 6} {
			for _, killed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d killed %v", name, stale, killed), func(t *testing.T) {
					w := staleWorld(t, stale)
					ok(t, s.publish(t.Context(), w))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var done bool
					w.when(func(e event.Event) {
						if killed && strings.HasSuffix(e.Name, "assign") {
							done = true
							cancel()
						}
					})
					if err := s.assign(ctx, w); err != nil && !killed || killed && !done {
						t.Fatalf("assigned: %v, done %v", err, done)
					}
					w.when(nil)
					ok(t, s.stop(t.Context(), w))
					if left := s.assigned(w); len(left) > 0 {
						t.Errorf("left %v", left)
					}
				})
			}
		}
	}
}

// TestPeoplesFreshAssignmentStays: what a person assigned a moment before packmill
// assigns, and before it stops, is not written over by what was read too early.
func TestPeoplesFreshAssignmentStays(t *testing.T) {
	for name, s := range stoppables(t) {
		t.Run(name, func(t *testing.T) {
			w := staleWorld(t, 2)
			ok(t, s.publish(t.Context(), w))
			id := w.all(s.one)[0]["id"].(string)
			their := map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": finance}}
			if s.one == appsURL {
				their = w.theirs(finance, "available")
			}
			data, err := json.Marshal(map[string]any{s.others: []any{their}})
			ok(t, err)
			if rec := w.past(http.MethodPost, s.one+"/"+id+"/assign", string(data)); rec.Code >= 300 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			ok(t, s.assign(t.Context(), w))
			ok(t, s.stop(t.Context(), w))
			if left := s.assigned(w); len(left) != 1 || left[0] != finance {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestFreshProbeStays: what a person runs a probe on stays, though he said so a
// moment before packmill adds a group.
func TestFreshProbeStays(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag, o.Pitfalls.StaleAssignments = 0, 2 })
	c, _, group := watched(t, w, "24.09")
	path := scriptsURL + "/" + w.theProbe()
	set := []any{runFor(finance)}
	for range 3 { // until it is told
		w.list(path + "/assignments")
	}
	for _, a := range w.list(path + "/assignments") {
		delete(a, "id")
		set = append(set, a)
	}
	w.do(http.MethodPost, path+"/assign", map[string]any{"deviceHealthScriptAssignments": set})
	second := must[string](t)(c.Group(t.Context(), "everyone", nil))
	ok(t, w.client(nordic).Probe(t.Context(), alive("24.09", second)))
	w.again(graph.Pitfalls{})
	if left := fmt.Sprint(w.list(path + "/assignments")); !strings.Contains(left, finance) || !strings.Contains(left, group) || !strings.Contains(left, second) {
		t.Errorf("it runs on %s", left)
	}
}

// appliedAt is the instant that configurations keep.
var appliedAt = regexp.MustCompile(`,\\"at\\":[0-9]+`)

// in does steps one after the other, before the service has come to rest.
func in(steps ...func(context.Context, *world) error) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		for _, step := range steps {
			if err := step(ctx, w); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestPitfallsOfAllKinds has each kind of object published, assigned, stopped and
// assigned again in tenants with each habit: they end up as without.
func TestPitfallsOfAllKinds(t *testing.T) {
	picture := func(w *world, s stoppable, group string) string {
		var out []string
		for _, set := range s.sets {
			for _, o := range w.all(set) {
				id := o["id"].(string)
				out = append(out, strings.ReplaceAll(flat(o), id, "<id>"))
				for _, a := range w.list(set + "/" + id + "/assignments") {
					out = append(out, "assignment "+strings.ReplaceAll(flat(a), id, "<id>"))
				}
			}
		}
		slices.Sort(out)
		return appliedAt.ReplaceAllString(today(strings.ReplaceAll(strings.Join(out, "\n"), group, "<group>")), "")
	}
	for name, s := range stoppables(t) {
		t.Run(name, func(t *testing.T) {
			run := func(t *testing.T, trap trap) string {
				w := patchWorld(t, func(o *graph.Options) {
					o.Lag, o.ListLag, o.PageSize = 1, 1, 5
					if trap.change != nil {
						trap.change(o)
					}
				})
				group := must[string](t)(w.client(nordic).Group(t.Context(), wave, nil))
				var out []string
				for i, step := range []func(context.Context, *world) error{s.publish, s.assign, s.stop, in(s.assign, s.stop), in(s.stop, s.assign), s.stop, s.stop} {
					w.again(trap.pitfalls)
					w.checker.lax = trap.future
					err := step(t.Context(), w)
					if err != nil && trap.pitfalls.LostCreates > 0 { // of more objects than one run makes again
						err = step(t.Context(), w)
					}
					if err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
					w.again(graph.Pitfalls{})
					out = append(out, fmt.Sprintf("step %d\n%s", i, picture(w, s, group)))
				}
				return strings.Join(out, "\n")
			}
			want := run(t, trap{})
			for habit, trap := range traps() {
				if trap.versions != "" || trap.pitfalls.SASBlocks > 0 {
					continue // of contents, which TestPitfalls has
				}
				t.Run(habit, func(t *testing.T) {
					if got := run(t, trap); got != want {
						t.Errorf("it ends otherwise: %s", differing(got, want))
					}
				})
			}
		})
	}
}

// TestChangedBetweenAttempts: what people assign or note while the service refuses a
// change for a moment stays, although both are sent whole.
func TestChangedBetweenAttempts(t *testing.T) {
	everyone := fleet.Target{Intent: "required", Group: "all devices"}
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusConflict, http.StatusBadGateway} {
		w := newWorld(t, nil)
		c := w.client(nordic)
		state := publish(t, c, fleet.Stable, "24.09")
		at := appsURL + "/" + state.ID
		w.before(func(r *http.Request, _ string) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/assign")
		}, status, func() {
			set := []any{w.theirs(finance, "available")}
			w.do(http.MethodPost, at+"/assign", map[string]any{"mobileAppAssignments": set})
		})
		assign(t, c, fleet.Stable, everyone)
		if set := w.list(at + "/assignments"); len(set) != 2 {
			t.Errorf("%d: assignments %v", status, set)
		}

		w = newWorld(t, nil)
		c = w.client(nordic)
		at = appsURL + "/" + publish(t, c, fleet.Stable, "24.09").ID
		notes := func() string { text, _ := w.get(at)["notes"].(string); return text }
		w.before(func(r *http.Request, body string) bool {
			return r.Method == http.MethodPatch && strings.Contains(body, "all devices")
		}, status, func() {
			w.do(http.MethodPatch, at, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": "ask the help desk\n" + notes()})
		})
		assign(t, c, fleet.Stable, everyone)
		if got := notes(); !strings.HasPrefix(got, "ask the help desk\n") || !strings.Contains(got, "all devices") {
			t.Errorf("%d: notes %q", status, got)
		}
	}
}

// TestRelatedBetweenAttempts: so does what people relate to an app.
func TestRelatedBetweenAttempts(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusConflict, http.StatusGatewayTimeout} {
		w := newWorld(t, nil)
		runtime, app, theirs := w.of("acme/runtime", fleet.Stable), w.of("acme/tool", fleet.Stable), foreignApp(w)
		at := appsAt + "/" + app.ID + "/updateRelationships"
		w.before(func(r *http.Request, _ string) bool { return r.URL.Path == at }, status, func() {
			w.do(http.MethodPost, at, map[string]any{"relationships": []any{map[string]any{"@odata.type": dependency, "targetId": theirs, "dependencyType": "detect"}}})
		})
		w.of("acme/tool", fleet.Stable, "acme/runtime")
		if got, want := w.needs(app.ID, dependency), slices.Sorted(slices.Values([]string{runtime.ID, theirs})); !slices.Equal(got, want) {
			t.Errorf("%d: needs %v, want %v", status, got, want)
		}
	}
}

// TestEditedBetweenAttempts: a configuration that a person changes while the service
// refuses the next release for a moment stays as he made it, and the slot waits for a
// word; what he writes into an update profile's description stays beside packmill's line.
func TestEditedBetweenAttempts(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusConflict, http.StatusGatewayTimeout} {
		w := newWorld(t, nil)
		configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.0"))
		ring := "/beta/deviceManagement/deviceConfigurations/" + w.edited("deviceConfigurations", "the-deviceconfiguration", nil)
		w.before(func(r *http.Request, _ string) bool { return r.Method == http.MethodPatch && r.URL.Path == ring }, status, func() {
			w.edited("deviceConfigurations", "the-deviceconfiguration", map[string]any{"qualityUpdatesDeferralPeriodInDays": 21})
		})
		_, err := w.policies(nordic).Publish(t.Context(), configuration(t, fleet.Stable, "1.1"), nil)
		if fleet.KindOf(err) != fleet.Stalled || w.get(ring)["qualityUpdatesDeferralPeriodInDays"] != 21.0 {
			t.Errorf("%d: %v, and the ring says %v", status, err, w.get(ring)["qualityUpdatesDeferralPeriodInDays"])
		}

		w = patchWorld(t, nil)
		app := patchApp(fleet.Candidate)
		at := "/beta/deviceManagement/windowsQualityUpdatePolicies/" + must[fleet.AppState](t)(w.updates(nordic).PublishUpdate(t.Context(), app)).ID
		described := func() string { text, _ := w.listedAt(at)["description"].(string); return text }
		w.before(func(r *http.Request, _ string) bool { return r.Method == http.MethodPatch && r.URL.Path == at }, status, func() {
			w.do(http.MethodPatch, at, map[string]any{"description": "ask the help desk\n" + described()})
		})
		app.Version, app.Artifact, app.Generation = "2026.11.1", fleet.DigestOf([]byte("november, again")), 2
		if _, err := w.updates(nordic).PublishUpdate(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		if got := described(); !strings.HasPrefix(got, "ask the help desk\n") || !strings.Contains(got, "2026.11.1") {
			t.Errorf("%d: described as %q", status, got)
		}
	}
}
