package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

func TestThrottling(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Throttle = 3 })
	before := w.clock.Now()
	c := w.client(nordic)
	devices := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	if err := rollout(t.Context(), t, c, "24.09", devices); err != nil {
		t.Fatal(err)
	}
	if !w.clock.Now().After(before) {
		t.Error("nobody waited")
	}
	if got := states(t, c, fleet.Candidate); got["pending 24.09"] != 0 && len(got) != 1 {
		t.Errorf("statuses %v", got)
	}
}

// TestPublishedLimits runs many publications against a server that enforces the
// published rate: the client's own pace keeps it from ever being refused.
func TestPublishedLimits(t *testing.T) {
	var refused atomic.Int32
	w := newWorld(t, func(o *graph.Options) { o.Limit = graph.Published() })
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		counting := &statusWriter{ResponseWriter: rw}
		next.ServeHTTP(counting, r)
		if counting.status == http.StatusTooManyRequests {
			refused.Add(1)
		}
	})
	before := w.clock.Now()
	c := w.client(nordic)
	for i := range 25 {
		app, content := release(t, fleet.Stable, "24.09", 500)
		app.Package = fleet.PackageID(fmt.Sprintf("many/package-%02d", i))
		if _, err := c.Publish(t.Context(), app, content); err != nil {
			t.Fatal(err)
		}
	}
	if took := w.clock.Now().Sub(before); refused.Load() > 0 || took < 20*time.Second {
		t.Errorf("%d requests were refused; 25 publications took %v of the virtual clock", refused.Load(), took)
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// TestPaging has more of everything than a page holds, among it apps of other
// makers with the same name, and one whose notes only look like a marker.
func TestPaging(t *testing.T) {
	t.Run("as asked for", func(t *testing.T) { paging(t, graph.Pitfalls{}) })
	t.Run("short", func(t *testing.T) { paging(t, graph.Pitfalls{ShortPages: true}) })
}

func paging(t *testing.T, pitfalls graph.Pitfalls) {
	w := newWorld(t, func(o *graph.Options) {
		o.Lag, o.Pitfalls = 0, pitfalls
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(1050)}}
	})
	foreign := map[string]any{
		"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "7-Zip", "publisher": "Igor Pavlov", "fileName": "a.intunewin", "setupFilePath": "a.msi",
		"installCommandLine": "a", "uninstallCommandLine": "b", "notes": "packmill: is what made the other one",
		"rules": []any{map[string]any{"@odata.type": "#microsoft.graph.win32LobAppFileSystemRule", "ruleType": "detection", "path": "c:\\", "fileOrFolderName": "a", "operationType": "exists"}},
	}
	for range 30 {
		w.do(http.MethodPost, "/beta/deviceAppManagement/mobileApps", foreign)
	}
	ours := publish(t, w.client(nordic), fleet.Stable, "24.08")
	for range 30 {
		w.do(http.MethodPost, "/beta/deviceAppManagement/mobileApps", foreign)
	}
	if again := publish(t, w.client(nordic), fleet.Stable, "24.09"); again.ID != ours.ID {
		t.Errorf("a second object was made: %s beside %s", again.ID, ours.ID)
	}
	c := w.client(nordic)
	inventory := must[[]fleet.Device](t)(c.Inventory(t.Context()))
	if len(inventory) != 1050 {
		t.Fatalf("%d devices", len(inventory))
	}
	group := must[string](t)(c.Group(t.Context(), "all", ids(inventory)))
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: group})
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, w.client(nordic), fleet.Stable), map[string]int{"installed 24.09": 1050}; !maps.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	// A smaller set removes, and finds the group again.
	if again := must[string](t)(w.client(nordic).Group(t.Context(), "all", ids(inventory[:1010]))); again != group {
		t.Errorf("a second group was made: %s beside %s", again, group)
	}
	members := w.members(group)
	want := ids(inventory[:1010])
	slices.Sort(want)
	if !slices.Equal(members, want) {
		t.Errorf("%d members, want %d", len(members), len(want))
	}
}

// members reads a group's members page by page.
func (w *world) members(group string) []string {
	var out []string
	path := "/v1.0/groups/" + group + "/members"
	for path != "" {
		page := w.get(path)
		for _, m := range page["value"].([]any) {
			out = append(out, m.(map[string]any)["id"].(string))
		}
		next, _ := page["@odata.nextLink"].(string)
		path = strings.TrimPrefix(next, w.http.URL)
	}
	slices.Sort(out)
	return out
}

// TestSignatureEnds lets the upload address end in the middle of an upload: once
// with a client that sees it coming, once with one whose clock is behind.
func TestSignatureEnds(t *testing.T) {
	for name, behind := range map[string]bool{"seen": false, "by surprise": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) { o.SASLifetime = 10 * time.Minute })
			server := fleet.NewManualClock(w.clock.Now())
			if behind {
				w.opts.Now = server.Now
				w.stop()
				w.start()
			}
			w.when(func(e event.Event) {
				if e.Name == "block" {
					server.Set(server.Now().Add(4 * time.Minute))
					if !behind {
						w.clock.Set(w.clock.Now().Add(4 * time.Minute))
					}
				}
			})
			if state := publish(t, w.client(nordic), fleet.Stable, "24.09"); state.Version != "24.09" {
				t.Errorf("state %+v", state)
			}
			if w.count("renew") == 0 || w.count("commit") != 1 || w.count("file") != 1 {
				t.Errorf("%d renewals, %d commits, %d files", w.count("renew"), w.count("commit"), w.count("file"))
			}
		})
	}
}

