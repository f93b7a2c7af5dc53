package factory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

var errKilled = errors.New("the runner is dead")

// A fate counts what lasts: appends to evidence and calls that change a
// console. After the step it dies at, nothing is kept any more.
type fate struct {
	mu    sync.Mutex
	steps int
	dies  int // 0: never
}

// step does something lasting, or finds the runner dead. The one after which
// it dies is done, and its caller never hears of it.
func (f *fate) step(do func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dies > 0 && f.steps >= f.dies {
		return errKilled
	}
	f.steps++
	do()
	if f.steps == f.dies {
		return errKilled
	}
	return nil
}

// A memoryLedger holds intents and receipts, and tells of each append.
type memoryLedger struct {
	*fate
	rec   *fleet.Record
	after func(batches []evidence.Batch)
}

func (l *memoryLedger) Append(ctx context.Context, branch, dir string, rows any) error {
	return l.AppendAll(ctx, []evidence.Batch{{Branch: branch, Dir: dir, Rows: rows}})
}

func (l *memoryLedger) AppendAll(_ context.Context, batches []evidence.Batch) error {
	err := l.step(func() {
		for _, b := range batches {
			switch rows := b.Rows.(type) {
			case []fleet.Intent:
				l.rec.Intents = append(l.rec.Intents, rows...)
			case []fleet.Receipt:
				l.rec.Receipts = append(l.rec.Receipts, rows...)
			default:
				panic(fmt.Sprintf("rows of %T", rows))
			}
		}
	})
	if l.after != nil {
		l.after(batches)
	}
	return err
}

func (l *memoryLedger) AppendNext(ctx context.Context, batches []evidence.Batch) error {
	return l.AppendAll(ctx, batches)
}

func (l *memoryLedger) Checkpoint(context.Context) error { return nil }

func (l *memoryLedger) Read(context.Context) (*fleet.Record, error) { return l.rec, nil }

func (l *memoryLedger) ReadAt(context.Context, map[string]string) (*fleet.Record, error) {
	return l.rec, nil
}

// A memoryConsole is one tenant's console.
type memoryConsole struct {
	*fate
	clock   *fleet.ManualClock
	slots   map[string]*fleet.AppState
	upload  time.Duration // how long content takes that is not there yet
	uploads int
	assigns int
	broken  error
	told    []fleet.App // what was asked to be published
	probes  []fleet.DeviceProbe
	unprobe int
	// onUpload is told before a slot's content changes.
	onUpload func()
}

func (c *memoryConsole) Inventory(context.Context) ([]fleet.Device, error) { return nil, c.broken }

func (c *memoryConsole) Observe(_ context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	if c.broken != nil {
		return fleet.AppState{}, c.broken
	}
	if s := c.slots[string(id)+"/"+slot]; s != nil {
		return *s, nil
	}
	return fleet.AppState{}, nil
}

func (c *memoryConsole) Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error) {
	at := string(app.Package) + "/" + app.Slot
	c.told = append(c.told, app)
	if s := c.slots[at]; s == nil || s.Artifact != app.Artifact {
		r, err := content()
		if err != nil {
			return fleet.AppState{}, err
		}
		defer r.Close()
		if _, err := io.Copy(io.Discard, r); err != nil {
			return fleet.AppState{}, err
		}
		if err := c.clock.Sleep(ctx, c.upload); err != nil {
			return fleet.AppState{}, err
		}
		if c.onUpload != nil {
			c.onUpload()
		}
		err = c.step(func() {
			if c.slots[at] == nil {
				c.slots[at] = &fleet.AppState{ID: "app " + at}
			}
			c.slots[at].Version, c.slots[at].Artifact = app.Version, app.Artifact
			c.uploads++
		})
		if err != nil {
			return fleet.AppState{}, err
		}
	}
	return *c.slots[at], nil
}

func (c *memoryConsole) Group(_ context.Context, wave string, _ []string) (string, error) {
	return "group " + wave, nil
}

func (c *memoryConsole) Assign(_ context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	if c.broken != nil {
		return c.broken
	}
	return c.step(func() {
		c.assigns++
		if s := c.slots[string(id)+"/"+slot]; s != nil {
			s.Targets = slices.Clone(targets)
		}
	})
}

func (c *memoryConsole) Statuses(context.Context, fleet.PackageID, string) ([]fleet.DeviceStatus, error) {
	return nil, nil
}

func (c *memoryConsole) Probe(_ context.Context, p fleet.DeviceProbe) error {
	return c.step(func() { c.probes = append(c.probes, p) })
}

func (c *memoryConsole) Unprobe(_ context.Context, id fleet.PackageID) error {
	return c.step(func() {
		c.unprobe++
		c.probes = slices.DeleteFunc(c.probes, func(p fleet.DeviceProbe) bool { return p.Package == id })
	})
}

func (c *memoryConsole) Health(context.Context, fleet.PackageID) ([]fleet.DeviceHealth, error) {
	return nil, nil
}

const (
	theCycle = fleet.CycleID("2026-W47")
	theWave  = "everyone"
	thePkg   = fleet.PackageID("acme/hello")
)

// An effectWorld is a started wave of one really built release on some tenants.
type effectWorld struct {
	*factory.Factory
	build    *buildWorld
	fate     *fate
	clock    *fleet.ManualClock
	ledger   *memoryLedger
	repo     *fleet.Repository
	tenants  []fleet.TenantID
	consoles map[fleet.TenantID]*memoryConsole
}

