package factory_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

// A scale is how large a world of simulated tenants is, and how it behaves.
type scale struct {
	tenants, devices, packages int
	large, largePackages       int  // tenants with more packages than the others, of the last by name
	real                       bool // the machine's clock, evidence in git
	latency                    time.Duration
	change                     func(*graph.Options)
}

// A scaleWorld is a factory over real clients of a simulated service with many
// tenants, in which a wave of really built releases has started.
type scaleWorld struct {
	*factory.Factory
	t        testing.TB
	build    *buildWorld
	clock    *fleet.ManualClock // nil for the machine's
	rec      *fleet.Record
	memory   *memoryLedger
	repo     *fleet.Repository
	server   *graph.Server
	web      *httptest.Server
	tenants  []fleet.TenantID
	packages []fleet.PackageID
	counts   map[fleet.TenantID]*traffic
	served   atomic.Int64  // requests that the service answered
	slow     atomic.Int64  // nanoseconds that the service takes to answer
	wrote    func(n int64) // told of each write of a tenant dialled from now on, before it is sent
}

// A freshToken never runs out, however far a test moves the clock.
type freshToken struct {
	server    *graph.Server
	directory string
}

func (f freshToken) Token(context.Context) (string, error) { return f.server.Token(f.directory), nil }

// traffic is what one tenant's client sent.
type traffic struct {
	base               http.RoundTripper
	reads, writes      atomic.Int64  // of Graph
	blobs, lost, later atomic.Int64  // of the storage; without an answer; 429
	wrote              func(n int64) // told of each write before it is sent
}

func (c *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/blob"):
		c.blobs.Add(1)
	case r.Method == http.MethodGet || strings.Contains(r.URL.Path, "/reports/"):
		c.reads.Add(1)
	default:
		n := c.writes.Add(1)
		if c.wrote != nil {
			c.wrote(n)
		}
	}
	resp, err := c.base.RoundTrip(r)
	if err != nil {
		c.lost.Add(1)
	} else if resp.StatusCode == http.StatusTooManyRequests {
		c.later.Add(1)
	}
	return resp, err
}

func (w *scaleWorld) directory(id fleet.TenantID) string {
	return w.repo.Tenants[id].Intune.Directory
}

