package rehearsal

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func aboutStopping() []invariant {
	return []invariant{
		{5, "after a fail there is no new intent for that digest", nothingAfterFail, []guard{
			{"a fail is hidden", func(w *world) { w.step = lied(hideFails) }},
		}},
		{6, "after a revocation is merged a runner makes at most the calls of the chunk of tenants it has in hand", chunkAtMost, []guard{
			{"main is not looked at again before calls", func(w *world) { w.guards.Again = true }},
		}},
		{7, "once it is quiet after a revocation, no tenant runs the digest", quietIsClean, []guard{
			{"the revocation is hidden", func(w *world) { w.step = lied(hideRevocations) }},
			{"ways back are forgotten", func(w *world) { w.step = silent(rollout.RollBack) }},
		}},
		{8, "nothing changes after the receipt of a way back", nothingAfterBack, []guard{
			{"main is not looked at again and the lease is not kept", func(w *world) { w.guards.Again, w.guards.Lease = true, true }},
		}},
	}
}

// nothingAfterFail is a week in which a release fails its first wave.
func nothingAfterFail(w *world) error {
	r, err := w.week(invented(), crew(0.2), nil)
	if err != nil {
		return err
	}
	rec, fails := r.State.facts.Record, 0
	for _, v := range rec.Verdicts {
		if v.Decision != gate.Fail {
			continue
		}
		fails++
		for _, i := range rec.Intents {
			if i.Artifact == v.Artifact && i.At.After(v.At) && (i.Action == "assign" || i.Action == "promote") {
				return fmt.Errorf("%s failed wave %s at %s, and %s is to %s it at %s", v.Package, v.Wave, v.At, i.Tenant, i.Action, i.At)
			}
		}
	}
	return enough(1, fails, "fails")
}

func hideFails(f *rollout.Facts, _ time.Time) {
	f.Record.Verdicts = slices.Clone(f.Record.Verdicts)
	for i := range f.Record.Verdicts {
		if v := &f.Record.Verdicts[i]; v.Decision == gate.Fail {
			v.Decision = gate.Pass
		}
	}
}

func hideRevocations(f *rollout.Facts, _ time.Time) {
	maps.DeleteFunc(f.Repo.Holds, func(_ string, h fleet.Hold) bool { return h.Kind == "revocation" })
	f.Record.Merges = slices.Clone(f.Record.Merges)
	for i := range f.Record.Merges {
		f.Record.Merges[i].Revokes = nil
	}
}

func revoked() fleet.Hold {
	return fleet.Hold{Kind: "revocation", Package: bad, Release: "2.0", Reason: "it eats files"}
}

// deploying is a state in which the last wave is about to be deployed.
func (w *world) deploying(tenants int) (*State, Model, error) {
	m := Builtin()
	s := NewState(w.blind(Invented(Size{Tenants: tenants, Packages: 2, Devices: 100 * tenants})))
	err := w.lives(s, m, on(11, 23, 5, 30), 3*time.Hour, nil)
	s.Now = on(11, 23, 6, 30)
	return s, m, err
}

// chunkAtMost stops two runners in the middle of their calls while a revocation
// is merged, and lets them go on.
//
// A runner looks at main once for each chunk of tenants, after their intents
// are written. So what it has in hand is a chunk, and not a single call.
func chunkAtMost(w *world) error {
	s, m, err := w.deploying(40)
	if err != nil {
		return err
	}
	type pulled func() (Change, error, bool)
	var runners []pulled
	begun := 0
	for _, name := range []string{"a", "b"} {
		e := &Engine{Name: name, State: s, Model: &m}
		w.arrange(e)
		next, stop := iter.Pull2(e.Run())
		defer stop()
		runners = append(runners, next)
		for {
			c, err, ok := next()
			if err != nil || !ok {
				return fmt.Errorf("the runner %s calls nobody: %w", name, err)
			}
			if c.Kind == CallMade && c.Call.Action == "assign" {
				begun++
				break
			}
		}
	}
	s.Hold("revoke-app", revoked())
	after := map[string]map[int]int{"a": {}, "b": {}} // runner → chunk → calls
	for _, next := range runners {
		for {
			c, err, ok := next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if c.Kind == CallMade && c.Call.Action == "assign" && c.Call.Package == bad {
				after[c.Runner][c.Chunk]++
			}
		}
	}
	total := 0
	for name, chunks := range after {
		for _, n := range chunks {
			total += n
		}
		if len(chunks) > 1 {
			return fmt.Errorf("runner %s brings the release to the tenants of %d chunks after it was revoked", name, len(chunks))
		}
	}
	if total > 2*rollout.ChunkTenants {
		return fmt.Errorf("%d calls after the revocation by 2 runners", total)
	}
	return enough(2, begun, "runners in the middle of their calls")
}

