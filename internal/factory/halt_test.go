package factory_test

import (
	"context"
	"errors"
	"maps"
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

// firstWave is a wave that went before the world's own.
const firstWave = "dogfood"

// inCourse makes the world's cycle one in its course: a first wave runs since two
// days, and the one of all tenants, which its rows arm, opens with them.
func (w *scaleWorld) inCourse() (instant time.Time) {
	steps := map[string]fleet.WeekStep{"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}, "deploy": {On: "Mon", At: "14:00"}}
	w.repo.Week = fleet.Week{Zone: "UTC", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: steps}
	w.repo.Waves = []fleet.Wave{
		{Name: firstWave, Order: 1, Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Gate: fleet.Gate{Looks: []fleet.Duration{fleet.Duration(6 * time.Hour), fleet.Duration(7 * day)}}},
		{Name: theWave, Order: 2, Opens: fleet.Opens{Step: "deploy", Zone: "operator"}},
	}
	cycle := w.repo.Cycles[theCycle]
	cycle.Waves = []string{firstWave, theWave}
	w.repo.Cycles[theCycle] = cycle
	start := &w.rec.Starts[0]
	instant = w.rec.PlanRows[start.Plan][0].NotBefore
	start.Opens = instant
	before := start.At.Add(-2 * day)
	w.rec.Starts = append(w.rec.Starts, fleet.WaveStart{Cycle: theCycle, Wave: firstWave, At: before, Opens: before})
	return instant
}

// hold has main hold the release, or revoke it.
func (w *scaleWorld) hold(kind string) {
	built := w.rec.Builds[0]
	w.repo.Holds = map[string]fleet.Hold{"bad": {Kind: kind, Package: built.Package, Release: built.Version, Artifact: built.Artifact, Reason: "it deletes files"}}
}

// fails has evidence record that the release failed its gate in the first wave.
func (w *scaleWorld) fails() {
	built := w.rec.Builds[0]
	w.rec.Verdicts = append(w.rec.Verdicts, fleet.Verdict{Cycle: theCycle, Wave: firstWave, Package: built.Package, Artifact: built.Artifact, Look: fleet.Duration(6 * time.Hour),
		Decision: "fail", Rule: "20 of 40 devices failed", At: w.clock.Now()})
}

// due are the withdrawals that the facts ask for now, as any run decides them.
func (w *scaleWorld) due(t *testing.T) (out []rollout.Action) {
	t.Helper()
	then := *w.rec
	out, err := withdrawals(rollout.Facts{Repo: w.repo, Record: &then}, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func withdrawals(facts rollout.Facts, now time.Time) ([]rollout.Action, error) {
	actions, _, err := rollout.Step(facts, now)
	return slices.DeleteFunc(actions, func(a rollout.Action) bool { return a.Kind != rollout.Withdraw }), err
}

// assigning are the tenants that an assignment was begun on, and whether evidence
// has a receipt of it.
func (w *scaleWorld) assigning() map[fleet.TenantID]bool {
	out := map[fleet.TenantID]bool{}
	for _, i := range w.rec.Intents {
		if i.Action == "assign" {
			out[i.Tenant] = out[i.Tenant] || slices.ContainsFunc(w.rec.Receipts, func(r fleet.Receipt) bool { return r.Intent == i.ID })
		}
	}
	return out
}

// halts checks that withdrawals are decided of exactly the tenants that an
// assignment was begun on, those without a receipt among them, and gives them.
func (w *scaleWorld) halts(t *testing.T, decide func()) []rollout.Action {
	t.Helper()
	if early := w.due(t); len(early) > 0 {
		t.Fatalf("%d withdrawals before anything was decided", len(early))
	}
	decide()
	due, begun := w.due(t), w.assigning()
	told := map[fleet.TenantID]bool{}
	for _, a := range due {
		told[a.Tenant] = true
	}
	if len(due) != len(begun) || len(told) != len(begun) {
		t.Fatalf("%d withdrawals on %d tenants, want %d", len(due), len(told), len(begun))
	}
	for id := range begun {
		if !told[id] {
			t.Errorf("nothing is withdrawn on %s, receipt %v", id, begun[id])
		}
	}
	return due
}

// TestHaltBeforeTheInstant: 500 tenants get a release early that is to start on
// their devices in the evening; the runner that brings it is killed, a second one
// brings the rest, or does not come that far. Then main holds or revokes the
// release, or it fails in an earlier wave, and every run decides by the facts alone
// what that means. The runner that withdraws it is killed too, once as a process by
// the system. Nobody installs it, ever.
func TestHaltBeforeTheInstant(t *testing.T) {
	if testing.Short() {
		t.Skip("500 tenants")
	}
	const tenants = 500
	t.Run("a process killed with SIGKILL", func(t *testing.T) { haltByTwoProcesses(t, tenants) })
	for name, c := range map[string]halting{
		"killed early, not taken up, and revoked":  {first: 150, withdrawing: 40, decide: func(w *scaleWorld) { w.hold("revocation") }},
		"killed late, taken up, and failed before": {first: 900, withdrawing: 260, second: true, decide: (*scaleWorld).fails},
	} {
		t.Run(name, func(t *testing.T) { c.try(t, tenants) })
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

// halting is a release that is halted before its instant by runners that die.
type halting struct {
	first, withdrawing int64 // changes until the runner is killed
	second             bool  // another one brings the rest before the halt
	decide             func(*scaleWorld)
}

func (c halting) try(t *testing.T, tenants int) {
	w := newScaleWorld(t, scale{tenants: tenants, packages: 1, devices: 2})
	instant := w.inCourse()
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
		w.later(rollout.Claim)
		if _, again, err := w.carry(t.Context(), w.open(deploy)); err != nil || len(again) > 0 {
			t.Fatalf("%d again: %v", len(again), err)
		}
		w.later(rollout.Lease + time.Minute)
	}
	armed, unheard := w.armed(t), 0
	for heard := range maps.Values(w.assigning()) {
		if !heard {
			unheard++
		}
	}
	if armed == 0 || c.second && (armed != tenants || unheard > 0) || !c.second && unheard == 0 {
		t.Fatalf("%d tenants are armed, of %d nobody heard", armed, unheard)
	}
	withdraw := w.halts(t, func() { c.decide(w) })
	then = *w.rec
	three := w.mortal(c.withdrawing)
	if _, _, err := three.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, withdraw); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	// Runs after it decide anew, until nothing is left, which is once no call of the
	// first one can begin.
	rounds := 0
	for _, pause := range []time.Duration{10 * time.Minute, rollout.Lease} {
		w.later(pause)
		w.dial()
		if due := w.due(t); len(due) > 0 {
			rounds++
			if made, again, err := w.carry(t.Context(), due); made != len(due) || len(again) > 0 || err != nil {
				t.Fatalf("made %d of %d, %d again: %v", made, len(due), len(again), err)
			}
		}
		if armed := w.armed(t); armed > 0 {
			t.Errorf("%d tenants are still armed", armed)
		}
	}
	if due := w.due(t); len(due) > 0 || rounds != map[bool]int{true: 1, false: 2}[c.second] || !w.clock.Now().Before(instant) {
		t.Errorf("after %d rounds %d withdrawals are due at %s", rounds, len(due), w.clock.Now())
	}
	w.clock.Set(w.clock.Now().AddDate(0, 0, 14))
	if have, _ := w.have(t); have > 0 {
		t.Errorf("%d devices took the halted release", have)
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
