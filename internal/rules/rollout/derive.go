package rollout

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/gate"
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
	Refusal string // why a merged closing does not count
	// Fault is what of an open cycle cannot be read, a wave that is gone from the
	// repository: nothing of it goes on then but what stops.
	Fault error

	closing *fleet.Merge // that closed it
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
	Opens    time.Time       // by the week; once started, as it was frozen then
	Approval *fleet.Approval // merged, counted and in force; nil otherwise
	Merge    *fleet.Merge    // the merge that brought it
	Refusal  string          // why a merged approval does not count
	Ended    string          // why it will never open; then no wave after it does either
	Start    *fleet.WaveStart
}

// Began is the instant the wave's age counts from: when it opened, or when it
// was started if a late runner did that after it should have opened. It is
// the zero time for a wave that has not started.
func (w *WaveState) Began() time.Time {
	if w.Start == nil {
		return time.Time{}
	}
	return later(w.Opens, w.Start.At)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// An EntryState is how far one release of a cycle has come.
type EntryState struct {
	Package fleet.PackageID
	Entry   fleet.Entry
	Last    map[string]*fleet.Verdict // wave → newest verdict
	Words   map[string][]fleet.Word   // wave → what people said of it
	Halted  *fleet.Verdict            // the fail verdict that stopped its artifact, in whichever cycle
	Held    *fleet.Hold               // a merged hold or revocation, the revocation first
	Done    bool                      // promoted on every tenant it reached
	// Superseded is the newer entry that takes its place, nil for none.
	Superseded *Supersession

	lineage []fleet.CycleID // its cycle, and those it was carried on from
}

// Stopped reports whether nothing new may be done for the entry.
func (e *EntryState) Stopped() bool { return e.Halted != nil || e.Held != nil }

// Revoked reports whether the entry is to be taken back.
func (e *EntryState) Revoked() bool { return e.Held != nil && e.Held.Kind == revocation }

// revocation is the kind of hold that takes a release back.
const revocation = "revocation"

// Derive gives the state of every cycle on main, oldest first.
func Derive(f Facts, now time.Time) ([]CycleState, error) {
	out := derive(f, newIndex(f.Record), now)
	for i := range out {
		if out[i].Fault != nil {
			return nil, out[i].Fault
		}
	}
	return out, nil
}

func derive(f Facts, x *index, now time.Time) []CycleState {
	var out []CycleState
	for _, id := range f.Repo.CycleIDs() {
		out = append(out, deriveCycle(f, x, id, now))
	}
	haltEverywhere(out)
	supersede(f.Repo, out)
	inherit(out)
	for i := range out {
		for j := range out[i].Entries {
			e := &out[i].Entries[j]
			e.Done = promoted(f, x, e)
		}
	}
	for i := range out {
		for j := range out[i].Waves {
			out[i].Waves[j].Phase = phaseOf(&out[i], &out[i].Waves[j], now)
		}
	}
	return out
}

// haltEverywhere stops an artifact that failed in one cycle in every other one
// it travels in.
func haltEverywhere(cycles []CycleState) {
	halted := map[fleet.Digest]*fleet.Verdict{}
	for i := range cycles {
		for _, e := range cycles[i].Entries {
			if e.Halted != nil && halted[e.Entry.Artifact] == nil {
				halted[e.Entry.Artifact] = e.Halted
			}
		}
	}
	for i := range cycles {
		for j := range cycles[i].Entries {
			if e := &cycles[i].Entries[j]; e.Halted == nil {
				e.Halted = halted[e.Entry.Artifact]
			}
		}
	}
}

func deriveCycle(f Facts, x *index, id fleet.CycleID, now time.Time) CycleState {
	cycle := f.Repo.Cycles[id]
	if !backed(f, id, now) {
		cycle.Overrides = nil // one person alone lets nothing through a freeze
	}
	c := CycleState{ID: id, Cycle: cycle}
	fault := func(err error) {
		if c.Fault == nil && !c.Closed {
			c.Fault = err
		}
	}
	if !id.Valid() {
		fault(fleet.Errorf(fleet.Invalid, "rollout.derive", string(id), "is no name of a cycle such as 2026-W47"))
	}
	closing, merge, refusal := approved(f, id, CloseGate, now, true)
	if c.Closed, c.Refusal = closing != nil, refusal; c.Closed {
		c.closing = merge
	}
	waves, err := wavesOf(f.Repo, id, cycle)
	if err != nil {
		fault(err)
	}
	for _, pkg := range slices.Sorted(maps.Keys(cycle.Entries)) {
		c.Entries = append(c.Entries, EntryState{Package: pkg, Entry: cycle.Entries[pkg], Last: map[string]*fleet.Verdict{}})
	}
	for _, w := range waves {
		ws := WaveState{Wave: w}
		if ws.Opens, err = calendar.Opens(f.Repo.Week, id, cycle.CutOff, w); err != nil {
			fault(err)
		}
		if ws.Start = startOf(f.Record, id, w.Name); ws.Start != nil && !ws.Start.Opens.IsZero() {
			ws.Opens = ws.Start.Opens // the week may have been changed since
		}
		ws.Approval, ws.Merge, ws.Refusal = approved(f, id, w.Name, now, ws.Start != nil || c.Closed)
		ws.Ended = ended(f.Repo.Approvals[id][w.Name], &ws, now)
		c.Waves = append(c.Waves, ws)
	}
	for i := range c.Entries {
		deriveEntry(f, x, &c, &c.Entries[i], now)
	}
	return c
}

// CloseGate is the gate whose approval closes a cycle.
const CloseGate = "close"

// ApprovalLasts is how long after its wave opens an approval may still be acted
// on.
const ApprovalLasts = 24 * time.Hour

// ended says why a wave that has not started never will, "" while it may:
// people refused it, or its time went by. Its releases travel in a later cycle,
// if nobody refused them.
func ended(a fleet.Approval, w *WaveState, now time.Time) string {
	switch {
	case w.Start != nil || w.Approval != nil:
		return ""
	case a.Decision == "rejected":
		return "refused: " + a.Because
	case now.After(later(w.Opens.Add(ApprovalLasts), a.ValidUntil)):
		return "missed: nobody had approved it when its time was over; what it holds travels in a later cycle"
	}
	return ""
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
// and not older than the wave's beginning count.
func deriveEntry(f Facts, x *index, c *CycleState, e *EntryState, now time.Time) {
	for i := range f.Record.Verdicts {
		v := &f.Record.Verdicts[i]
		if v.Cycle != c.ID || v.Package != e.Package || v.Artifact != e.Entry.Artifact {
			continue
		}
		ws := c.Wave(v.Wave)
		if ws == nil || ws.Start == nil || v.At.Before(ws.Began()) {
			continue
		}
		e.Last[v.Wave] = v
		if v.Decision == "fail" && e.Halted == nil {
			e.Halted = v
		}
	}
	e.Words = wordsOn(f.Record, c.ID, e.Package)
	e.Held = holdOn(f.Repo, x.revoked, e.Package, e.Entry, now)
}

// holdOn is the hold in force on an entry, nil if there is none. A revocation
// never ends, not even with its file, and no other hold stands before it.
func holdOn(repo *fleet.Repository, revoked map[fleet.PackageID][]fleet.Hold, id fleet.PackageID, e fleet.Entry, now time.Time) *fleet.Hold {
	if h, ok := repo.Revoked(id, e); ok {
		return &h
	}
	for _, h := range revoked[id] {
		if h.Of(id, e) {
			return &h
		}
	}
	for _, name := range slices.Sorted(maps.Keys(repo.Holds)) {
		if h := repo.Holds[name]; h.Kind != revocation && h.Of(id, e) && (h.Expires == nil || now.Before(*h.Expires)) {
			return &h
		}
	}
	return nil
}

// promoted reports whether every tenant that took the entry has it in its
// stable slot, or a newer one.
func promoted(f Facts, x *index, e *EntryState) bool {
	reached := present(f.Repo, x.reached(e.lineage, e.Package, e.Entry.Artifact))
	for _, t := range reached {
		if !x.promoted(e, t) && !takenOver(x.slots[slot{t, e.Package}], e.Entry.Artifact) {
			return false
		}
	}
	return len(reached) > 0
}

// promoted reports whether an entry is in a tenant's stable slot, and was put
// there when no call could assign it any longer.
func (x *index) promoted(e *EntryState, t fleet.TenantID) bool {
	traces := x.slots[slot{t, e.Package}]
	return carriedOut(traces, of(e.lineage, e.Entry.Artifact, "promote"), lease(traces, of(e.lineage, e.Entry.Artifact, "assign")))
}

func phaseOf(c *CycleState, w *WaveState, now time.Time) string {
	switch {
	case spent(c, w):
		return WaveJudged
	case w.Start == nil && w.Approval == nil:
		return WaveClosed
	case w.Start == nil:
		return WaveOpening
	case now.Before(w.Began()):
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
		if e.unwatched(w) || gate.Settled(w.Wave.Gate, e.Last[w.Wave.Name]) {
			continue
		}
		return false
	}
	return true
}
