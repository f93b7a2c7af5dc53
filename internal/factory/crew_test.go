package factory_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A slowConsole does not answer until all others have.
type slowConsole struct {
	*memoryConsole
	others *sync.WaitGroup
}

func (c slowConsole) Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error) {
	c.others.Wait()
	return c.memoryConsole.Publish(ctx, app, content)
}

// quickConsole tells when it was assigned.
type quickConsole struct {
	*memoryConsole
	done func()
}

func (c quickConsole) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	defer c.done()
	return c.memoryConsole.Assign(ctx, id, slot, targets)
}

// One tenant that is slow keeps nobody waiting: it goes on only when all others
// are done, and so would the run not end.
func TestSlowTenantDelaysNobody(t *testing.T) {
	w := newEffectWorld(t, 60)
	w.Parallel = 512
	var others sync.WaitGroup
	others.Add(len(w.tenants) - 1)
	w.Consoles = func(_ context.Context, tenant fleet.Tenant) (factory.Console, error) {
		if tenant.ID == w.tenants[3] {
			return slowConsole{w.consoles[tenant.ID], &others}, nil
		}
		return quickConsole{w.consoles[tenant.ID], others.Done}, nil
	}
	if made, again, err := w.run(t, rollout.Deploy); made != 60 || len(again) > 0 || err != nil {
		t.Fatalf("made %d, %d again: %v", made, len(again), err)
	}
	if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign done": 60}) {
		t.Errorf("receipts %v", got)
	}
}

// Whatever a runner of many tenants was doing when it died, the next one reaches
// what a runner that nobody killed reaches.
func TestCrewKilled(t *testing.T) {
	whole := newEffectWorld(t, 30)
	whole.Parallel = 16
	if made, _, err := whole.run(t, rollout.Deploy); made != 30 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	for at := 1; at <= whole.fate.steps; at++ {
		w := waveOf(whole.build, whole.ledger.rec.Builds[0], 30)
		w.Parallel = 16
		w.fate.dies = at
		// How many steps a run has depends on who is served when: one that was over
		// before it was killed is no failure.
		if _, _, err := w.run(t, rollout.Deploy); !errors.Is(err, errKilled) && (err != nil || w.fate.steps >= at) {
			t.Fatalf("killed after step %d of %d: %v", at, w.fate.steps, err)
		}
		w.fate.dies = 0
		if _, again, err := w.run(t, rollout.Deploy); err != nil || len(again) > 0 {
			t.Fatalf("second run after step %d: %d again, %v", at, len(again), err)
		}
		done := 0
		for _, r := range w.ledger.rec.Receipts {
			if r.Outcome == "done" {
				done++
			}
		}
		if done != 30 || len(w.open()) > 0 {
			t.Errorf("after step %d: receipts %v, %d open", at, w.outcomes(), len(w.open()))
		}
		for id, c := range w.consoles {
			if c.uploads != 1 {
				t.Errorf("after step %d, %s: %d uploads", at, id, c.uploads)
			}
		}
	}
}

// many adds packages to a world that are all of one build.
func (w *effectWorld) many(n int) []rollout.Action {
	plan := fleet.DigestOf([]byte("plan"))
	var packages []fleet.PackageID
	for i := range n {
		packages = append(packages, fleet.PackageID("acme/more"+string(rune('a'+i))))
	}
	var out []rollout.Action
	for _, t := range w.tenants {
		for _, id := range packages {
			w.ledger.rec.PlanRows[plan] = append(w.ledger.rec.PlanRows[plan], fleet.PlanRow{Tenant: t, Package: id, Wave: theWave, To: "24.09",
				NotBefore: buildTime.AddDate(0, 0, 1), Deadline: buildTime.AddDate(0, 0, 2)})
			out = append(out, rollout.Action{Kind: rollout.Deploy, Cycle: theCycle, Wave: theWave, Tenant: t, Packages: []fleet.PackageID{id}, Version: "24.09"})
		}
	}
	return out
}

// A tenant that fails three times in a row is left for this run, with a receipt
// for what was not tried; a tenant that fails now and then is not.
func TestTenantBreaker(t *testing.T) {
	w := newEffectWorld(t, 1)
	actions := w.many(6) // nobody built them: each is refused
	then := *w.ledger.rec
	made, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, actions)
	if made != 0 || err == nil {
		t.Fatalf("made %d, %v", made, err)
	}
	tried, left := 0, 0
	for _, r := range w.ledger.rec.Receipts {
		switch {
		case r.Outcome != "failed":
			t.Errorf("%+v", r)
		case strings.HasPrefix(r.Detail, "not tried"):
			left++
		default:
			tried++
		}
	}
	if tried != 3 || left != 3 || len(w.open()) > 0 {
		t.Errorf("%d were tried, %d left, %d are open", tried, left, len(w.open()))
	}
}

