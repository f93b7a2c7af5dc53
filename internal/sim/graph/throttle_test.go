package graph_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// limited is a world that refuses beyond the published rates, and counts whom.
type limited struct {
	*world
	asked, refused int // of packmill's requests to Graph
	writes         int // with those in batches, where it is counted
	noise          func()
}

func newLimited(t *testing.T) *limited {
	w := &limited{world: newWorld(t, func(o *graph.Options) { o.Lag, o.Limit = 0, graph.Published() })}
	w.direct = true
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.noise != nil {
			w.noise()
		}
		status := &statusWriter{ResponseWriter: rw}
		next.ServeHTTP(status, r)
		w.asked++
		if status.status == http.StatusTooManyRequests {
			w.refused++
		}
	})
	return w
}

// shout makes a number of writes as another application, which change nothing.
func (w *limited) shout(application string, n int) (refused int) {
	token := w.server.TokenOf(nordic, application)
	for range n {
		r := httptest.NewRequest(http.MethodDelete, "/v1.0/groups/none", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	return refused
}

// TestLimits counts what each application, and all together, may ask.
func TestLimits(t *testing.T) {
	w := newLimited(t)
	for _, tt := range []struct {
		application   string
		writes, wants int
	}{
		{"first", 100, 0}, {"first", 5, 5}, {"second", 90, 0}, {"third", 30, 20}, {"second", 1, 1},
	} {
		if got := w.shout(tt.application, tt.writes); got != tt.wants {
			t.Errorf("%s: %d of %d writes were refused, want %d", tt.application, got, tt.writes, tt.wants)
		}
	}
	w.clock.Set(w.clock.Now().Add(20*time.Second - 1))
	if got := w.shout("first", 1); got != 1 {
		t.Error("the window closed too early")
	}
	w.clock.Set(w.clock.Now().Add(1))
	if got := w.shout("first", 101); got != 1 {
		t.Errorf("%d writes were refused in the next window, want 1", got)
	}
	read := func(application string, n int) (refused int) {
		token := w.server.TokenOf(nordic, application)
		for range n {
			r := httptest.NewRequest(http.MethodGet, "/v1.0/groups", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			rec := httptest.NewRecorder()
			w.server.ServeHTTP(rec, r)
			if rec.Code == http.StatusTooManyRequests {
				refused++
				if rec.Header().Get("Retry-After") != "20" {
					t.Errorf("Retry-After %q", rec.Header().Get("Retry-After"))
				}
			}
		}
		return refused
	}
	for _, tt := range []struct {
		application  string
		reads, wants int
	}{{"first", 910, 10}, {"second", 1001, 1}, {"third", 10, 10}} {
		if got := read(tt.application, tt.reads); got != tt.wants {
			t.Errorf("%s: %d of %d reads were refused, want %d", tt.application, got, tt.reads, tt.wants)
		}
	}
}

// TestPaceKeepsWithinLimits lets one client ask in random patterns, as fast as it
// can or with pauses: it is never refused.
func TestPaceKeepsWithinLimits(t *testing.T) {
	asked := 0
	for seed := range uint64(12) {
		w := newLimited(t)
		w.http.Config.Handler = w.countOnly()
		began, pauses := w.clock.Now(), time.Duration(0)
		c := dial(t, msgraph.Options{BaseURL: w.http.URL, Directory: nordic, Token: w.token(nordic), Transport: w.transport(), Clock: w.clock})
		random := rand.New(rand.NewPCG(seed, 1))
		writes, longest := random.Float64(), random.IntN(4000)
		for range 40 {
			for range 1 + random.IntN(40) {
				if err := randomCall(t, c, random, writes); err != nil {
					t.Fatal(err)
				}
			}
			if longest > 0 {
				pause := time.Duration(random.IntN(longest)) * time.Millisecond
				w.clock.Set(w.clock.Now().Add(pause))
				pauses += pause
			}
		}
		if w.refused > 0 {
			t.Errorf("seed %d: %d of %d requests were refused", seed, w.refused, w.asked)
		}
		// A pace that is too careful keeps within limits as well: half of them is
		// the least.
		if took := w.clock.Now().Sub(began) - pauses; took > time.Duration(w.writes)*20*time.Second/50+time.Second {
			t.Errorf("seed %d: %d writes took %v", seed, w.writes, took)
		}
		asked += w.asked
	}
	tellFigure(t, "throttling: %d requests in 12 patterns, none refused", asked)
}

// countOnly serves past the checker, which the random calls mean nothing to.
func (w *limited) countOnly() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		w.asked++
		switch parts := strings.Count(rec.Body.String(), `"status":`); {
		case strings.HasSuffix(r.URL.Path, "/$batch"):
			w.writes += parts
		case r.Method != http.MethodGet:
			w.writes++
		}
		// A part of a batch is refused inside it.
		w.refused += strings.Count(rec.Body.String(), "TooManyRequests")
		for name, values := range rec.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	})
}

