package rehearsal

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func aboutFacts() []invariant {
	return []invariant{
		{9, "evidence branches only add", onlyAdds, []guard{
			{"a writer may push without what others wrote", func(w *world) { w.forced = true }},
		}},
		{10, "Derive is deterministic, and more evidence never takes back that a cycle is closed or a release halted or revoked", monotone, []guard{
			{"verdicts older than a day are forgotten", func(w *world) { w.derive = forgetful }},
			{"what is derived depends on how often", func(w *world) { w.derive = unsteady() }},
		}},
		{11, "equal inputs give an equal plan and verdict, in any time zone, order of rows and order of maps", repeatable, []guard{
			{"rows of a plan are in the order of a map", func(w *world) { w.plan = unsorted }},
			{"a plan is of the machine's time zone", func(w *world) { w.plan = zoned }},
			{"a verdict takes the first tenant for all", func(w *world) { w.decide = firstOnly }},
		}},
		{12, "the membership of a started wave never changes, waves nest, and every device is in exactly one", partitioned, []guard{
			{"a wave takes devices that an earlier one has", func(w *world) { w.assign = eachAlone }},
			{"members are those of the newest inventory", func(w *world) { w.frozen = newestMembers }},
			{"a percentage begins anew for each number", func(w *world) { w.assign = otherSalt }},
		}},
	}
}

// onlyAdds writes what a rehearsed week gave into a real ledger, through two
// clones in turns: every head has the one before it behind it, and nothing that
// was written is ever changed or removed.
func onlyAdds(w *world) error {
	r, err := w.week(invented(), crew(0.2), nil)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.t.TempDir(), "evidence.git")
	remote, err := gitrepo.Init(dir, true)
	if err != nil {
		return err
	}
	defer remote.Close()
	ledgers, clones, err := w.ledgers(dir)
	if err != nil {
		return err
	}
	head := ""
	rows := r.State.facts.Record.Verdicts
	for n := range rows {
		ledger, clone := ledgers[n%2], clones[n%2]
		if w.forced {
			stale, err := clone.Ref("refs/heads/" + evidence.Control)
			if err != nil {
				return err
			}
			if err := remote.SetBranch(evidence.Control, head, stale); err != nil {
				return err
			}
		}
		if err := ledger.Append(w.t.Context(), evidence.Control, evidence.VerdictsDir(week47), rows[n:n+1]); err != nil {
			return err
		}
		now, err := remote.Ref("refs/heads/" + evidence.Control)
		if err != nil {
			return err
		}
		if err := w.extends(remote, head, now); err != nil {
			return fmt.Errorf("verdict %d: %w", n, err)
		}
		head = now
	}
	return enough(5, len(rows), "appends")
}

func (w *world) extends(remote *gitrepo.Repo, old, now string) error {
	if old == "" {
		return nil
	}
	if old == now {
		return fmt.Errorf("%w: nothing was appended", errTooLittle)
	}
	if behind, err := remote.IsAncestor(w.t.Context(), old, now); err != nil || !behind {
		return fmt.Errorf("the head %.7s is not behind %.7s any more: %w", old, now, err)
	}
	changes, err := remote.Changed(w.t.Context(), old, now)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.Old != "" {
			return fmt.Errorf("%s is written anew", c.Path)
		}
	}
	return nil
}

func (w *world) ledgers(dir string) (ledgers []*evidence.Ledger, clones []*gitrepo.Repo, err error) {
	private, _, err := signing.Generate(nil)
	if err != nil {
		return nil, nil, err
	}
	key, err := signing.Parse(private, nil)
	if err != nil {
		return nil, nil, err
	}
	trust := fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{"evidence"}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseEvidence)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"a", "b"} {
		clone, err := gitrepo.Clone(w.t.Context(), dir, filepath.Join(w.t.TempDir(), name), gitrepo.Auth{})
		if err != nil {
			return nil, nil, err
		}
		w.t.Cleanup(func() { _ = clone.Close() })
		clones = append(clones, clone)
		ledgers = append(ledgers, evidence.Open(clone, key, verifier, fleet.NewManualClock(on(12, 1, 0, 0)), fleet.Identity{Name: "packmill", Email: "packmill@operator.example"}))
	}
	return ledgers, clones, nil
}

// monotone derives twice after every change of a week, and keeps what was final.
func monotone(w *world) error {
	final := map[string]bool{}
	seen := 0
	_, err := w.week(invented(), crew(0.2), func(s *State, c Change) error {
		seen++
		f := s.Facts()
		for _, now := range []time.Time{s.Now, s.Now.AddDate(0, 2, 0)} {
			once, err := w.derive(f, now)
			if err != nil {
				return err
			}
			if twice, err := w.derive(f, now); err != nil || !reflect.DeepEqual(once, twice) {
				return fmt.Errorf("after %s at %s the same facts give another state: %v", c.Kind, s.Now, err)
			}
			is := finals(once)
			for what := range final {
				if !is[what] {
					return fmt.Errorf("after %s at %s it is not so any more: %s", c.Kind, s.Now, what)
				}
			}
			if now.Equal(s.Now) {
				final = is
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := enough(3, len(final), "final states"); err != nil {
		return err
	}
	return enough(60, seen, "changes")
}

// finals are the states of cycles that nothing leads out of.
func finals(cycles []rollout.CycleState) map[string]bool {
	out := map[string]bool{}
	for _, c := range cycles {
		if c.Closed {
			out[string(c.ID)+" is closed"] = true
		}
		for i := range c.Entries {
			e := &c.Entries[i]
			if e.Halted != nil {
				out[string(c.ID)+" "+string(e.Package)+" is halted"] = true
			}
			if e.Revoked() {
				out[string(c.ID)+" "+string(e.Package)+" is revoked"] = true
			}
		}
	}
	return out
}

func forgetful(f rollout.Facts, now time.Time) ([]rollout.CycleState, error) {
	rec := *f.Record
	rec.Verdicts = slices.DeleteFunc(slices.Clone(rec.Verdicts), func(v fleet.Verdict) bool { return now.Sub(v.At) > 24*time.Hour })
	f.Record = &rec
	return rollout.Derive(f, now)
}

func unsteady() func(rollout.Facts, time.Time) ([]rollout.CycleState, error) {
	n := 0
	return func(f rollout.Facts, now time.Time) ([]rollout.CycleState, error) {
		n++
		out, err := rollout.Derive(f, now)
		if len(out) > 0 {
			out[0].Refusal = fmt.Sprint(n)
		}
		return out, err
	}
}