// Where tenants fail alike, the run ends before it reaches all; withdrawals are
// tried on everyone. A few among many end nothing.
func TestOutage(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(n int) bool
		kind   string
		most   int // tenants that are tried
		least  int
		stops  bool
		fails  error // of those that are broken; nil: out of order
	}{
		"all":         {func(int) bool { return true }, rollout.Deploy, 8, 5, true, nil},
		"withdrawing": {func(int) bool { return true }, rollout.Withdraw, 100, 100, true, nil},
		"going back":  {func(int) bool { return true }, rollout.RollBack, 100, 100, true, nil},
		"from then":   {func(n int) bool { return n >= 60 }, rollout.Deploy, 99, 60, true, nil},
		// A driver that Windows Update has found for nobody so far.
		"not yet": {func(int) bool { return true }, rollout.Deploy, 100, 100, false, &fleet.Error{Op: "x", Kind: fleet.Waiting, Err: fleet.ErrNotYet}},
		// Customers who assign an app themselves that packmill has taken over.
		"theirs": {func(int) bool { return true }, rollout.Deploy, 100, 100, false, &fleet.Error{Op: "x", Kind: fleet.Refused, Err: fleet.Theirs(errors.New("assigned"))}},
		"a few":  {func(n int) bool { return n%20 == 0 }, rollout.Deploy, 100, 100, false, nil},
	} {
		for _, parallel := range []int{0, 16} {
			w := newEffectWorld(t, 100)
			w.Parallel = parallel
			for n, id := range w.tenants {
				if c.broken(n) {
					w.consoles[id].broken = cmp.Or(c.fails, errors.New("out of order"))
				}
			}
			then := *w.ledger.rec
			_, results, err := w.Carry(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, w.due(c.kind))
			if stalled := fleet.KindOf(err) == fleet.Stalled; stalled != c.stops {
				t.Errorf("%s, %d: %v", name, parallel, err)
			}
			tried, skipped := 0, 0
			for _, r := range results {
				tried, skipped = tried+r.Done+r.Failed+r.Waiting, skipped+r.Skipped
				if r.Skipped > 0 && !strings.Contains(r.Why, "failed in the same way") {
					t.Errorf("%s: %+v", name, r)
				}
			}
			if tried < c.least || tried > c.most || tried+skipped != 100 || len(results) != 100 {
				t.Errorf("%s, %d: %d tried, %d skipped of %d", name, parallel, tried, skipped, len(results))
			}
			if len(w.open()) > 0 {
				t.Errorf("%s: %d intents are open", name, len(w.open()))
			}
		}
	}
}

// What somebody else changed on a tenant keeps the run from that tenant alone,
// until a later cycle takes it as it is; what stops and goes back goes on.
func TestMovedTenantIsRefused(t *testing.T) {
	w := newEffectWorld(t, 3)
	if made, _, err := w.run(t, rollout.Deploy); made != 3 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	slot := w.consoles[w.tenants[1]].slots[string(thePkg)+"/"+fleet.Candidate]
	ours := slot.Targets
	slot.Targets = slices.Clone(ours)
	slot.Targets[0].Intent = "available"
	calls := w.consoles[w.tenants[1]].assigns
	deploy := func(cycle fleet.CycleID) (int, error) {
		var again []rollout.Action
		for _, id := range w.tenants {
			again = append(again, rollout.Action{Kind: rollout.Promote, Cycle: cycle, Wave: theWave, Tenant: id, Packages: []fleet.PackageID{thePkg}, Version: "24.09", Artifact: w.ledger.rec.Builds[0].Artifact})
		}
		then := *w.ledger.rec
		made, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, again)
		return made, err
	}
	made, err := deploy(theCycle)
	if made != 2 || fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "available") || !strings.Contains(err.Error(), string(w.tenants[1])) {
		t.Fatalf("made %d: %v", made, err)
	}
	if w.consoles[w.tenants[1]].assigns != calls {
		t.Error("the tenant was changed")
	}
	w.repo.Cycles["2026-W48"] = w.repo.Cycles[theCycle]
	w.ledger.rec.Merges = append(w.ledger.rec.Merges, fleet.Merge{Approves: "2026-W48/" + theWave, Commit: w.repo.Commit})
	if made, err := deploy("2026-W48"); made != 3 || err != nil {
		t.Errorf("in the next cycle: made %d: %v", made, err)
	}
}