// TestResumedUpload sends only the missing blocks where the storage lists those
// it has, and all of them where it does not.
func TestResumedUpload(t *testing.T) {
	for readable, want := range map[bool]int{true: 6, false: 8} {
		w := newWorld(t, func(o *graph.Options) { o.ReadableSAS = readable })
		ctx, cancel := context.WithCancel(t.Context())
		w.when(func(e event.Event) {
			if n := w.countLocked("block"); n == 2 {
				cancel()
			}
		})
		app, content := release(t, fleet.Stable, "24.09", 5000)
		if _, err := w.client(nordic).Publish(ctx, app, content); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		w.when(nil)
		if _, err := w.client(nordic).Publish(t.Context(), app, content); err != nil {
			t.Fatal(err)
		}
		if got := w.count("block"); got != want || w.count("file") != 1 {
			t.Errorf("readable %v: %d blocks were sent, want %d; %d files", readable, got, want, w.count("file"))
		}
		cancel()
	}
}

func (w *world) countLocked(name string) int {
	n := 0
	for _, e := range w.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// TestDuplicates loses the answer to a creation while lists lag: two objects
// bear one marker. Every later client uses the same one and tells of the other,
// which never held anything: the next publication removes it.
func TestDuplicates(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.Lag, o.ListLag = 0, 40
		o.Fault = func(c graph.Call) graph.Fault { return graph.Fault{Lose: c.Operation == "app.create" && c.N == 1} }
	})
	first := publish(t, w.client(nordic), fleet.Stable, "24.09")
	seen := 0
	for range 50 { // until lists have settled
		seen = len(w.get("/beta/deviceAppManagement/mobileApps")["value"].([]any))
	}
	if seen != 2 {
		t.Fatalf("%d objects were made, want two", seen)
	}
	for range 2 {
		state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable))
		if state.ID != first.ID || len(state.Duplicates) != 1 || !strings.Contains(w.log.String(), "several app objects") {
			t.Errorf("state %+v, published as %s", state, first.ID)
		}
	}
	if state := publish(t, w.client(nordic), fleet.Stable, "24.10"); state.ID != first.ID || len(state.Duplicates) != 0 {
		t.Errorf("the next release went to %+v", state)
	}
	if apps := w.get("/beta/deviceAppManagement/mobileApps")["value"].([]any); len(apps) != 1 || w.count("delete") != 1 {
		t.Errorf("%d objects are left", len(apps))
	}
}

// TestWithdrawalReachesDuplicates has two published objects with one marker: the
// older one is used, and neither is assigned after a withdrawal.
func TestWithdrawalReachesDuplicates(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	all := fleet.Target{Intent: "required", Group: "all devices"}
	first := publish(t, c, fleet.Stable, "24.09")
	assign(t, c, fleet.Stable, all)
	w.clock.Set(w.clock.Now().Add(time.Minute))
	app, content := release(t, fleet.Stable, "24.08", 3000)
	app.Package = "many/other"
	other := must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	if err := c.Assign(t.Context(), app.Package, fleet.Stable, []fleet.Target{all}); err != nil {
		t.Fatal(err)
	}
	const apps = "/beta/deviceAppManagement/mobileApps/"
	notes := strings.ReplaceAll(w.get(apps + first.ID)["notes"].(string), first.ID, other.ID) // as two runners that overtook each other make them
	w.do(http.MethodPatch, apps+other.ID, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": notes})
	c = w.client(nordic)
	if state := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Stable)); state.ID != first.ID || !slices.Equal(state.Duplicates, []string{other.ID}) {
		t.Fatalf("state %+v", state)
	}
	assign(t, c, fleet.Stable)
	for _, id := range []string{first.ID, other.ID} {
		if left := w.get(apps + id + "/assignments")["value"].([]any); len(left) != 0 {
			t.Errorf("%s is still assigned: %v", id, left)
		}
	}
}

