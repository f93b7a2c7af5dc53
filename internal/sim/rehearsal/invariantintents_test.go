package rehearsal

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func aboutIntents() []invariant {
	return []invariant{
		{1, "every change of a tenant has an earlier intent", intentFirst, []guard{
			{"intents are not written", func(w *world) { w.guards.Intent = true }},
		}},
		{2, "every intent names a merged approval that covers it", intentCovered, []guard{
			{"what packmill proposed counts as approved", func(w *world) { w.step = lied(approveAll) }},
		}},
		{3, "a wave's intents come only after a pass of the wave before on the same digest, or a merge that knew it was left undecided", passFirst, []guard{
			{"verdicts on another digest count", func(w *world) { w.step = lied(borrowPasses) }},
		}},
		{4, "receipts from before a wave's start or of another digest never count", ownReceipts, []guard{
			{"a receipt from before the start counts", func(w *world) { w.step = lied(moveReceipts("before")) }},
			{"a receipt of another digest counts", func(w *world) { w.step = lied(moveReceipts("other")) }},
		}},
	}
}

// intentFirst looks into evidence at the moment of every change on a tenant.
func intentFirst(w *world) error {
	calls := 0
	_, err := w.week(invented(), crew(0.2), func(s *State, c Change) error {
		if c.Kind != CallMade {
			return nil
		}
		calls++
		earlier := slices.ContainsFunc(s.facts.Record.Intents, func(i fleet.Intent) bool {
			return i.ID == c.Call.ID && i.Tenant == c.Call.Tenant && i.Artifact == c.Call.Artifact && i.Action == c.Call.Action && !i.At.After(c.Call.Made)
		})
		if !earlier {
			return fmt.Errorf("at %s %s of %s on %s, and evidence has no intent", c.At, c.Call.Action, c.Call.Package, c.Call.Tenant)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return enough(40, calls, "changes")
}

// intentCovered goes through the intents of two weeks: one in which people
// merge all, and one in which nobody approves the second wave.
func intentCovered(w *world) error {
	asked, seen := crew(0.2), map[string]int{}
	asked.People = append([]Person{{Branch: rollout.BranchApprove, Never: true}}, asked.People...)
	for _, m := range []Model{asked, crew(0.2)} {
		r, err := w.week(invented(), m, nil)
		if err != nil {
			return err
		}
		rec := r.State.facts.Record
		for n, i := range rec.Intents {
			seen[i.Action]++
			if i.Action != "assign" {
				// What is made stable or taken back was brought by a covered one.
				n = slices.IndexFunc(rec.Intents[:n], func(x fleet.Intent) bool {
					return x.Action == "assign" && x.Tenant == i.Tenant && x.Package == i.Package && x.Artifact == i.Artifact
				})
			}
			if n < 0 {
				return fmt.Errorf("%s of %s on %s was never assigned there", i.Action, i.Package, i.Tenant)
			}
			if why := uncovered(rec, rec.Intents[n]); why != "" {
				return fmt.Errorf("%s of %s on %s in wave %s: %s", i.Action, i.Package, i.Tenant, i.Wave, why)
			}
		}
	}
	for action, want := range map[string]int{"assign": 25, "promote": 20, "withdraw": 1, "rollback": 1} {
		if err := enough(want, seen[action], "intents to "+action); err != nil {
			return err
		}
	}
	return nil
}

// uncovered says why no merge lets an assignment happen, "" when one does.
func uncovered(rec *fleet.Record, i fleet.Intent) string {
	for _, m := range rec.Merges {
		if m.Approves != string(i.Cycle)+"/"+i.Wave || m.Plan != i.Plan || len(m.Approvers) == 0 || m.At.After(i.At) {
			continue
		}
		for _, row := range rec.PlanRows[m.Plan] {
			if row.Tenant == i.Tenant && row.Package == i.Package && row.Artifact == i.Artifact && row.Wave == i.Wave {
				return ""
			}
		}
		return "the approved plan has no such row"
	}
	return "no merge of people's approves it"
}

// approveAll lets every gate of a cycle count as approved.
func approveAll(f *rollout.Facts, now time.Time) {
	for _, id := range f.Repo.CycleIDs() {
		gates := map[string]fleet.Approval{}
		for name, p := range f.Repo.Plans[id] {
			if a, merged := f.Repo.Approvals[id][name]; merged {
				gates[name] = a
				continue
			}
			file := fleet.ApprovalFile(id, name)
			gates[name] = fleet.Approval{Cycle: id, Gate: name, Decision: "approved", Plan: p.Digest, ValidUntil: now.AddDate(1, 0, 0)}
			f.Repo.Blobs[file] = "proposed"
			f.Record.Merges = append(slices.Clip(f.Record.Merges), fleet.Merge{
				Commit: "proposed", Approves: string(id) + "/" + name, Plan: p.Digest, ApprovalBlobs: map[string]string{file: "proposed"}, Approvers: []string{"packmill"}, At: now,
			})
		}
		if a, merged := f.Repo.Approvals[id][rollout.CloseGate]; merged {
			gates[rollout.CloseGate] = a
		}
		f.Repo.Approvals[id] = gates
	}
}

// passFirst has a release that fails, one that passes, and in a second week a
// first wave that is too small to say anything.
func passFirst(w *world) error {
	passed, undecided := 0, 0
	for _, in := range []Input{invented(), fewOwn(invented(), 4)} {
		r, err := w.week(in, crew(0.2), nil)
		if err != nil {
			return err
		}
		f := r.State.facts
		for _, i := range f.Record.Intents {
			k := slices.Index(f.Repo.Cycles[i.Cycle].Waves, i.Wave)
			if i.Action != "assign" || k <= 0 {
				continue
			}
			switch v, knew := lastVerdict(f, i, f.Repo.Cycles[i.Cycle].Waves[k-1]); {
			case v == nil:
				return fmt.Errorf("%s goes to wave %s of %s, and the wave before says nothing of it", i.Package, i.Wave, i.Tenant)
			case v.Decision == gate.Pass:
				passed++
			case v.Decision == gate.Inconclusive && knew:
				undecided++
			default:
				return fmt.Errorf("%s goes to wave %s of %s, and the wave before says %s", i.Package, i.Wave, i.Tenant, v.Decision)
			}
		}
	}
	if err := enough(20, passed, "assignments after a pass"); err != nil {
		return err
	}
	return enough(20, undecided, "assignments after an undecided last look")
}

// lastVerdict is the newest verdict of a wave on exactly what an intent brings,
// and whether people merged the approval of the intent's wave after it.
func lastVerdict(f rollout.Facts, i fleet.Intent, wave string) (last *fleet.Verdict, knew bool) {
	for n := range f.Record.Verdicts {
		v := &f.Record.Verdicts[n]
		if v.Cycle == i.Cycle && v.Wave == wave && v.Package == i.Package && v.Artifact == i.Artifact && !v.At.After(i.At) {
			last = v
		}
	}
	if last == nil {
		return nil, false
	}
	return last, slices.ContainsFunc(f.Record.Merges, func(m fleet.Merge) bool {
		return m.Approves == string(i.Cycle)+"/"+i.Wave && !m.At.Before(last.At) && !m.At.After(i.At)
	})
}

// fewOwn leaves the operator's own tenant, the first wave, a few devices.
func fewOwn(in Input, n int) Input {
	rec := *in.Facts.Record
	rec.Inventory = slices.DeleteFunc(slices.Clone(rec.Inventory), func(r fleet.InventoryRow) bool {
		n -= map[bool]int{true: 1}[r.Tenant == "direct/own"]
		return r.Tenant == "direct/own" && n < 0
	})
	in.Facts.Record = &rec
	in.Then = func(map[string]string) (*fleet.Record, error) { return &rec, nil }
	return in
}

// borrowPasses gives every release of a cycle the passes of any.
func borrowPasses(f *rollout.Facts, _ time.Time) {
	var all []fleet.Verdict
	for _, v := range f.Record.Verdicts {
		if v.Decision != gate.Pass {
			continue
		}
		for id, e := range f.Repo.Cycles[v.Cycle].Entries {
			v.Package, v.Artifact = id, e.Artifact
			all = append(all, v)
		}
	}
	f.Record.Verdicts = all
}

// ownReceipts begins with what could be taken for the first wave's receipts:
// of the very release, from before the start, and of another digest from after
// it. Each row of a started plan must still be brought to its tenant.
func ownReceipts(w *world) error {
	in := invented()
	rec := *in.Facts.Record
	for n, p := range []struct {
		id       fleet.PackageID
		artifact fleet.Digest
		at       time.Time
		name     string
	}{{good, artifactOf(good, "2.0"), on(11, 17, 11, 0), "before"}, {bad, artifactOf(bad, "1.9"), on(11, 19, 12, 0), "other"}} {
		i := fleet.Intent{
			ID: p.name, Cycle: week47, Wave: "dogfood", Tenant: "direct/own", Package: p.id, Release: "2.0", Artifact: p.artifact, Action: "assign", Generation: n + 1,
			At: on(11, 17, 11, 0), NotAfter: on(11, 17, 11, 30),
		}
		rec.Intents = append(rec.Intents, i)
		rec.Receipts = append(rec.Receipts, rollout.ReceiptFor(i, "done", p.at))
	}
	in.Facts.Record = &rec
	in.Then = func(map[string]string) (*fleet.Record, error) { return &rec, nil }
	r, err := w.week(in, Builtin(), nil)
	if err != nil {
		return err
	}
	rows := 0
	for _, s := range r.State.facts.Record.Starts {
		for _, row := range r.State.facts.Record.PlanRows[s.Plan] {
			rows++
			brought := slices.ContainsFunc(r.State.Calls, func(c Call) bool {
				return c.Action == "assign" && c.Wave == s.Wave && c.Tenant == row.Tenant && c.Package == row.Package && c.Artifact == row.Artifact && !c.Made.Before(s.At)
			})
			if !brought {
				return fmt.Errorf("wave %s never brought %s to %s: an old receipt stands for it", s.Wave, row.Package, row.Tenant)
			}
		}
	}
	return enough(36, rows, "rows of started plans")
}

// moveReceipts lets one of the old receipts count for the wave.
func moveReceipts(name string) func(*rollout.Facts, time.Time) {
	return func(f *rollout.Facts, _ time.Time) {
		f.Record.Intents, f.Record.Receipts = slices.Clone(f.Record.Intents), slices.Clone(f.Record.Receipts)
		for _, s := range f.Record.Starts {
			for n := range f.Record.Intents {
				if i := &f.Record.Intents[n]; i.ID == name && s.Wave == i.Wave {
					i.At, i.Artifact = s.At, f.Repo.Cycles[week47].Entries[i.Package].Artifact
				}
			}
			for n := range f.Record.Receipts {
				if r := &f.Record.Receipts[n]; r.Intent == name && s.Wave == r.Wave {
					r.At, r.Artifact = s.At, f.Repo.Cycles[week47].Entries[r.Package].Artifact
				}
			}
		}
	}
}
