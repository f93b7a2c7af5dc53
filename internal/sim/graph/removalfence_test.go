package graph_test

import (
	"context"
	"errors"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// removal is one way to take a package away: what brings it, the object of it that
// another run changes, and the text there that holds packmill's line.
type removal struct {
	world  func(t *testing.T) *world
	bring  func(w *world) (at, field string)
	remove func(ctx context.Context, w *world, generation int) error
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func removals() map[string]removal {
	one := func(w *world, collection, field string) (string, string) {
		w.t.Helper()
		all := w.get(collection)["value"].([]any)
		if len(all) != 1 {
			w.t.Fatalf("%d in %s", len(all), collection)
		}
		return collection + "/" + all[0].(map[string]any)["id"].(string), field
	}
	return map[string]removal{
		"app": {
			func(t *testing.T) *world { return newWorld(t, nil) },
			func(w *world) (string, string) {
				publish(w.t, w.client(nordic), fleet.Stable, "24.09")
				group := must[string](w.t)(w.client(nordic).Group(w.t.Context(), "pilot", nil))
				assign(w.t, w.client(nordic), fleet.Stable, fleet.Target{Intent: "required", Group: group})
				return one(w, appsAt, "notes")
			},
			func(ctx context.Context, w *world, generation int) error {
				return w.client(nordic).Remove(ctx, pkg, generation)
			},
		},
		"configuration": {
			func(t *testing.T) *world { return newWorld(t, nil) },
			func(w *world) (string, string) {
				configure(w.t, w.policies(nordic), configuration(w.t, fleet.Stable, "1.0", fleet.PartCatalogPolicy))
				group := must[string](w.t)(w.client(nordic).Group(w.t.Context(), "pilot", nil))
				check(w.t, w.policies(nordic).Assign(w.t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "required", Group: group}}))
				return one(w, "/beta/deviceManagement/configurationPolicies", "description")
			},
			func(ctx context.Context, w *world, generation int) error {
				return w.policies(nordic).Remove(ctx, baseline, generation)
			},
		},
		"update": {
			func(t *testing.T) *world { return patchWorld(t, nil) },
			func(w *world) (string, string) {
				c := w.updates(nordic)
				must[fleet.AppState](w.t)(c.PublishUpdate(w.t.Context(), patchApp(fleet.Candidate)))
				check(w.t, c.AssignUpdate(w.t.Context(), patchID, fleet.Candidate, to(must[string](w.t)(w.client(nordic).Group(w.t.Context(), "pilot", nil)))))
				return one(w, "/beta/deviceManagement/windowsQualityUpdatePolicies", "description")
			},
			func(ctx context.Context, w *world, generation int) error {
				return w.updates(nordic).RemoveUpdate(ctx, patchID, generation)
			},
		},
	}
}

// changes are the requests but reads and those for a token that a function makes, on clients that may
// send several at once.
func (w *world) changes(f func()) int {
	var n atomic.Int64
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token") {
			n.Add(1)
		}
		next.ServeHTTP(rw, r)
	})
	defer func() { w.http.Config.Handler = next }()
	f()
	return int(n.Load())
}

// listedAt is the object at a path as its collection lists it, nil when it is gone:
// not every collection gives its objects one by one.
func (w *world) listedAt(at string) map[string]any {
	w.t.Helper()
	for _, v := range w.get(path.Dir(at))["value"].([]any) {
		if o := v.(map[string]any); o["id"] == path.Base(at) {
			return o
		}
	}
	return nil
}

// renew has an object say that a later change brought it, as another run does.
func (w *world) renew(at, field string) {
	w.t.Helper()
	object := w.listedAt(at)
	line := regexp.MustCompile(`,"generation":\d+`).ReplaceAllString(object[field].(string), "")
	line = strings.Replace(line, `"package":`, `"generation":9,"package":`, 1)
	body := map[string]any{field: line}
	method := http.MethodPatch
	switch kind, _ := object["@odata.type"].(string); {
	case field == "notes":
		body["@odata.type"] = kind
	case strings.Contains(at, "configurationPolicies"):
		method = http.MethodPut
		for _, name := range []string{"name", "platforms", "technologies"} {
			body[name] = object[name]
		}
		body["settings"] = w.get(at + "/settings")["value"]
	}
	w.do(method, at, body)
}

// TestRemovalOvertaken: what another run brings back stays, whether that shows
// before a removal begins or only when it comes to the deletion.
func TestRemovalOvertaken(t *testing.T) {
	for name, r := range removals() {
		w := r.world(t)
		r.bring(w)
		last := w.changes(func() { ok(t, r.remove(t.Context(), w, 3)) }) // is the deletion
		for _, late := range []bool{false, true} {
			w := r.world(t)
			at, field := r.bring(w)
			ctx, write := t.Context(), 0
			if !late {
				w.renew(at, field)
			} else {
				ctx = fleet.While(ctx, func() error {
					if write++; write == last-1 {
						w.renew(at, field)
					}
					return nil
				})
			}
			var err error
			n := w.changes(func() { err = r.remove(ctx, w, 3) })
			if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "is of generation 9, the caller knows 3") {
				t.Errorf("%s, late %t: %v", name, late, err)
			}
			if !late && n != 0 {
				t.Errorf("%s: %d writes", name, n)
			}
			if w.listedAt(at) == nil {
				t.Errorf("%s, late %t: it is gone", name, late)
			}
			ok(t, r.remove(t.Context(), w, 9))
			if w.listedAt(at) != nil {
				t.Errorf("%s, late %t: the next one left it", name, late)
			}
		}
	}
}

// TestRemovalFenced: after the write at which it is over nothing more is written,
// and it is not tried again.
func TestRemovalFenced(t *testing.T) {
	over := errors.New("the lease has ended")
	for name, r := range removals() {
		for cut := 0; ; cut++ {
			w := r.world(t)
			at, _ := r.bring(w)
			asked := 0
			ctx := fleet.While(t.Context(), func() error {
				if asked++; asked > cut {
					return over
				}
				return nil
			})
			var err error
			n := w.changes(func() { err = r.remove(ctx, w, 3) })
			if err == nil {
				if cut < 2 {
					t.Errorf("%s: it took %d writes alone", name, cut)
				}
				break
			}
			if !errors.Is(err, over) || n != cut {
				t.Errorf("%s: %d writes of %d: %v", name, n, cut, err)
			}
			if w.listedAt(at) == nil {
				t.Errorf("%s: over after %d writes, and gone", name, cut)
			}
		}
	}
}
