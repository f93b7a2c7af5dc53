package rehearsal

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Number 25, that the audit finds every refusal, is in package factory.
func aboutRunners() []invariant {
	return []invariant{
		{22, "killed after any write, the next runs reach the same end", killedAnywhere, []guard{
			{"a runner goes by its own memory and not by evidence", func(w *world) { w.memory = remembers }},
		}},
		{23, "two runners at once reach the same end", twoRunners, []guard{
			{"main is not looked at again and the lease is not kept", func(w *world) { w.guards.Again, w.guards.Lease = true, true }},
		}},
		{24, "a runner that is seven hours late changes nothing outside windows", lateInWindows, []guard{
			{"what is late goes out at once", func(w *world) { w.mended = atOnce }},
		}},
		{26, "replayed at an instant is what was derived then", replayed, []guard{
			{"a replay reads all of evidence", func(w *world) { w.asOf = func(r *fleet.Record, _ time.Time) *fleet.Record { return r } }},
		}},
		{27, "after a halt no armed assignment of that digest fires", nothingFires, []guard{
			{"nothing is withdrawn", func(w *world) { w.step = silent(rollout.Withdraw) }},
		}},
	}
}

// killedAnywhere kills the runner of a week once after every change.
func killedAnywhere(w *world) error {
	in := Invented(Size{Tenants: 10, Packages: 2, Devices: 800})
	total := 0
	whole, err := w.week(in, crew(0.2), func(*State, Change) error { total++; return nil })
	if err != nil {
		return err
	}
	for at := 1; at <= total; at++ {
		n := 0
		r, err := w.weekUntil(in, crew(0.2), Options{Cycle: week47, Die: func(Change) bool { n++; return n == at }})
		if err != nil {
			return fmt.Errorf("killed after change %d: %w", at, err)
		}
		if ends(r.State) != ends(whole.State) || r.Closed != whole.Closed {
			return fmt.Errorf("killed after change %d of %d the week ends with\n%s\nnot with\n%s", at, total, ends(r.State), ends(whole.State))
		}
	}
	return enough(60, total, "changes")
}

// remembers is a Step that says each deployment once, as a runner would that
// keeps in memory what it has set about.
func remembers() stepping {
	said := map[string]bool{}
	return func(f rollout.Facts, now time.Time) ([]rollout.Action, []rollout.Wait, error) {
		actions, waits, err := rollout.Step(f, now)
		return slices.DeleteFunc(actions, func(a rollout.Action) bool {
			key := rollout.Key(a) + string(a.Tenant)
			again := said[key] && a.Kind == rollout.Deploy
			said[key] = true
			return again
		}), waits, err
	}
}

// twoRunners lets two runners take turns at random through a week; and one go
// on after it stalled, while the other took back what it was to bring.
func twoRunners(w *world) error {
	moments := []time.Time{on(11, 18, 5, 0), on(11, 18, 15, 0), on(11, 19, 4, 0), on(11, 19, 13, 0), on(11, 20, 11, 0), on(11, 20, 13, 0), on(11, 23, 6, 0), on(11, 24, 12, 0), on(11, 24, 14, 0)}
	alone, _, err := w.raced(moments, nil)
	if err != nil {
		return err
	}
	took := 0
	for seed := range uint64(8) {
		both, turns, err := w.raced(moments, rand.New(rand.NewPCG(seed, 23)))
		if err != nil {
			return err
		}
		if both != alone {
			return fmt.Errorf("raced with seed %d the week ends with\n%s\nnot with\n%s", seed, both, alone)
		}
		took += turns
	}
	stops, err := w.stalled(false)
	if err != nil {
		return err
	}
	goesOn, err := w.stalled(true)
	if err != nil {
		return err
	}
	if ends(stops) != ends(goesOn) {
		return fmt.Errorf("a runner that stalled and went on ends with\n%s\nnot with\n%s", ends(goesOn), ends(stops))
	}
	return enough(200, took, "turns")
}