// TestTokenOfAnotherTenant proves that nothing is sent with it.
func TestTokenOfAnotherTenant(t *testing.T) {
	w := newWorld(t, nil)
	var asked atomic.Int32
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/beta") || strings.HasPrefix(r.URL.Path, "/v1.0") {
			asked.Add(1)
		}
		next.ServeHTTP(rw, r)
	})
	for name, token := range map[string]msgraph.TokenSource{
		"another tenant": w.token(baltic), "static": msgraph.Static(w.server.Token(baltic)), "no token": msgraph.Static("abc"),
		"fails": msgraph.TokenFunc(func(context.Context) (string, error) { return "", errors.New("no secret") }),
	} {
		c := intune.New(dial(t, msgraph.Options{BaseURL: w.http.URL, Directory: nordic, Token: token, Transport: w.transport(), Clock: w.clock}), intune.Options{})
		app, content := release(t, fleet.Stable, "24.09", 5000)
		if _, err := c.Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Refused {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

// TestTokenEnds lets the access token end while work goes on.
func TestTokenEnds(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	publish(t, c, fleet.Stable, "24.08")
	w.clock.Set(w.clock.Now().Add(3 * time.Hour))
	publish(t, c, fleet.Stable, "24.09")
	other := w.client(baltic)
	if state := must[fleet.AppState](t)(other.Observe(t.Context(), pkg, fleet.Stable)); state.ID != "" {
		t.Errorf("a tenant sees another's app: %+v", state)
	}
}

// TestAlteredContent proves that bytes other than the artifact's are never
// committed, whenever they change.
func TestAlteredContent(t *testing.T) {
	for name, pass := range map[string]int{"before": 1, "while uploading": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			app, content := release(t, fleet.Stable, "24.09", 5000)
			r := must[io.ReadCloser](t)(content())
			data := must[[]byte](t)(io.ReadAll(r))
			source := func() (io.ReadCloser, error) {
				m := &mutable{Reader: bytes.NewReader(data), data: slices.Clone(data)}
				if pass == 1 {
					m.flip()
					m.Reader = bytes.NewReader(m.data)
				}
				w.when(func(e event.Event) {
					if e.Name == "file" { // the container was verified; now the upload reads it
						m.flip()
					}
				})
				return m, nil
			}
			_, err := w.client(nordic).Publish(t.Context(), app, source)
			if fleet.KindOf(err) != fleet.Refused || w.count("commit") != 0 || w.count("blocklist") != 0 {
				t.Errorf("error %v, %d block lists, %d commits", err, w.count("blocklist"), w.count("commit"))
			}
			if pass == 1 && w.count("create") != 0 {
				t.Error("an object was made for content that was never right")
			}
			w.when(nil)
			if state := publish(t, w.client(nordic), fleet.Stable, "24.09"); state.Version != "24.09" {
				t.Errorf("state %+v", state)
			}
		})
	}
}

// mutable is content that somebody changes underneath.
type mutable struct {
	*bytes.Reader
	mu   sync.Mutex
	data []byte
}

func (m *mutable) flip() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data[len(m.data)/2] ^= 1
}

// ReadAt reads what the content is now.
func (m *mutable) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.NewReader(m.data).ReadAt(p, off)
}

// Close does nothing.
func (m *mutable) Close() error { return nil }

// TestRejectedFile lets the service turn down committed files.
func TestRejectedFile(t *testing.T) {
	var times atomic.Int32
	times.Store(1)
	w := newWorld(t, func(o *graph.Options) {
		o.Fault = func(c graph.Call) graph.Fault {
			if c.Operation == "file.commit" && c.N <= int(times.Load()) {
				return graph.Fault{State: "commitFileFailed"}
			}
			return graph.Fault{}
		}
	})
	if state := publish(t, w.client(nordic), fleet.Stable, "24.08"); state.Version != "24.08" || w.count("file") != 2 {
		t.Errorf("state %+v after %d files", state, w.count("file"))
	}
	times.Store(100)
	app, content := release(t, fleet.Stable, "24.09", 5000)
	if _, err := w.client(nordic).Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Stalled {
		t.Errorf("error %v", err)
	}
	if state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable)); state.Version != "24.08" {
		t.Errorf("the slot moved to %+v", state)
	}
	times.Store(0)
	publish(t, w.client(nordic), fleet.Stable, "24.09")
}

func TestPublishTwiceWritesNothing(t *testing.T) {
	w := newWorld(t, nil)
	first := publish(t, w.client(nordic), fleet.Stable, "24.09")
	n := len(w.events)
	if again := publish(t, w.client(nordic), fleet.Stable, "24.09"); !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, then %+v", first, again)
	}
	if len(w.events) != n {
		t.Errorf("events %v", w.events[n:])
	}
	// Another description is written without another upload.
	app, content := release(t, fleet.Stable, "24.09", 5000)
	app.Description, app.Generation = "Packs files", 4
	state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), app, content))
	if w.count("block") != 6 || w.count("patch") != 2 || state.Generation != 4 {
		t.Errorf("%d blocks, %d patches, %+v", w.count("block"), w.count("patch"), state)
	}
	app.Generation = 3
	if _, err := w.client(nordic).Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an older generation was let through: %v", err)
	}
}

// TestConcurrentPublications uses one client from many goroutines.
func TestConcurrentPublications(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	var wg sync.WaitGroup
	for i := range 6 {
		app, content := release(t, fleet.Stable, "24.09", 3000)
		app.Package = fleet.PackageID(fmt.Sprintf("many/package-%d", i))
		wg.Go(func() {
			if _, err := c.Publish(t.Context(), app, content); err != nil {
				t.Errorf("%s: %v", app.Package, err)
			}
		})
	}
	wg.Wait()
	if w.count("create") != 6 || w.count("commit") != 6 {
		t.Errorf("%d objects, %d commits", w.count("create"), w.count("commit"))
	}
}