// quietIsClean revokes a release while the last wave takes it, and runs until
// nothing is due any more.
func quietIsClean(w *world) error {
	s, m, err := w.deploying(12)
	if err != nil {
		return err
	}
	if err := w.lives(s, m, on(11, 24, 0, 0), 3*time.Hour, nil); err != nil {
		return err
	}
	s.Hold("revoke-app", revoked())
	if err := w.lives(s, m, on(11, 29, 0, 0), 3*time.Hour, nil); err != nil {
		return err
	}
	back := map[fleet.TenantID]bool{} // tenants that took it → whether they went back since
	for _, c := range s.Calls {
		if c.Artifact == artifactOf(bad, "2.0") && c.Action != "withdraw" {
			back[c.Tenant] = c.Action == "rollback"
		}
	}
	for _, t := range slices.Sorted(maps.Keys(back)) {
		if h := s.holder(rollout.Slot{Tenant: t, Package: bad}); !back[t] || h.Stable.Release == "2.0" || len(h.Candidate) > 0 {
			return fmt.Errorf("all is quiet, and devices of %s run it: its slots are %+v", t, *h)
		}
	}
	return enough(12, len(back), "tenants that took it")
}

// stalled is a story in which a runner stalls between its intents and its
// calls, while the release is revoked and taken back by another.
func (w *world) stalled(goesOn bool) (*State, error) {
	m := Builtin()
	s := NewState(w.blind(Invented(Size{Tenants: 3, Packages: 2, Devices: 300})))
	run := func(at time.Time) error {
		s.Now = at
		for _, err := range (&Engine{Name: "b", State: s, Model: &m}).Run() {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, at := range []time.Time{on(11, 18, 5, 0), on(11, 18, 15, 0)} {
		if err := run(at); err != nil {
			return s, err
		}
	}
	if err := mergeAll(s); err != nil {
		return s, err
	}
	s.Now = on(11, 19, 4, 0)
	a := &Engine{Name: "a", State: s, Model: &m}
	w.arrange(a)
	next, stop := iter.Pull2(a.Run())
	defer stop()
	for {
		c, err, ok := next()
		if err != nil || !ok {
			return s, fmt.Errorf("the runner never writes intents: %w", err)
		}
		if c.Kind == Intents {
			break // it stalls here
		}
	}
	s.Hold("revoke-app", revoked())
	for _, at := range []time.Time{on(11, 19, 4, 5), on(11, 19, 4, 40)} { // the lease of a ends between them
		if err := run(at); err != nil {
			return s, err
		}
	}
	for more := goesOn; more; {
		_, err, ok := next()
		if err != nil {
			return s, err
		}
		more = ok
	}
	return s, nil
}

// nothingAfterBack looks at what a stalled runner does when it wakes up.
func nothingAfterBack(w *world) error {
	s, err := w.stalled(true)
	if err != nil {
		return err
	}
	back := map[rollout.Slot]bool{}
	for _, c := range s.Calls {
		at := rollout.Slot{Tenant: c.Tenant, Package: c.Package}
		done := slices.ContainsFunc(s.facts.Record.Receipts, func(r fleet.Receipt) bool { return r.Intent == c.ID && r.Outcome == "done" })
		switch {
		case c.Action == "rollback" && done:
			back[at] = true
		case back[at] && c.Artifact == artifactOf(bad, "2.0"):
			return fmt.Errorf("runner %s makes a change (%s) on %s after the way back", c.Runner, c.Action, c.Tenant)
		}
	}
	return enough(1, len(back), "ways back")
}