func newScaleWorld(t testing.TB, s scale) *scaleWorld {
	t.Helper()
	key := signer(t)
	b := newBuildWorld(t, key)
	b.repo.Operator.Trust = b.trust
	w := &scaleWorld{t: t, build: b, repo: b.repo, counts: map[fleet.TenantID]*traffic{}}
	own := *b.Factory
	w.Factory = &own
	if err := b.Git.SetBranch("main", "", b.repo.Commit); err != nil {
		t.Fatal(err)
	}
	w.Clock = fleet.SystemClock{}
	if !s.real {
		w.clock = fleet.NewManualClock(buildTime)
		w.Clock = w.clock
	}
	w.rec = &fleet.Record{PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	w.releases(max(s.packages, s.largePackages))
	w.serve(s)
	w.wave(theCycle, theWave, s)
	w.Parallel = 512
	w.HashKey = func(fleet.TenantID) ([]byte, error) { return []byte("key"), nil }
	w.memory = &memoryLedger{fate: &fate{}, rec: w.rec}
	w.Ledger = w.memory
	if s.real {
		w.Ledger = realLedger(t, key)
	}
	w.slow.Store(int64(s.latency))
	return w
}

// realLedger keeps evidence in a clone of a bare repository, to which every
// batch is pushed.
func realLedger(t testing.TB, key *signing.Key) factory.Ledger {
	t.Helper()
	dir := t.TempDir()
	origin, err := gitrepo.Init(filepath.Join(dir, "origin.git"), true)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := origin.Commit(t.Context(), gitrepo.CommitSpec{Files: map[string][]byte{"x": []byte("x")}, Message: "x", Author: someone, When: buildTime})
	if err == nil {
		err = origin.SetBranch("main", "", commit)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, ledger := clonedLedger(t, origin.Dir(), filepath.Join(dir, "clone"), key, fleet.SystemClock{})
	return ledger
}

var someone = fleet.Identity{Name: "a", Email: "a@example.com"}

// clonedLedger clones a repository into a folder, and keeps evidence there.
func clonedLedger(t testing.TB, origin, dir string, key *signing.Key, clock fleet.Clock) (*gitrepo.Repo, *evidence.Ledger) {
	t.Helper()
	clone, err := gitrepo.Clone(t.Context(), origin, dir, gitrepo.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	trust := fleet.Trust{Approvals: 1, Keys: map[string]fleet.TrustedKey{"ours": {PEM: key.PublicPEM(), Uses: []string{signing.UseEvidence}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseEvidence)
	if err != nil {
		t.Fatal(err)
	}
	return clone, evidence.Open(clone, key, verifier, clock, someone)
}

// releases builds a package again and again under other names.
func (w *scaleWorld) releases(n int) {
	w.t.Helper()
	for i := range n {
		pkg := w.repo.Packages["acme/setup"]
		pkg.ID = fleet.PackageID(fmt.Sprintf("acme/p%02d", i))
		pkg.Installers = maps.Clone(pkg.Installers)
		exe := pkg.Installers["x64"]
		exe.Detect = []fleet.Detect{{Operator: ">=", File: &fleet.FileRule{Path: `%ProgramFiles%\Hello\hello.exe`, Version: true}}}
		exe.InUse, exe.Restart, exe.Minutes = "wait", "never", 60
		pkg.Installers["x64"] = exe
		w.repo.Packages[pkg.ID] = pkg
		built, err := w.Build(w.t.Context(), w.repo, pkg.ID, "24.09")
		if err != nil {
			w.t.Fatal(err)
		}
		w.rec.Builds = append(w.rec.Builds, built)
		w.packages = append(w.packages, pkg.ID)
	}
}

// serve starts the service, and a client of each tenant.
func (w *scaleWorld) serve(s scale) {
	w.t.Helper()
	now := time.Now
	if !s.real {
		now = w.clock.Now
	}
	o := graph.Options{Dir: w.t.TempDir(), Now: now, Seed: 7}
	w.repo.Tenants = map[fleet.TenantID]fleet.Tenant{}
	for n := range s.tenants {
		id := fleet.TenantID(fmt.Sprintf("partner/t%03d", n))
		tenant := graph.Tenant{Directory: fmt.Sprintf("7f6e1c52-0000-4000-8000-%012d", n)}
		for d := range s.devices {
			tenant.Devices = append(tenant.Devices, graph.Device{Name: fmt.Sprintf("PC-%04d", d), OSVersion: "10.0.22631"})
		}
		o.Tenants = append(o.Tenants, tenant)
		w.tenants = append(w.tenants, id)
		w.repo.Tenants[id] = fleet.Tenant{ID: id, Intune: &fleet.Intune{Directory: tenant.Directory}}
	}
	if s.change != nil {
		s.change(&o)
	}
	var err error
	if w.server, err = graph.New(o); err != nil {
		w.t.Fatal(err)
	}
	w.web = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if slow := w.slow.Load(); slow > 0 {
			<-time.After(time.Duration(slow))
		}
		w.server.ServeHTTP(rw, r)
		w.served.Add(1)
	}))
	w.t.Cleanup(func() {
		w.web.Close()
		if err := w.server.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.dial()
}

// dial gives the factory a new client for each tenant, as a new process has.
func (w *scaleWorld) dial() {
	var now func() time.Time
	if w.clock != nil {
		now = w.clock.Now
	}
	token := func(directory string) msgraph.TokenSource { return freshToken{w.server, directory} }
	consoles, stop := dialled(w.web.URL, now, token, func(id fleet.TenantID, c *traffic) { w.counts[id], c.wrote = c, w.wrote })
	w.t.Cleanup(stop)
	w.Consoles = consoles
}

// dialled are new clients of a service, one for each tenant that is asked for. With
// now each has a clock of its own that begins there: whoever waits there keeps
// nobody else waiting. note is told what each client sends.
func dialled(url string, now func() time.Time, token func(directory string) msgraph.TokenSource, note func(fleet.TenantID, *traffic)) (consoles func(context.Context, fleet.Tenant) (factory.Console, error), stop func()) {
	base := &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, MaxConnsPerHost: 512}
	var mu sync.Mutex
	clients := map[fleet.TenantID]tenantConsole{}
	return func(_ context.Context, t fleet.Tenant) (factory.Console, error) {
		mu.Lock()
		defer mu.Unlock()
		if c, known := clients[t.ID]; known {
			return c, nil
		}
		var clock fleet.Clock = fleet.SystemClock{}
		if now != nil {
			clock = fleet.NewManualClock(now())
		}
		count := &traffic{base: base}
		api, err := msgraph.New(msgraph.Options{
			BaseURL: url, Directory: t.Intune.Directory, Token: token(t.Intune.Directory), Clock: clock,
			Transport: transport.New(transport.Options{Clock: clock, AllowLoopback: true, Transport: count}),
		})
		if err != nil {
			return nil, err
		}
		note(t.ID, count)
		apps := intune.New(api, intune.Options{})
		clients[t.ID] = tenantConsole{apps, updates.New(api), &policy.Console{Client: apps, Policies: policy.New(api, apps)}}
		return clients[t.ID], nil
	}, base.CloseIdleConnections
}

// A tenantConsole is all that works in a tenant, over one connection, as a run has
// it.
type tenantConsole struct {
	*intune.Client
	*windowsUpdates
	configurations *policy.Console
}

type windowsUpdates = updates.Client

func (c tenantConsole) Configurations() factory.Console { return c.configurations }

// wave starts a wave of all packages on all devices of all tenants.
func (w *scaleWorld) wave(cycle fleet.CycleID, wave string, s scale) {
	w.t.Helper()
	plan := fleet.DigestOf([]byte("plan of " + string(cycle)))
	entries := map[fleet.PackageID]fleet.Entry{}
	for _, built := range w.rec.Builds {
		entries[built.Package] = fleet.Entry{Release: built.Version, Artifact: built.Artifact}
	}
	if w.repo.Cycles == nil {
		w.repo.Cycles = map[fleet.CycleID]fleet.Cycle{}
	}
	w.repo.Cycles[cycle] = fleet.Cycle{Entries: entries}
	w.rec.Merges = append(w.rec.Merges, fleet.Merge{Approves: string(cycle) + "/" + wave, Plan: plan, Commit: w.repo.Commit})
	now := w.Clock.Now()
	w.rec.Starts = append(w.rec.Starts, fleet.WaveStart{Cycle: cycle, Wave: wave, Plan: plan, At: now})
	for _, id := range w.tenants {
		m := fleet.Membership{Cycle: cycle, Wave: wave, Tenant: id}
		console, err := w.Consoles(w.t.Context(), w.repo.Tenants[id])
		if err != nil {
			w.t.Fatal(err)
		}
		if s.devices > 0 {
			devices, err := console.Inventory(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			for _, d := range devices {
				m.Devices = append(m.Devices, factory.HashDevice([]byte("key"), d.ID))
			}
		}
		w.rec.Members = append(w.rec.Members, m)
		for _, pkg := range w.packages[:s.takes(id, w.tenants)] {
			w.rec.PlanRows[plan] = append(w.rec.PlanRows[plan], fleet.PlanRow{
				Tenant: id, Package: pkg, Wave: wave, To: entries[pkg].Release, Artifact: entries[pkg].Artifact,
				NotBefore: now.Add(6 * time.Hour).Truncate(time.Second), Deadline: now.Add(30 * time.Hour).Truncate(time.Second),
			})
		}
	}
}

// takes is how many packages a tenant takes.
func (s scale) takes(id fleet.TenantID, all []fleet.TenantID) int {
	if slices.Contains(all[len(all)-s.large:], id) {
		return s.largePackages
	}
	return s.packages
}

// actions are a kind of action on every tenant that has rows for it.
func (w *scaleWorld) actions(kind string, cycle fleet.CycleID, wave string) []rollout.Action {
	var out []rollout.Action
	rows := map[rollout.Slot]bool{}
	for _, r := range w.rec.PlanRows[fleet.DigestOf([]byte("plan of "+string(cycle)))] {
		rows[rollout.Slot{Tenant: r.Tenant, Package: r.Package}] = true
	}
	for _, t := range w.tenants {
		for _, built := range w.rec.Builds {
			if !rows[rollout.Slot{Tenant: t, Package: built.Package}] {
				continue
			}
			out = append(out, rollout.Action{
				Kind: kind, Cycle: cycle, Wave: wave, Tenant: t, Packages: []fleet.PackageID{built.Package}, Version: built.Version, Artifact: built.Artifact,
			})
		}
	}
	return out
}

// carry makes changes on facts as they are now.
func (w *scaleWorld) carry(ctx context.Context, batch []rollout.Action) (int, []rollout.Action, error) {
	then := *w.rec
	return w.CarryOut(ctx, rollout.Facts{Repo: w.repo, Record: &then}, batch)
}
