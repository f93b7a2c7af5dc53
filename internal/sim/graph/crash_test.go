package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// rollout is what one apply does to a tenant: publish, group, assign.
func rollout(ctx context.Context, t testing.TB, c *intune.Client, version string, devices []string) error {
	app, content := release(t, fleet.Candidate, version, 2000)
	if _, err := c.Publish(ctx, app, content); err != nil {
		return err
	}
	group, err := c.Group(ctx, "dogfood", devices)
	if err != nil {
		return err
	}
	return c.Assign(ctx, pkg, fleet.Candidate, []fleet.Target{
		{Intent: "required", Group: group, Opens: monday, Deadline: monday.AddDate(0, 0, 1), Notify: "hideAll"},
	})
}

// end is what a tenant looks like after a rollout, without ids that depend on
// how it got there.
func end(t testing.TB, w *world) string {
	t.Helper()
	c := w.client(nordic)
	state := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Candidate))
	if len(state.Targets) != 1 {
		t.Fatalf("targets %+v", state.Targets)
	}
	target := state.Targets[0]
	target.Group = "the group"
	app := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID)
	apps := w.get("/beta/deviceAppManagement/mobileApps")["value"].([]any)
	files := 0
	for _, v := range w.get("/beta/deviceAppManagement/mobileApps/" + state.ID + "/graph.win32LobApp/contentVersions")["value"].([]any) {
		id := v.(map[string]any)["id"].(string)
		for _, f := range w.get("/beta/deviceAppManagement/mobileApps/" + state.ID + "/graph.win32LobApp/contentVersions/" + id + "/files")["value"].([]any) {
			files++
			if f.(map[string]any)["isCommitted"] != true {
				t.Errorf("a file is left over: %v", f)
			}
		}
	}
	w.clock.Set(monday.AddDate(0, 0, 2))
	return fmt.Sprintf("apps %d, version %v %s, artifact %s, duplicates %v, target %+v, current %v, files %d, statuses %v, notes %v",
		len(apps), app["displayVersion"], state.Version, state.Artifact, state.Duplicates, target, app["committedContentVersion"], files,
		states(t, c, fleet.Candidate), app["notes"])
}

// TestKilledAtEachStep ends the caller at every event of a rollout, of the
// first release and of a second one in place, and lets a new caller finish: the
// end is that of a run that was left alone, and no content is committed twice.
func TestKilledAtEachStep(t *testing.T) {
	alone := newWorld(t, nil)
	devices := ids(must[[]fleet.Device](t)(alone.client(nordic).Inventory(t.Context())))[:2]
	var marks []int // events at the end of each rollout
	var ends []string
	for _, version := range []string{"24.08", "24.09"} {
		if err := rollout(t.Context(), t, alone.client(nordic), version, devices); err != nil {
			t.Fatal(err)
		}
		marks = append(marks, len(alone.events))
	}
	ends = append(ends, end(t, alone))
	commits := alone.count("commit")
	if commits != 2 || marks[0] < 10 {
		t.Fatalf("%d commits, events %v", commits, alone.events)
	}
	for kill := 1; kill <= marks[1]; kill++ {
		t.Run(fmt.Sprintf("%d %s", kill, alone.events[kill-1].Name), func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) { o.ListLag = 1 })
			for i, version := range []string{"24.08", "24.09"} {
				ctx, cancel := context.WithCancel(t.Context())
				if (kill <= marks[0]) == (i == 0) {
					w.when(func(event.Event) {
						if len(w.events) == kill {
							cancel()
						}
					})
				}
				err := rollout(ctx, t, w.client(nordic), version, devices)
				killed := ctx.Err() != nil
				cancel()
				w.when(nil)
				if killed && !errors.Is(err, context.Canceled) && kill != marks[0] && kill != marks[1] {
					t.Errorf("the killed run returned %v", err)
				}
				if err := rollout(t.Context(), t, w.client(nordic), version, devices); err != nil {
					t.Fatal(err)
				}
			}
			if got := end(t, w); got != ends[0] {
				t.Errorf("end\n%s\nwant\n%s", got, ends[0])
			}
			if n := w.count("commit"); n != commits {
				t.Errorf("%d commits, want %d", n, commits)
			}
		})
	}
}

// TestGraphFailsAtEachStep lets every operation of a rollout fail for good, by
// status and by a lost connection, and then lets a second run finish.
func TestGraphFailsAtEachStep(t *testing.T) {
	alone := newWorld(t, nil)
	devices := ids(must[[]fleet.Device](t)(alone.client(nordic).Inventory(t.Context())))[:2]
	if err := rollout(t.Context(), t, alone.client(nordic), "24.09", devices); err != nil {
		t.Fatal(err)
	}
	want := end(t, alone)
	for _, operation := range []string{
		"app.list", "app.create", "app.get", "content.list", "content.create", "file.list", "file.create", "file.get", "blob.block", "blob.blocklist",
		"file.commit", "app.patch", "assignment.list", "group.list", "group.create", "member.list", "member.add", "app.assign",
	} {
		for name, fault := range map[string]graph.Fault{
			"500":  {Status: http.StatusInternalServerError},
			"403":  {Status: http.StatusForbidden},
			"409":  {Status: http.StatusConflict},
			"lost": {Lose: true},
		} {
			if name == "409" && operation != "app.create" && operation != "app.patch" && operation != "member.add" {
				continue // all calls go the same way
			}
			t.Run(operation+" "+name, func(t *testing.T) {
				var broken atomic.Bool
				broken.Store(true)
				w := newWorld(t, func(o *graph.Options) {
					o.Fault = func(c graph.Call) graph.Fault {
						if broken.Load() && c.Operation == operation {
							return fault
						}
						return graph.Fault{}
					}
				})
				if operation == "content.list" || operation == "file.list" { // nothing is asked of what was just made
					dieAt(t, w, "create", devices)
				}
				err := rollout(t.Context(), t, w.client(nordic), "24.09", devices)
				var known *fleet.Error
				if fault.Lose && err == nil {
					// Where a repeated request finds its own work, nothing is lost.
					t.Log("recovered by itself")
				} else if !errors.As(err, &known) || known.Op == "" || known.Object == "" {
					t.Fatalf("error %v has no place", err)
				}
				if err != nil {
					wantKind := map[string]fleet.Kind{"500": fleet.Internal, "403": fleet.Refused, "409": fleet.Waiting, "lost": fleet.Internal}[name]
					if got := fleet.KindOf(err); got != wantKind && !fault.Lose {
						t.Errorf("kind %v, want %v: %v", got, wantKind, err)
					}
				}
				broken.Store(false)
				if err := rollout(t.Context(), t, w.client(nordic), "24.09", devices); err != nil {
					t.Fatalf("second run: %v", err)
				}
				got := end(t, w)
				if operation == "app.create" && fault.Lose {
					return // several objects may have been made: TestDuplicates
				}
				if got != want {
					t.Errorf("end\n%s\nwant\n%s", got, want)
				}
				if n := w.count("commit"); n != 1 {
					t.Errorf("%d commits", n)
				}
			})
		}
	}
}

