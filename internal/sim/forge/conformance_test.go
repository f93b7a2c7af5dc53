package forge

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/forge/conformance"
	"github.com/packmill/packmill/internal/testreq"
	"github.com/packmill/packmill/internal/transport"
)

// start is when the virtual clock of these tests begins.
var start = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

func users() []User {
	return []User{
		{Login: "packmill[bot]", Token: "token-of-bot", ID: 10, Bot: true, Role: Write},
		{Login: "aino", Name: "Aino Virtanen", Token: "token-of-aino", ID: 11, Role: Write},
		{Login: "bert", Token: "token-of-bert", ID: 12, Role: Admin},
		{Login: "carla", Token: "token-of-carla", ID: 13, Role: Read},
	}
}

// A world is a forge with a clock and what it told.
type world struct {
	testing.TB
	clock  *fleet.ManualClock
	o      Options
	server *Server
	mu     sync.Mutex
	events []event.Event
}

// newWorld opens a forge with one commit on main. change may adjust options.
func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	testreq.Program(t, "git")
	w := &world{TB: t, clock: fleet.NewManualClock(start)}
	w.o = Options{
		Dir: t.TempDir(), Owner: "operator", Name: "fleet", Users: users(), Protected: Protection{Reviews: 1, DismissStale: true},
		Now: w.clock.Now, Observer: func(e event.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	if change != nil {
		change(&w.o)
	}
	w.reopen()
	repo, err := gitrepo.Open(w.server.GitDir())
	if err != nil {
		t.Fatal(err)
	}
	id, err := repo.Commit(t.Context(), gitrepo.CommitSpec{
		Files: map[string][]byte{"README.md": []byte("# Fleet\n")}, Message: "Begin", Author: fleet.Identity{Name: "Bert", Email: "bert@example.com"}, When: start,
	})
	if err == nil {
		err = repo.SetBranch("main", "", id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// reopen starts the server anew from disk, as after a kill.
func (w *world) reopen() {
	w.Helper()
	s, err := New(w.o)
	if err != nil {
		w.Fatal(err)
	}
	w.server = s
}

// serve gives the forge an address for as long as the test runs.
func (w *world) serve(h http.Handler) string {
	srv := httptest.NewServer(h)
	w.Cleanup(srv.Close)
	return srv.URL
}

func (w *world) transport() *transport.Client {
	return transport.New(transport.Options{Clock: w.clock, AllowLoopback: true})
}

func TestConformance(t *testing.T) {
	w := newWorld(t, nil)
	c := newContract(t, w.server)
	base := w.serve(c)
	conformance.Run(t, conformance.Target{
		BaseURL: base + w.server.APIPath(), GitURL: base + w.server.GitPath(), Owner: "operator", Name: "fleet",
		Bot:    conformance.Account{Login: "packmill[bot]", Token: "token-of-bot"},
		Author: conformance.Account{Login: "aino", Token: "token-of-aino"},
		Other:  conformance.Account{Login: "bert", Token: "token-of-bert"},
		Reader: conformance.Account{Login: "carla", Token: "token-of-carla"},
		HTTP:   w.transport(), Clock: w.clock,
	})
	t.Logf("operations the client has no use for: %q", c.unseen())
}