// raced is how a week ends for one runner, or for two that take turns by
// chance; and how many turns they took.
func (w *world) raced(moments []time.Time, chance *rand.Rand) (end string, turns int, err error) {
	m := crew(0.2)
	s := NewState(w.blind(invented()))
	for _, s.Now = range moments {
		names := []string{"a", "b"}
		if chance == nil {
			names = names[:1]
		}
		var runners []func() (Change, error, bool)
		for _, name := range names {
			e := &Engine{Name: name, State: s, Model: &m}
			w.arrange(e)
			next, stop := iter.Pull2(e.Run())
			defer stop()
			runners = append(runners, next)
		}
		for len(runners) > 0 {
			n := 0
			if chance != nil {
				n = chance.IntN(len(runners))
			}
			turns++
			if _, err, more := runners[n](); err != nil {
				return "", 0, err
			} else if !more {
				runners = slices.Delete(runners, n, n+1)
			}
		}
		if err := mergeAll(s); err != nil {
			return "", 0, err
		}
	}
	return ends(s), turns, nil
}

// lateInWindows has runs twice a day, one of them seven hours after the last
// wave opens, and tenants whose windows are over by then.
func lateInWindows(w *world) error {
	in := invented()
	repo := cloned(in.Facts.Repo)
	week := []string{"Mon", "Tue", "Wed", "Thu", "Fri"}
	for n, id := range repo.TenantIDs() {
		if n > 0 && n%3 != 0 {
			from, until := "12:00", "16:00"
			if n%3 == 2 {
				from, until = "20:00", "23:00"
			}
			setTenant(repo, id, func(t *fleet.Tenant) {
				t.Windows = map[string]fleet.Window{"hours": {On: week, From: from, Until: until, For: []string{"install"}}}
			})
		}
	}
	in.Facts.Repo = repo
	s, m := NewState(w.blind(in)), Builtin()
	changed := false
	for day := 18; day <= 30; day++ {
		for _, hour := range []int{5, 19} { // 19:00Z is seven hours after 14:00 in Helsinki
			s.Now = on(11, day, hour, 0)
			e := &Engine{Name: "run", State: s, Model: &m}
			w.arrange(e)
			for c, err := range e.Run() {
				if err != nil {
					return err
				}
				if c.Kind == Started && len(s.facts.Record.Starts) == 2 && !changed {
					changed = true
					s.mend(w.mended)
				}
			}
			if err := mergeAll(s); err != nil {
				return err
			}
		}
	}
	windowed, moved := 0, 0
	for _, c := range s.Calls {
		if c.Action != "assign" || c.Wave != "everyone" {
			continue
		}
		if why := violated(repo, c); why != "" {
			return fmt.Errorf("at %s %s comes to %s for %s: %s", c.Made, c.Package, c.Tenant, c.Opens, why)
		}
		if len(repo.Tenants[c.Tenant].Windows) > 0 {
			windowed++
		}
		if c.Opens.After(on(11, 23, 20, 0)) {
			moved++
		}
	}
	if err := enough(8, windowed, "assignments on tenants with windows"); err != nil {
		return err
	}
	return enough(8, moved, "assignments that moved to another time")
}

// atOnce is what a wave is where nobody looks at windows when a run is late.
func atOnce(r *fleet.Repository) {
	for id := range r.Tenants {
		setTenant(r, id, func(t *fleet.Tenant) { t.Windows = nil })
	}
	r.Waves[1].OnMissedWindow, r.Waves[1].Within = "runIfWithin", fleet.Duration(12*time.Hour)
}

// A noted state is what was derived at an instant, and what from.
type noted struct {
	at      time.Time
	main    string
	cycles  []rollout.CycleState
	actions []rollout.Action
}

