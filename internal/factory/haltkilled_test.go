package factory_test

import (
	"context"
	"encoding/gob"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// orders names the file of what a child of TestHaltBeforeTheInstant is to do.
const orders = "PACKMILL_TEST_HALT_ORDERS"

// An order is all that a runner in a process of its own is told: what main says,
// and not what to do about it. Intents and receipts are not in it: they are in
// evidence, of which it has a clone.
type order struct {
	Repo    *fleet.Repository
	Record  fleet.Record
	Now     time.Time         // the clock is virtual: both processes have the same
	Service string            // where the simulated service is
	Tokens  map[string]string // by directory
	Origin  string            // the repository that both push evidence to
	Clone   string
	Key     []byte
}

type fixedToken string

func (f fixedToken) Token(context.Context) (string, error) { return string(f), nil }

// TestHaltInAnotherProcess is no test: it is the child process of
// TestHaltBeforeTheInstant, and withdraws a release until it is killed.
func TestHaltInAnotherProcess(t *testing.T) {
	path := os.Getenv(orders)
	if path == "" {
		t.Skip("runs as a child of TestHaltBeforeTheInstant only")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var o order
	if err := gob.NewDecoder(file).Decode(&o); err != nil {
		t.Fatal(err)
	}
	key, err := signing.Parse(o.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	clock := fleet.NewManualClock(o.Now)
	git, ledger := clonedLedger(t, o.Origin, o.Clone, key, clock)
	known, err := ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Record.Intents, o.Record.Receipts = known.Intents, known.Receipts
	f := &factory.Factory{
		Clock: clock, Git: git, Ledger: ledger, Runner: "three", Parallel: 64,
		HashKey: func(fleet.TenantID) ([]byte, error) { return []byte("key"), nil },
	}
	f.Consoles, _ = dialled(o.Service, clock.Now, func(directory string) msgraph.TokenSource { return fixedToken(o.Tokens[directory]) }, func(fleet.TenantID, *traffic) {})
	facts := rollout.Facts{Repo: o.Repo, Record: &o.Record}
	withdraw, err := withdrawals(facts, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := f.CarryOut(t.Context(), facts, withdraw)
	t.Fatalf("nobody killed it: made %d of %d: %v", made, len(withdraw), err)
}

// haltByTwoProcesses has a release armed in all tenants and held on main. The runner
// that withdraws it is another process, of which the system leaves nothing when a
// third of its withdrawals are made: no deferred call, no half of a push is tidied
// up by anyone. A second runner, which knows what evidence tells and no more, has
// the rest withdrawn before the instant.
func haltByTwoProcesses(t *testing.T, tenants int) {
	w := newScaleWorld(t, scale{tenants: tenants, packages: 1, devices: 2})
	private, _, err := signing.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.Parse(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	instant := w.inCourse()
	dir, origin := t.TempDir(), w.Git.Dir()
	git, ledger := clonedLedger(t, origin, filepath.Join(dir, "one"), key, w.clock)
	w.Git, w.Ledger, w.Runner = git, ledger, "one"
	w.recall(ledger)
	if made, again, err := w.carry(t.Context(), w.actions(rollout.Deploy, theCycle, theWave)); made != tenants || len(again) > 0 || err != nil {
		t.Fatalf("made %d, %d again: %v", made, len(again), err)
	}
	w.clock.Set(instant.Add(-30 * time.Minute))
	if armed, have := w.armed(t), w.onDevices(); armed != tenants || have != 0 {
		t.Fatalf("%d tenants are armed, %d devices have it", armed, have)
	}

	w.halts(t, func() { w.hold("hold") })
	w.killInTheMiddle(order{Repo: w.repo, Record: *w.rec, Now: w.clock.Now(), Origin: origin, Clone: filepath.Join(dir, "three"), Key: private}, int64(tenants/3))
	left := w.armed(t)
	if left == 0 || left > tenants-tenants/3 {
		t.Fatalf("when it was killed %d tenants were still armed", left)
	}
	w.recall(ledger)
	outcomes := w.withdrawn()
	if outcomes.open == 0 || outcomes.done+outcomes.open == tenants || outcomes.other > 0 {
		t.Fatalf("it was not killed in the middle: %+v", outcomes)
	}
	t.Logf("killed: %d tenants still armed; evidence has %d withdrawals with a receipt, %d without, and nothing of %d", left, outcomes.done, outcomes.open, tenants-outcomes.done-outcomes.open)

	w.clock.Set(w.clock.Now().Add(10 * time.Minute))
	w.dial()
	w.Runner = "four"
	rest := w.due(t)
	if len(rest) != tenants-outcomes.done {
		t.Errorf("%d withdrawals are due, %d of %d are done", len(rest), outcomes.done, tenants)
	}
	if made, again, err := w.carry(t.Context(), rest); made != len(rest) || len(again) > 0 || err != nil {
		t.Fatalf("made %d of %d, %d again: %v", made, len(rest), len(again), err)
	}
	w.recall(ledger)
	if armed, due := w.armed(t), w.due(t); armed > 0 || len(due) > 0 || !w.clock.Now().Before(instant) {
		t.Errorf("%d tenants are still armed at %s, and %d withdrawals are due", armed, w.clock.Now(), len(due))
	}
	if outcomes := w.withdrawn(); outcomes.done != tenants || outcomes.open+outcomes.other > 0 {
		t.Errorf("evidence: %+v", outcomes)
	}
	if findings, err := ledger.Verify(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("evidence is not whole: %v, %v", findings, err)
	}
	w.clock.Set(instant.AddDate(0, 0, 14))
	if have := w.onDevices(); have > 0 {
		t.Errorf("%d devices took the halted release", have)
	}
	if lives := w.server.Lives(w.clock.Now()); lives.Installed+lives.Failed > 0 {
		t.Errorf("devices began to install it: %+v", lives)
	}
}

// killInTheMiddle has another process carry out an order, and kills it when so
// many of the withdrawals that it sent were made: the last of them it does not
// hear of.
func (w *scaleWorld) killInTheMiddle(o order, after int64) {
	w.t.Helper()
	o.Record.Intents, o.Record.Receipts = nil, nil
	o.Tokens = map[string]string{}
	for _, id := range w.tenants {
		o.Tokens[w.directory(id)] = w.server.Token(w.directory(id))
	}
	var writes atomic.Int64
	kill := make(chan func() error, 1)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-time.After(50 * time.Millisecond) // so that many tenants are under way when it dies
		w.server.ServeHTTP(rw, r)
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/assign") && writes.Add(1) == after {
			if err := (<-kill)(); err != nil {
				w.t.Error(err)
			}
		}
	}))
	defer front.Close()
	o.Service = front.URL
	path := filepath.Join(w.t.TempDir(), "order")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(gob.NewEncoder(file).Encode(o), file.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var said strings.Builder
	child := exec.CommandContext(w.t.Context(), os.Args[0], "-test.run=^TestHaltInAnotherProcess$", "-test.count=1")
	child.Env, child.Stdout, child.Stderr = append(os.Environ(), orders+"="+path), &said, &said
	if err := child.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill <- child.Process.Kill
	_ = child.Wait() // a killed process always reports an error
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && status.Exited() || writes.Load() < after {
		w.t.Fatalf("it ended by itself after %d withdrawals: %s\n%s", writes.Load(), child.ProcessState, said.String())
	}
}

// recall makes the world know of changes what evidence tells.
func (w *scaleWorld) recall(ledger *evidence.Ledger) {
	w.t.Helper()
	if err := w.Git.Fetch(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	rec, err := ledger.Read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.rec.Intents, w.rec.Receipts = rec.Intents, rec.Receipts
}

// outcomes are tenants, by what evidence has of their withdrawals.
type outcomes struct {
	done  int // exactly one receipt that says so
	open  int // an intent and no receipt
	other int // anything else but nothing at all
}

func (w *scaleWorld) withdrawn() (o outcomes) {
	intents, receipts, done := map[fleet.TenantID]int{}, map[fleet.TenantID]int{}, map[fleet.TenantID]int{}
	for _, i := range w.rec.Intents {
		if i.Action == "withdraw" {
			intents[i.Tenant]++
		}
	}
	for _, r := range w.rec.Receipts {
		if r.Action == "withdraw" {
			receipts[r.Tenant]++
			if r.Outcome == "done" {
				done[r.Tenant]++
			}
		}
	}
	for id, n := range intents {
		switch {
		case n == 1 && receipts[id] == 1 && done[id] == 1:
			o.done++
		case n == 1 && receipts[id] == 0:
			o.open++
		default:
			o.other++
		}
	}
	return o
}

// onDevices is how many devices really have the package now.
func (w *scaleWorld) onDevices() (n int) {
	for _, id := range w.tenants {
		for _, version := range w.server.Installed(w.directory(id), w.packages[0], w.clock.Now()) {
			if version != "" {
				n++
			}
		}
	}
	return n
}
