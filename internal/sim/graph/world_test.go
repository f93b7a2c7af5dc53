package graph_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

const (
	nordic = "7f6e1c52-0000-4000-8000-000000000001"
	baltic = "7f6e1c52-0000-4000-8000-000000000002"
	pkg    = fleet.PackageID("igor-pavlov/7-zip")
)

// monday is 14:00 in Helsinki, the hour of the weekly rollout.
var monday = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A world is a running simulator and what tests need around it.
type world struct {
	t      testing.TB
	clock  *fleet.ManualClock
	opts   graph.Options
	server *graph.Server
	http   *httptest.Server
	log    *bytes.Buffer

	direct  bool     // clients made from now on have no network between
	checker *checker // every exchange is held against Microsoft's description

	mu     sync.Mutex
	events []event.Event
	on     func(event.Event)
	fault  func(graph.Call) graph.Fault
}

// newWorld starts a simulator with two tenants; change may alter its options.
func newWorld(t testing.TB, change func(*graph.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: fleet.NewManualClock(monday.Add(-72 * time.Hour)), log: &bytes.Buffer{}}
	w.opts = graph.Options{
		Dir: t.TempDir(), Now: w.clock.Now, Seed: 7, Lag: 2,
		Tenants:  []graph.Tenant{{Directory: nordic, Devices: devices(10)}, {Directory: baltic, Devices: devices(3)}},
		Observer: w.observe, Fault: w.faultOf,
	}
	if change != nil {
		change(&w.opts)
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	server, err := graph.New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checker = newChecker(w.t, server)
	w.server, w.http = server, httptest.NewServer(w.checker)
}

func (w *world) stop() {
	w.http.Close()
	if err := w.server.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) observe(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if w.on != nil {
		w.on(e)
	}
}

// when has a function called at every event from now on.
func (w *world) when(f func(event.Event)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = f
}

// count is how often an event was told.
func (w *world) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

func (w *world) transport() *transport.Client {
	var base http.RoundTripper = &http.Transport{}
	if w.direct {
		base = direct{func() http.Handler { return w.http.Config.Handler }}
	}
	return transport.New(transport.Options{Clock: w.clock, Transport: listener{base, spoken}})
}

// past asks the simulator itself, past the checker: for requests that break the
// contract.
func (w *world) past(method, path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

// client is a new client of a tenant, as a new process would make one.
func (w *world) client(directory string) *intune.Client {
	w.t.Helper()
	c := dial(w.t, msgraph.Options{
		BaseURL: w.http.URL, Directory: directory, Token: w.token(directory), Transport: w.transport(), Clock: w.clock,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	return intune.New(c, intune.Options{TempDir: w.t.TempDir(), BlockSize: 1000})
}

// dial is a connection to a tenant.
func dial(t testing.TB, o msgraph.Options) *msgraph.Client {
	t.Helper()
	return must[*msgraph.Client](t)(msgraph.New(o))
}

func (w *world) token(directory string) *msgraph.ClientCredentials {
	return &msgraph.ClientCredentials{
		Endpoint: w.http.URL + "/" + directory + "/oauth2/v2.0/token", ClientID: "packmill", Secret: "s3cret", HTTP: w.transport(), Clock: w.clock,
	}
}

func devices(n int) []graph.Device {
	var out []graph.Device
	for i := range n {
		out = append(out, graph.Device{
			Name: fmt.Sprintf("PC-%04d", i), OSVersion: "10.0.22631", Manufacturer: "Contoso", Model: "L14", Department: "Finance", Zone: "Europe/Helsinki",
		})
	}
	return out
}

// release is an app with content of about the given size.
func release(t testing.TB, slot, version string, size int) (fleet.App, fleet.Content) {
	t.Helper()
	payload := bytes.Repeat([]byte(version+" "), size/(len(version)+1)+1)
	data := container(t, map[string][]byte{"7zip.msi": payload})
	app := fleet.App{
		Package: pkg, Slot: slot, Name: "7-Zip", Publisher: "Igor Pavlov", Version: version,
		Artifact: fleet.DigestOf([]byte("manifest " + version)),
		File:     fleet.BuiltFile{Installer: "x64", Name: "7zip.intunewin", Digest: fleet.DigestOf(data), Size: int64(len(data))},
		Installer: fleet.Installer{
			Platform: "windows", Arch: "x64", Type: "msi", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 60,
			Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}},
		},
		Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: productCode(version), ProductVersion: version}},
	}
	return app, opener(data)
}

func productCode(version string) string {
	id := fleet.DeriveID("product", version)
	return fmt.Sprintf("{%s-%s-%s-%s-%s}", id[0:8], id[8:12], id[12:16], id[16:20], id[20:32])
}

func opener(data []byte) fleet.Content {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func container(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	p := intunewin.Package{Name: "test"}
	for name, data := range files {
		p.Entries = append(p.Entries, intunewin.BytesEntry(name, data))
		p.SetupFile = cmp.Or(p.SetupFile, name)
	}
	if files["install.cmd"] != nil {
		p.SetupFile = "install.cmd"
	}
	var buf writerAt
	info, err := intunewin.Write(t.Context(), &buf, p)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:info.Size]
}

type writerAt []byte

// WriteAt writes into memory.
func (w *writerAt) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(*w) {
		*w = append(*w, make([]byte, end-len(*w))...)
	}
	return copy((*w)[off:], p), nil
}

// must is v, or the end of the test.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func publish(t testing.TB, c *intune.Client, slot, version string) fleet.AppState {
	t.Helper()
	app, content := release(t, slot, version, 5000)
	state, err := c.Publish(t.Context(), app, content)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func ids(devices []fleet.Device) []string {
	var out []string
	for _, d := range devices {
		out = append(out, d.ID)
	}
	return out
}

func states(t testing.TB, c *intune.Client, slot string) map[string]int {
	t.Helper()
	list, err := c.Statuses(t.Context(), pkg, slot)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, s := range list {
		out[s.State+" "+s.Version]++
	}
	return out
}

func assign(t testing.TB, c *intune.Client, slot string, targets ...fleet.Target) {
	t.Helper()
	if err := c.Assign(context.WithoutCancel(t.Context()), pkg, slot, targets); err != nil {
		t.Fatal(err)
	}
}

// get reads a resource as somebody else in the tenant would.
func (w *world) get(path string) map[string]any { return w.do(http.MethodGet, path, nil) }

// do makes a request as somebody else in the tenant would, again while the
// simulator says that the object is not there yet.
func (w *world) do(method, path string, body any) map[string]any {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	for range 5 {
		req, err := http.NewRequest(method, w.http.URL+path, bytes.NewReader(data))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode >= 400 && resp.StatusCode != http.StatusNotFound {
			w.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
		}
		var out map[string]any
		if resp.StatusCode < 400 {
			if len(answer) > 0 {
				if err := json.Unmarshal(answer, &out); err != nil {
					w.t.Fatal(err)
				}
			}
			return out
		}
	}
	w.t.Fatalf("%s %s: not found", method, path)
	return nil
}