// replayed notes what is derived every few hours of a week with a halt, and
// derives all of it again from what main and evidence are at the end.
func replayed(w *world) error {
	s, m := NewState(w.blind(invented())), crew(0.2)
	repos, plans := map[string]*fleet.Repository{}, map[fleet.CycleID]map[string]fleet.Plan{}
	var line []rollout.OnMain
	var notes []noted
	keep := func(made time.Time) {
		f := s.Facts()
		if _, known := repos[f.Repo.Commit]; !known {
			repos[f.Repo.Commit] = f.Repo
			line = append(line, rollout.OnMain{Commit: f.Repo.Commit, Made: made})
		}
		for id, gates := range f.Plans {
			for name, p := range gates {
				plans[id] = put(plans[id], name, p)
			}
		}
	}
	keep(s.Now)
	for s.Now.Before(on(11, 27, 0, 0)) {
		if err := w.lives(s, m, s.Now.Add(time.Minute), 4*time.Hour, nil); err != nil { // one run; then people merge
			return err
		}
		ran := s.Now.Add(-4 * time.Hour)
		before := s.Facts()
		keep(ran.Add(30 * time.Minute))
		if len(before.Unrecorded) > 0 {
			continue // what a run sees first is that merges are to be recorded
		}
		cycles, err := w.derive(before, ran)
		if err != nil {
			return err
		}
		actions, _, err := rollout.Step(before, ran)
		if err != nil {
			return err
		}
		notes = append(notes, noted{ran, before.Repo.Commit, cycles, actions})
	}
	final := s.Facts().Record
	for _, n := range notes {
		rec := w.asOf(final, n.at)
		main := rollout.MainAt(line, rec, n.at)
		if main != n.main {
			return fmt.Errorf("at %s main was at %.7s, and a replay finds %.7s", n.at, n.main, main)
		}
		f := rollout.Facts{Repo: repos[main], Record: rec, Plans: plans}
		cycles, err := w.derive(f, n.at)
		if err != nil {
			return err
		}
		actions, _, err := rollout.Step(f, n.at)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(cycles, n.cycles) || !reflect.DeepEqual(actions, n.actions) {
			return fmt.Errorf("at %s %d actions were due, and a replay finds %d, or another state of cycles", n.at, len(n.actions), len(actions))
		}
	}
	return enough(30, len(notes), "replays")
}

// asOf is evidence as it was at an instant.
func asOf(rec *fleet.Record, at time.Time) *fleet.Record {
	out := *rec
	out.Builds, out.Tests, out.Merges = until(rec.Builds, at), until(rec.Tests, at), until(rec.Merges, at)
	out.Starts, out.Intents, out.Receipts = until(rec.Starts, at), until(rec.Intents, at), until(rec.Receipts, at)
	out.Reports, out.Verdicts, out.Notices = until(rec.Reports, at), until(rec.Verdicts, at), until(rec.Notices, at)
	out.Inventory, out.Heartbeats = until(rec.Inventory, at), until(rec.Heartbeats, at)
	return &out
}

// until are the rows that were there at an instant, by their field At.
func until[T any](rows []T, at time.Time) []T {
	var out []T
	for _, r := range rows {
		if when, ok := reflect.ValueOf(r).FieldByName("At").Interface().(time.Time); ok && !when.After(at) {
			out = append(out, r)
		}
	}
	return out
}

// nothingFires is a release that its first wave is too small to stop, that fails
// on those tenants of the last wave that take it at once, and that is assigned,
// and starts days later, on others.
func nothingFires(w *world) error {
	in := fewOwn(invented(), 4)
	repo := cloned(in.Facts.Repo)
	for n, id := range repo.TenantIDs() {
		if n > 0 && n%2 == 0 {
			setTenant(repo, id, func(t *fleet.Tenant) {
				t.Windows = map[string]fleet.Window{"night": {On: []string{"Wed"}, From: "20:00", Until: "23:00", For: []string{"install"}}}
			})
		}
	}
	in.Facts.Repo = repo
	m := crew(0.3)
	m.People = append([]Person{{Branch: rollout.BranchRevert, Never: true}}, m.People...) // the halt alone must do
	halted, armed := map[fleet.Digest]time.Time{}, map[rollout.Slot]bool{}
	fires := func(s *State, now time.Time) error {
		for at, h := range s.Tenants {
			for _, a := range h.Candidate {
				halt, stopped := halted[a.Artifact]
				switch {
				case stopped && a.Opens.After(halt) && !a.Opens.After(now):
					return fmt.Errorf("halted at %s, %s fires on %s at %s", halt, at.Package, at.Tenant, a.Opens)
				case stopped && a.Opens.After(halt):
					armed[at] = true
				}
			}
		}
		return nil
	}
	r, err := w.week(in, m, func(s *State, c Change) error {
		for _, v := range s.facts.Record.Verdicts {
			if _, known := halted[v.Artifact]; v.Decision == gate.Fail && !known {
				halted[v.Artifact] = v.At
			}
		}
		return fires(s, c.At)
	})
	if err != nil {
		return err
	}
	if err := fires(r.State, on(12, 31, 0, 0)); err != nil {
		return err
	}
	return enough(4, len(armed), "assignments that were armed at the halt")
}