func newEffectWorld(t *testing.T, tenants int) *effectWorld {
	t.Helper()
	b := newBuildWorld(t, signer(t))
	built, err := b.Build(t.Context(), b.repo, thePkg, "24.09")
	if err != nil {
		t.Fatal(err)
	}
	b.repo.Operator.Trust = b.trust
	if err := b.Git.SetBranch("main", "", b.repo.Commit); err != nil {
		t.Fatal(err)
	}
	return waveOf(b, built, tenants)
}

// waveOf is a wave of a build that nobody has begun.
func waveOf(b *buildWorld, built fleet.Built, tenants int) *effectWorld {
	b.repo.Tenants = map[fleet.TenantID]fleet.Tenant{}
	b.repo.Cycles = map[fleet.CycleID]fleet.Cycle{theCycle: {Entries: map[fleet.PackageID]fleet.Entry{thePkg: {Release: "24.09", Artifact: built.Artifact}}}}
	plan := fleet.DigestOf([]byte("plan"))
	rec := &fleet.Record{
		Builds: []fleet.Built{built},
		Merges: []fleet.Merge{{Approves: string(theCycle) + "/" + theWave, Plan: plan, Commit: b.repo.Commit}},
		Starts: []fleet.WaveStart{{Cycle: theCycle, Wave: theWave, Plan: plan}}, PlanRows: map[fleet.Digest][]fleet.PlanRow{},
	}
	own := *b.Factory
	w := &effectWorld{Factory: &own, fate: &fate{}, clock: fleet.NewManualClock(buildTime), repo: b.repo, consoles: map[fleet.TenantID]*memoryConsole{}}
	for n := range tenants {
		id := fleet.TenantID(fmt.Sprintf("partner/t%02d", n))
		w.tenants = append(w.tenants, id)
		b.repo.Tenants[id] = fleet.Tenant{ID: id}
		w.consoles[id] = &memoryConsole{fate: w.fate, clock: w.clock, slots: map[string]*fleet.AppState{}}
		rec.Members = append(rec.Members, fleet.Membership{Cycle: theCycle, Wave: theWave, Tenant: id})
		rec.PlanRows[plan] = append(rec.PlanRows[plan], fleet.PlanRow{Tenant: id, Package: thePkg, Wave: theWave, To: built.Version, Artifact: built.Artifact,
			NotBefore: buildTime.AddDate(0, 0, 1), Deadline: buildTime.AddDate(0, 0, 2)})
	}
	w.ledger = &memoryLedger{fate: w.fate, rec: rec}
	w.Clock, w.Ledger = w.clock, w.ledger
	w.Consoles = func(_ context.Context, tenant fleet.Tenant) (factory.Console, error) {
		return w.consoles[tenant.ID], nil
	}
	w.HashKey = func(fleet.TenantID) ([]byte, error) { return []byte("key"), nil }
	w.build = b
	return w
}

// merge puts a commit on main that changes a file, without anyone telling the
// facts.
func (w *effectWorld) merge(t *testing.T, path, text string) string {
	t.Helper()
	main, err := w.Git.Main()
	if err != nil {
		t.Fatal(err)
	}
	commit, err := w.Git.Commit(t.Context(), gitrepo.CommitSpec{Parents: []string{main}, Files: map[string][]byte{path: []byte(text)}, Message: "x",
		Author: fleet.Identity{Name: "a", Email: "a@example.com"}, When: buildTime})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Git.SetBranch("main", main, commit); err != nil {
		t.Fatal(err)
	}
	return commit
}

// due are the actions of a kind on the tenants that have no receipt for it yet.
func (w *effectWorld) due(kind string) []rollout.Action {
	name := map[string]string{rollout.Deploy: "assign", rollout.Withdraw: "withdraw"}[kind]
	var out []rollout.Action
	for _, t := range w.tenants {
		if slices.ContainsFunc(w.ledger.rec.Receipts, func(r fleet.Receipt) bool { return r.Tenant == t && r.Action == name && r.Outcome == "done" }) {
			continue
		}
		built := w.ledger.rec.Builds[0]
		a := rollout.Action{Kind: kind, Cycle: theCycle, Tenant: t, Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact}
		if kind == rollout.Deploy || kind == rollout.Promote {
			a.Wave = theWave
		}
		out = append(out, a)
	}
	return out
}

// run carries out what is due, on facts as they are now.
func (w *effectWorld) run(t *testing.T, kind string) (made int, again []rollout.Action, err error) {
	t.Helper()
	due := w.due(kind)
	if len(due) == 0 {
		return 0, nil, nil
	}
	then := *w.ledger.rec
	return w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, due)
}

// outcomes counts receipts by action and outcome.
func (w *effectWorld) outcomes() map[string]int {
	out := map[string]int{}
	for _, r := range w.ledger.rec.Receipts {
		out[r.Action+" "+r.Outcome]++
	}
	return out
}

// open are the intents without a receipt.
func (w *effectWorld) open() []fleet.Intent {
	var out []fleet.Intent
	for _, i := range w.ledger.rec.Intents {
		if !slices.ContainsFunc(w.ledger.rec.Receipts, func(r fleet.Receipt) bool { return r.Intent == i.ID }) {
			out = append(out, i)
		}
	}
	return out
}
