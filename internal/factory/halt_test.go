package factory_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A mortal console dies with its runner: from some change of any tenant on,
// nothing is done any more. The change it dies at was made, and its caller does
// not hear of it.
type mortalConsole struct {
	factory.Console
	left *atomic.Int64
}

func (c mortalConsole) dead() bool { return c.left.Load() <= 0 }

func (c mortalConsole) Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error) {
	if c.dead() {
		return fleet.AppState{}, errKilled
	}
	s, err := c.Console.Publish(ctx, app, content)
	if err == nil && c.left.Add(-1) <= 0 {
		return fleet.AppState{}, errKilled
	}
	return s, err
}

func (c mortalConsole) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	if c.dead() {
		return errKilled
	}
	err := c.Console.Assign(ctx, id, slot, targets)
	if err == nil && c.left.Add(-1) <= 0 {
		return errKilled
	}
	return err
}

// mortal lets a runner live for a number of changes.
func (w *scaleWorld) mortal(changes int64) *factory.Factory {
	left := &atomic.Int64{}
	left.Store(changes)
	own, consoles := *w.Factory, w.Consoles
	own.Consoles = func(ctx context.Context, t fleet.Tenant) (factory.Console, error) {
		c, err := consoles(ctx, t)
		return mortalConsole{c, left}, err
	}
	own.Ledger = mortalLedger{w.memory, left}
	return &own
}

type mortalLedger struct {
	*memoryLedger
	left *atomic.Int64
}

// TestHaltBeforeTheInstant: 500 tenants get a release early that is to start on
// their devices in the evening; the runner that brings it is killed, a second one
// brings the rest, or does not come that far. Then the release is halted, and the
// runner that withdraws it is killed too, once as a process by the system. Nobody
// installs it, ever.
func TestHaltBeforeTheInstant(t *testing.T) {
	if testing.Short() {
		t.Skip("500 tenants")
	}
	const tenants = 500
	t.Run("a process killed with SIGKILL", func(t *testing.T) { haltByTwoProcesses(t, tenants) })
	for name, c := range map[string]struct {
		first, withdrawing int64 // changes until the runner is killed
		second             bool  // another one brings the rest before the halt
	}{
		"killed early and not taken up":    {first: 150, withdrawing: 40},
		"killed late, taken up and halted": {first: 900, withdrawing: 260, second: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newScaleWorld(t, scale{tenants: tenants, packages: 1, devices: 2})
			deploy := w.actions(rollout.Deploy, theCycle, theWave)
			one := w.mortal(c.first)
			one.Runner = "one"
			then := *w.rec
			if _, _, err := one.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, deploy); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			w.dial()
			w.Runner = "two"
			if c.second {
				w.clock.Set(w.clock.Now().Add(rollout.Claim))
				if _, again, err := w.carry(t.Context(), w.open(deploy)); err != nil || len(again) > 0 {
					t.Fatalf("%d again: %v", len(again), err)
				}
			}
			armed := w.armed(t)
			if armed == 0 || c.second && armed != tenants {
				t.Fatalf("%d tenants are armed", armed)
			}
			withdraw := w.actions(rollout.Withdraw, theCycle, theWave)
			then = *w.rec
			three := w.mortal(c.withdrawing)
			if _, _, err := three.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, withdraw); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			w.dial()
			w.clock.Set(w.clock.Now().Add(10 * time.Minute)) // still long before the evening
			if _, again, err := w.carry(t.Context(), withdraw); err != nil || len(again) > 0 {
				t.Fatalf("%d again: %v", len(again), err)
			}
			if armed := w.armed(t); armed > 0 {
				t.Errorf("%d tenants are still armed", armed)
			}
			w.clock.Set(w.clock.Now().AddDate(0, 0, 14))
			if have, _ := w.have(t); have > 0 {
				t.Errorf("%d devices took the halted release", have)
			}
		})
	}
	w := newScaleWorld(t, scale{tenants: 3, packages: 1, devices: 2})
	if made, _, err := w.carry(t.Context(), w.actions(rollout.Deploy, theCycle, theWave)); made != 3 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	if have, _ := w.have(t); have > 0 {
		t.Errorf("%d devices took the release before its instant", have)
	}
	w.clock.Set(w.clock.Now().AddDate(0, 0, 14))
	if have, asked := w.have(t); have != 6 || asked != 6 {
		t.Errorf("%d of %d devices took a release that nobody halted, want all 6", have, asked)
	}
}

func (l mortalLedger) AppendAll(ctx context.Context, batches []evidence.Batch) error {
	if l.left.Load() <= 0 {
		return errKilled
	}
	return l.memoryLedger.AppendAll(ctx, batches)
}

func (l mortalLedger) AppendNext(ctx context.Context, batches []evidence.Batch) error {
	return l.AppendAll(ctx, batches)
}

// open are the actions that have no receipt.
func (w *scaleWorld) open(actions []rollout.Action) []rollout.Action {
	return slices.DeleteFunc(slices.Clone(actions), func(a rollout.Action) bool {
		return slices.ContainsFunc(w.rec.Receipts, func(r fleet.Receipt) bool {
			return r.Tenant == a.Tenant && r.Package == a.Packages[0] && r.Action == rollout.EffectOf(a.Kind) && r.Outcome == "done"
		})
	})
}

// armed is on how many tenants the candidate slot is assigned to somebody.
func (w *scaleWorld) armed(t *testing.T) (n int) {
	t.Helper()
	for _, id := range w.tenants {
		console, err := w.Consoles(t.Context(), w.repo.Tenants[id])
		if err != nil {
			t.Fatal(err)
		}
		state, err := console.Observe(t.Context(), w.packages[0], fleet.Candidate)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Targets) > 0 {
			n++
		}
	}
	return n
}

// have is how many devices have the release or have tried to install it, and how
// many rows the service has of them.
func (w *scaleWorld) have(t *testing.T) (have, asked int) {
	t.Helper()
	w.dial() // tokens of before have run out
	for _, id := range w.tenants {
		console, err := w.Consoles(t.Context(), w.repo.Tenants[id])
		if err != nil {
			t.Fatal(err)
		}
		for _, slot := range []string{fleet.Candidate, fleet.Stable} {
			statuses, err := console.Statuses(t.Context(), w.packages[0], slot)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range statuses {
				asked++
				if s.State == "installed" || s.State == "failed" {
					have++
				}
			}
		}
	}
	return have, asked
}