// randomCall reads, writes or sends a batch; answers of "not found" are as good
// as any.
func randomCall(t *testing.T, c *msgraph.Client, random *rand.Rand, writes float64) error {
	t.Helper()
	if random.Float64() < 0.05 {
		gone := func(int, string, string) bool { return true }
		var calls []msgraph.BatchCall
		for range 1 + random.IntN(45) {
			calls = append(calls, msgraph.BatchCall{Method: http.MethodDelete, URL: "/groups/none", Settled: func(status int, code, message string) bool {
				return status != http.StatusTooManyRequests && gone(status, code, message)
			}})
		}
		return c.Batch(t.Context(), "v1.0", calls)
	}
	if random.Float64() > writes {
		return c.Call(t.Context(), msgraph.Final, http.MethodGet, "/v1.0/groups?$top=1", nil, nil)
	}
	err := c.Call(t.Context(), msgraph.Final, http.MethodDelete, "/v1.0/groups/none", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "404") {
		return fmt.Errorf("a group that is none was deleted: %w", err)
	}
	return nil
}

// TestNoisyNeighbour lets another application use up what the tenant grants to
// all: packmill is refused and waits, and nothing is lost or made twice.
func TestNoisyNeighbour(t *testing.T) {
	w := newLimited(t)
	random := rand.New(rand.NewPCG(1, 2))
	loud := 0
	w.noise = func() {
		if random.Float64() < 0.08 {
			// Two applications: one alone cannot use up what all may.
			loud += w.shout("loud", 100) + w.shout("louder", 100)
		}
	}
	const packages = 6
	began := w.clock.Now()
	c := w.client(nordic)
	devices := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	for i := range packages {
		app, content := release(t, fleet.Stable, "24.09", 1500)
		app.Package = fleet.PackageID(fmt.Sprintf("many/package-%d", i))
		must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
		group := must[string](t)(c.Group(t.Context(), fmt.Sprintf("wave-%d", i), devices))
		if err := c.Assign(t.Context(), app.Package, fleet.Stable, []fleet.Target{{Intent: "required", Group: group}}); err != nil {
			t.Fatal(err)
		}
	}
	w.noise = nil
	w.clock.Set(w.clock.Now().Add(time.Minute))
	if w.refused == 0 || loud == 0 {
		t.Errorf("%d refusals of packmill, %d of the others: nobody was in the way", w.refused, loud)
	}
	if w.count("create") != packages || w.count("commit") != packages || len(w.ours()) != packages {
		t.Errorf("%d objects, %d commits, %d packages", w.count("create"), w.count("commit"), packages)
	}
	fresh := w.client(nordic)
	for i := range packages {
		id := fleet.PackageID(fmt.Sprintf("many/package-%d", i))
		state := must[fleet.AppState](t)(fresh.Observe(t.Context(), id, fleet.Stable))
		if state.Version != "24.09" || len(state.Targets) != 1 || len(state.Duplicates) != 0 || len(w.members(state.Targets[0].Group)) != len(devices) {
			t.Errorf("%s: %+v", id, state)
		}
	}
	tellFigure(t, "throttling: %d of %d requests were refused in %v of the virtual clock", w.refused, w.asked, w.clock.Now().Sub(began).Round(time.Second))
}
