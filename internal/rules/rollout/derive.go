package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// The phases of a wave.
const (
	WaveClosed  = "closed"  // not approved
	WaveOpening = "opening" // approved, not started
	WaveArmed   = "armed"   // assigned, its instant has not come
	WaveBaking  = "baking"  // devices take it, the gate looks
	WaveJudged  = "judged"  // every entry has its last word
)

// A CycleState is how far a cycle has come, derived from facts.
type CycleState struct {
	ID      fleet.CycleID
	Cycle   fleet.Cycle
	Waves   []WaveState
	Entries []EntryState // by package id
	Closed  bool
}

// Wave is the state of the named wave, nil when the cycle has none.
func (c *CycleState) Wave(name string) *WaveState {
	i := slices.IndexFunc(c.Waves, func(w WaveState) bool { return w.Wave.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Waves[i]
}

// Entry is the state of the named package's entry, nil when there is none.
func (c *CycleState) Entry(id fleet.PackageID) *EntryState {
	i := slices.IndexFunc(c.Entries, func(e EntryState) bool { return e.Package == id })
	if i < 0 {
		return nil
	}
	return &c.Entries[i]
}

// A WaveState is how far a wave of a cycle has come.
type WaveState struct {
	Wave     fleet.Wave
	Phase    string
	Opens    time.Time
	Approval *fleet.Approval // merged, counted and in force; nil otherwise
	Merge    *fleet.Merge    // the merge that brought it
	Refusal  string          // why a merged approval does not count
	Start    *fleet.WaveStart
}

// An EntryState is how far one release of a cycle has come.
type EntryState struct {
	Package fleet.PackageID
	Entry   fleet.Entry
	Last    map[string]*fleet.Verdict // wave → newest verdict
	Halted  *fleet.Verdict            // the fail verdict that stopped it
	Held    *fleet.Hold               // a merged hold or revocation
	Done    bool                      // promoted on every tenant it reached
}

// Stopped reports whether nothing new may be done for the entry.
func (e *EntryState) Stopped() bool { return e.Halted != nil || e.Held != nil }

// Derive gives the state of every cycle on main, oldest first.
func Derive(f Facts, now time.Time) ([]CycleState, error) {
	var out []CycleState
	for _, id := range f.Repo.CycleIDs() {
		c, err := deriveCycle(f, id, now)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func deriveCycle(f Facts, id fleet.CycleID, now time.Time) (CycleState, error) {
	cycle := f.Repo.Cycles[id]
	c := CycleState{ID: id, Cycle: cycle}
	waves, err := wavesOf(f.Repo, cycle)
	if err != nil {
		return c, err
	}
	steps, err := calendar.StepsOf(f.Repo.Week, id)
	if err != nil {
		return c, err
	}
	if a, m, _ := approved(f, id, CloseGate, now, true); a != nil && m != nil {
		c.Closed = true
	}
	for _, pkg := range slices.Sorted(maps.Keys(cycle.Entries)) {
		c.Entries = append(c.Entries, EntryState{Package: pkg, Entry: cycle.Entries[pkg], Last: map[string]*fleet.Verdict{}})
	}
	for _, w := range waves {
		ws := WaveState{Wave: w, Opens: steps[w.Opens.Step]}
		ws.Start = startOf(f.Record, id, w.Name)
		ws.Approval, ws.Merge, ws.Refusal = approved(f, id, w.Name, now, ws.Start != nil)
		c.Waves = append(c.Waves, ws)
	}
	for i := range c.Entries {
		deriveEntry(f, &c, &c.Entries[i], now)
	}
	for i := range c.Waves {
		c.Waves[i].Phase = phaseOf(&c, &c.Waves[i], now)
	}
	return c, nil
}

// CloseGate is the gate whose approval closes a cycle.
const CloseGate = "close"

// approved is the approval of a gate if it counts: its decision is approved,
// it came by a recorded merge that enough approvers of the parent's policy had
// seen, its plan is the one that is recomputed from the facts, and it is still
// valid. A wave that has started keeps its approval.
func approved(f Facts, id fleet.CycleID, gate string, now time.Time, started bool) (*fleet.Approval, *fleet.Merge, string) {
	a, ok := f.Repo.Approvals[id][gate]
	if !ok {
		return nil, nil, ""
	}
	if a.Decision != "approved" {
		return nil, nil, "rejected: " + a.Because
	}
	m := mergeOf(f.Record, a)
	switch {
	case m == nil:
		return nil, nil, "no merge of this approval is recorded in evidence yet"
	case len(m.Approvers) < f.Repo.Operator.Trust.Approvals:
		return nil, m, "its pull request was not approved by an approver of the policy before it"
	case started:
		return &a, m, ""
	case now.After(a.ValidUntil):
		return nil, m, "it was valid until " + a.ValidUntil.UTC().Format(time.RFC3339)
	}
	if gate != CloseGate {
		if plan, ok := f.Plans[id][gate]; ok && plan.Digest() != a.Plan {
			return nil, m, "the plan is another one now: " + string(plan.Digest())
		}
	}
	return &a, m, ""
}

// mergeOf is the recorded merge that brought an approval.
func mergeOf(rec *fleet.Record, a fleet.Approval) *fleet.Merge {
	for i := range rec.Merges {
		m := &rec.Merges[i]
		if m.Approves == string(a.Cycle)+"/"+a.Gate && m.Plan == a.Plan {
			return m
		}
	}
	return nil
}

func startOf(rec *fleet.Record, id fleet.CycleID, wave string) *fleet.WaveStart {
	for i := range rec.Starts {
		if s := &rec.Starts[i]; s.Cycle == id && s.Wave == wave {
			return s
		}
	}
	return nil
}

// deriveEntry reads an entry's verdicts: only those for exactly its artifact
// and newer than the wave's start count.
func deriveEntry(f Facts, c *CycleState, e *EntryState, now time.Time) {
	for i := range f.Record.Verdicts {
		v := &f.Record.Verdicts[i]
		if v.Cycle != c.ID || v.Package != e.Package || v.Artifact != e.Entry.Artifact {
			continue
		}
		ws := c.Wave(v.Wave)
		if ws == nil || ws.Start == nil || v.At.Before(ws.Start.At) {
			continue
		}
		e.Last[v.Wave] = v
		if v.Decision == "fail" && e.Halted == nil {
			e.Halted = v
		}
	}
	if h, ok := f.Repo.Held(e.Package, e.Entry.Release, now); ok {
		e.Held = &h
	}
	e.Done = promoted(f, c, e)
}

// promoted reports whether every tenant that took the entry has it in its
// stable slot.
func promoted(f Facts, c *CycleState, e *EntryState) bool {
	reached := reachedTenants(f.Record, c.ID, e.Package, e.Entry.Artifact)
	if len(reached) == 0 {
		return false
	}
	for t := range reached {
		if !receipted(f.Record, c.ID, t, e.Package, e.Entry.Artifact, "promote") {
			return false
		}
	}
	return true
}

// Reached are the tenants that an entry's rollback must cover, sorted.
func Reached(rec *fleet.Record, id fleet.CycleID, pkg fleet.PackageID, artifact fleet.Digest) []fleet.TenantID {
	return slices.Sorted(maps.Keys(reachedTenants(rec, id, pkg, artifact)))
}

// reachedTenants are the tenants with an intent to take the artifact: what a
// rollback must cover, receipt or not.
func reachedTenants(rec *fleet.Record, id fleet.CycleID, pkg fleet.PackageID, artifact fleet.Digest) map[fleet.TenantID]bool {
	out := map[fleet.TenantID]bool{}
	for _, i := range rec.Intents {
		if i.Cycle == id && i.Package == pkg && i.Artifact == artifact && i.Action == "assign" {
			out[i.Tenant] = true
		}
	}
	return out
}

func receipted(rec *fleet.Record, id fleet.CycleID, t fleet.TenantID, pkg fleet.PackageID, artifact fleet.Digest, action string) bool {
	return slices.ContainsFunc(rec.Receipts, func(r fleet.Receipt) bool {
		return r.Cycle == id && r.Tenant == t && r.Package == pkg && r.Artifact == artifact && r.Action == action && r.Outcome == "done"
	})
}

func phaseOf(c *CycleState, w *WaveState, now time.Time) string {
	switch {
	case w.Start == nil && w.Approval == nil:
		return WaveClosed
	case w.Start == nil:
		return WaveOpening
	case now.Before(w.Opens):
		return WaveArmed
	case judged(c, w):
		return WaveJudged
	default:
		return WaveBaking
	}
}

// judged reports whether every entry has its last word in a wave: passed,
// stopped, or looked at for the last time.
func judged(c *CycleState, w *WaveState) bool {
	for i := range c.Entries {
		e := &c.Entries[i]
		v := e.Last[w.Wave.Name]
		if e.Stopped() || v != nil && (v.Decision == "pass" || v.Look >= lastLook(w.Wave.Gate)) {
			continue
		}
		return false
	}
	return true
}

func lastLook(g fleet.Gate) fleet.Duration {
	if len(g.Looks) == 0 {
		return 0
	}
	return slices.Max(g.Looks)
}