// dieAt ends a rollout at the first event of a name.
func dieAt(t *testing.T, w *world, name string, devices []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.when(func(e event.Event) {
		if e.Name == name {
			cancel()
		}
	})
	if err := rollout(ctx, t, w.client(nordic), "24.09", devices); !errors.Is(err, context.Canceled) {
		t.Fatalf("killed at %s: %v", name, err)
	}
	w.when(nil)
}

// TestGraphStumbles lets each operation fail once: one run gets through.
func TestGraphStumbles(t *testing.T) {
	alone := newWorld(t, nil)
	devices := ids(must[[]fleet.Device](t)(alone.client(nordic).Inventory(t.Context())))[:2]
	if err := rollout(t.Context(), t, alone.client(nordic), "24.09", devices); err != nil {
		t.Fatal(err)
	}
	want := end(t, alone)
	for _, operation := range []string{"app.create", "content.create", "file.create", "blob.block", "blob.blocklist", "file.commit", "app.patch", "app.assign"} {
		for name, fault := range map[string]graph.Fault{"lost": {Lose: true}, "504": {Status: http.StatusGatewayTimeout}, "429": {Status: http.StatusTooManyRequests}} {
			t.Run(operation+" "+name, func(t *testing.T) {
				w := newWorld(t, func(o *graph.Options) {
					o.Fault = func(c graph.Call) graph.Fault {
						if c.Operation == operation && c.N == 1 {
							return fault
						}
						return graph.Fault{}
					}
				})
				// Evidence knows of no try before this one, whose lost answers are
				// looked for all the same.
				if err := rollout(fleet.WithFirst(t.Context(), pkg), t, w.client(nordic), "24.09", devices); err != nil {
					t.Fatal(err)
				}
				if got := end(t, w); got != want {
					t.Errorf("end\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestGivenUpRelease kills a publication after its commit and publishes another
// release instead: the first one's content never becomes current.
func TestGivenUpRelease(t *testing.T) {
	for _, at := range []string{"file", "block", "blocklist", "commit"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t, nil)
			publish(t, w.client(nordic), fleet.Stable, "24.07")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.when(func(e event.Event) {
				if e.Name == at {
					cancel()
				}
			})
			app, content := release(t, fleet.Stable, "24.08", 5000)
			if _, err := w.client(nordic).Publish(ctx, app, content); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			w.when(nil)
			state := publish(t, w.client(nordic), fleet.Stable, "24.09")
			files := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID + "/graph.win32LobApp/contentVersions/2/files")["value"].([]any)
			notes := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID)["notes"].(string)
			if state.Version != "24.09" || len(files) != 1 || strings.Contains(notes, "pending") {
				t.Errorf("state %+v, files %v, notes %s", state, files, notes)
			}
			if w.count("unfile") != 1 {
				t.Errorf("the abandoned file was removed %d times", w.count("unfile"))
			}
		})
	}
}

// TestFirst: where evidence knows of no earlier try, a list is not given time to
// show what one left; what it shows is used all the same.
func TestFirst(t *testing.T) {
	took := func(w *world, ctx context.Context) time.Duration {
		app, content := release(t, fleet.Candidate, "24.09", 2000)
		begun := w.clock.Now()
		if _, err := w.client(nordic).Publish(ctx, app, content); err != nil {
			t.Fatal(err)
		}
		if n := len(w.get("/beta/deviceAppManagement/mobileApps")["value"].([]any)); n != 1 {
			t.Errorf("%d apps", n)
		}
		return w.clock.Now().Sub(begun)
	}
	first := fleet.WithFirst(t.Context(), pkg)
	for name, c := range map[string]struct {
		ctx   context.Context
		waits time.Duration
	}{
		"nothing said":        {t.Context(), 3 * time.Second},
		"of another":          {fleet.WithFirst(t.Context(), "acme/other"), 3 * time.Second},
		"said":                {first, 0},
		"said and then tried": {fleet.WithFirst(first, ""), 3 * time.Second},
	} {
		w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
		base := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
		if got := took(w, c.ctx) - took(base, first); got != c.waits {
			t.Errorf("%s: waited %v, want %v", name, got, c.waits)
		}
	}
	w := newWorld(t, nil)
	took(w, t.Context())
	took(w, first)
}
