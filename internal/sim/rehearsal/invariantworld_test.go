package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/proof"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const (
	week47 = fleet.CycleID("2026-W47")
	good   = fleet.PackageID("vendor00/app000")
	bad    = fleet.PackageID("vendor01/app001")
)

type stepping func(rollout.Facts, time.Time) ([]rollout.Action, []rollout.Wait, error)

// A world is what an invariant is checked on: how its runners are made, and the
// functions of production that the check asks. A guard that is switched off
// replaces one of them.
type world struct {
	t       testing.TB
	guards  Guards
	step    stepping
	memory  func() stepping // of a fresh rehearsal, in place of step
	verdict func(rollout.Facts, rollout.Action, fleet.PackageID, []fleet.Report) (fleet.Verdict, error)
	unseen  func(*fleet.Repository)           // what runners do not know of desired state
	mended  func(*fleet.Repository)           // how main is changed behind their plans
	recalls func(*fleet.Record) *fleet.Record // what they remember of evidence
	forced  bool                              // who pushes last has the only word
	derive  func(rollout.Facts, time.Time) ([]rollout.CycleState, error)
	plan    func(*fleet.Repository, *fleet.Record, fleet.CycleID, fleet.Cycle, string) (fleet.Plan, error)
	decide  func(gate.Inputs) fleet.Verdict
	assign  func([]fleet.Wave, fleet.Tenant, []fleet.InventoryRow, string, time.Time) map[string]rollout.Members
	frozen  func(rollout.Facts, fleet.WaveStart) []fleet.Membership
	entries func(*fleet.Repository, *fleet.Record, time.Time) map[fleet.PackageID]fleet.Entry
	proves  func(*fleet.Repository, time.Time) []proof.Finding
	meets   func(says) says
	asOf    func(*fleet.Record, time.Time) *fleet.Record
}

// newWorld is the world as production has it.
func newWorld(t testing.TB) *world {
	return &world{
		t: t, step: rollout.Step, derive: rollout.Derive, plan: rollout.Plan, decide: gate.Decide, assign: rollout.Assign,
		frozen:  func(f rollout.Facts, s fleet.WaveStart) []fleet.Membership { return rollout.Frozen(f.Record, s) },
		entries: rollout.Entries, proves: proof.Feasible, asOf: asOf,
		unseen: func(*fleet.Repository) {}, mended: func(*fleet.Repository) {}, recalls: func(r *fleet.Record) *fleet.Record { return r },
		meets: func(s says) says { return s },
	}
}

func (w *world) arrange(e *Engine) {
	e.Step, e.Verdict, e.Without = w.step, w.verdict, w.guards
}

// blind is an input as the world's runners see it.
func (w *world) blind(in Input) Input {
	repo := cloned(in.Facts.Repo)
	w.unseen(repo)
	in.Facts.Repo = repo
	return in
}

// week rehearses the cycle of the week and tells watch of every change.
func (w *world) week(in Input, m Model, watch func(*State, Change) error) (*Result, error) {
	return w.weekUntil(in, m, Options{Cycle: week47, Watch: watch})
}

func (w *world) weekUntil(in Input, m Model, o Options) (*Result, error) {
	if w.memory != nil {
		w.step = w.memory()
	}
	o.Engine = w.arrange
	return Rehearse(w.blind(in), m, o)
}

// lives lets packmill run at an interval until an instant, and half an hour
// later people merge all that it proposed.
func (w *world) lives(s *State, m Model, until time.Time, every time.Duration, watch func(*State, Change) error) error {
	for ; s.Now.Before(until); s.Now = s.Now.Add(every) {
		e := &Engine{Name: "run", State: s, Model: &m}
		w.arrange(e)
		for c, err := range e.Run() {
			if err == nil && watch != nil {
				err = watch(s, c)
			}
			if err != nil {
				return err
			}
		}
		now := s.Now
		s.Now = now.Add(30 * time.Minute)
		if err := mergeAll(s); err != nil {
			return err
		}
		s.Now = now
	}
	return nil
}

func mergeAll(s *State) error {
	for _, p := range s.Pulls {
		if p.Merged.IsZero() {
			if err := s.Merge(p.Number, s.persons("")); err != nil {
				return err
			}
		}
	}
	return nil
}

// crew is the built-in model with a release that breaks on a share of devices.
func crew(failing float64) Model {
	m := Builtin()
	m.Failing.Releases = map[string]float64{string(bad) + "@2.0": failing}
	return m
}

// invented is a fleet that a week of takes a few milliseconds.
func invented() Input { return Invented(Size{Tenants: 12, Packages: 3, Devices: 1200}) }

// cloned is a repository whose first level of maps may be changed.
func cloned(r *fleet.Repository) *fleet.Repository {
	out := *r
	out.Packages, out.Tenants, out.Freezes, out.Holds = maps.Clone(r.Packages), maps.Clone(r.Tenants), maps.Clone(r.Freezes), maps.Clone(r.Holds)
	out.Cycles, out.Plans, out.Approvals, out.Blobs = maps.Clone(r.Cycles), maps.Clone(r.Plans), maps.Clone(r.Approvals), maps.Clone(r.Blobs)
	out.Waves = slices.Clone(r.Waves)
	return &out
}

// lied is a Step that is told other facts than are true.
func lied(lie func(f *rollout.Facts, now time.Time)) stepping {
	return func(f rollout.Facts, now time.Time) ([]rollout.Action, []rollout.Wait, error) {
		rec := *f.Record
		f.Repo, f.Record = cloned(f.Repo), &rec
		lie(&f, now)
		return rollout.Step(f, now)
	}
}

// silent is a Step that never says some actions.
func silent(kinds ...string) stepping {
	return func(f rollout.Facts, now time.Time) ([]rollout.Action, []rollout.Wait, error) {
		actions, waits, err := rollout.Step(f, now)
		return slices.DeleteFunc(actions, func(a rollout.Action) bool { return slices.Contains(kinds, a.Kind) }), waits, err
	}
}

// change makes main another one, as a merge of people's would.
func (s *State) mend(edit func(r *fleet.Repository)) {
	repo := cloned(s.facts.Repo)
	repo.Commit = fleet.DeriveID("commit", repo.Commit, s.Now.String())
	edit(repo)
	s.facts.Repo = repo
}

// release is a newer release of a package, merged, built by the next run.
func release(id fleet.PackageID, version string, counter int, change string) func(*fleet.Repository) {
	return func(r *fleet.Repository) {
		p := r.Packages[id]
		p.Releases = maps.Clone(p.Releases)
		p.Releases[version] = fleet.Release{Counter: counter, Change: change}
		r.Packages[id] = p
	}
}

func setTenant(r *fleet.Repository, id fleet.TenantID, edit func(*fleet.Tenant)) {
	t := r.Tenants[id]
	edit(&t)
	r.Tenants[id] = t
}

func artifactOf(id fleet.PackageID, version string) fleet.Digest {
	return fleet.DigestOf([]byte("rehearsed " + string(id) + "@" + version))
}

func on(month time.Month, day, hour, minute int) time.Time {
	return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
}

// ends is what tenants hold, one line each.
func ends(s *State) string {
	out := ""
	f := s.Facts()
	for _, t := range f.Repo.TenantIDs() {
		for _, p := range f.Repo.PackageIDs() {
			h := s.Tenants[rollout.Slot{Tenant: t, Package: p}]
			if h == nil {
				continue
			}
			out += fmt.Sprintf("%s %s stable %q, %d candidates", t, p, h.Stable.Release, len(h.Candidate))
			if h.Removed {
				out += ", removed"
			}
			out += "\n"
		}
	}
	return out
}
