package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
)

// Two cycles overlap when the second is opened before the first has ended. Of
// one package on one tenant, one entry is open at a time:
//
//   - what has not begun takes the newer release: waves of the older entry that
//     have not started are superseded;
//   - what has begun is judged first: the newer one waits on a tenant until the
//     older one has its last word there;
//   - a fix of a vulnerability waits for nobody and supersedes at once.
//
// Evidence never goes over from one artifact to another.

// A Supersession is the newer entry that takes an entry's place.
type Supersession struct {
	Cycle   fleet.CycleID `json:"cycle"`
	Release string        `json:"release"`
	At      time.Time     `json:"at"`               // when its cycle was opened
	AtOnce  bool          `json:"atOnce,omitempty"` // it fixes a vulnerability
}

// supersede finds, for every entry of an open cycle, the newest entry of its
// package in another cycle that was opened and is not stopped.
func supersede(repo *fleet.Repository, cycles []CycleState) {
	for i := range cycles {
		c := &cycles[i]
		for j := range c.Entries {
			e := &c.Entries[j]
			best := counterOf(repo, e)
			for k := range cycles {
				other := &cycles[k]
				n := other.Entry(e.Package)
				at, opened := openedAt(other)
				if k == i || n == nil || !opened || n.Stopped() || barren(other) || n.Entry.Artifact == e.Entry.Artifact || counterOf(repo, n) <= best {
					continue
				}
				best = counterOf(repo, n)
				e.Superseded = &Supersession{Cycle: other.ID, Release: n.Entry.Release, At: at, AtOnce: isFix(repo, n)}
			}
			if e.Superseded == nil {
				e.Superseded = elsewhere(cycles, i, e)
			}
		}
	}
}

// elsewhere is another open cycle that carries the very same artifact and was
// opened first, as when a fix is proposed in its lane and by the week and both
// are merged. It travels once: here it has nothing to do.
func elsewhere(cycles []CycleState, i int, e *EntryState) *Supersession {
	c := &cycles[i]
	mine, opened := openedAt(c)
	for k := range cycles {
		o := &cycles[k]
		n := o.Entry(e.Package)
		at, first := openedAt(o)
		if k == i || o.Closed || c.Closed || n == nil || n.Entry.Artifact != e.Entry.Artifact || !first {
			continue
		}
		if !opened || at.Before(mine) || at.Equal(mine) && o.ID < c.ID {
			return &Supersession{Cycle: o.ID, Release: n.Entry.Release, At: at, AtOnce: true}
		}
	}
	return nil
}

// barren reports whether a cycle brings its entries to nobody any more: a gate
// was refused or missed, or it was closed before its last wave began. What it
// carries takes nobody's place.
func barren(c *CycleState) bool {
	last := &c.Waves[len(c.Waves)-1]
	return last.Start == nil && (c.Closed || slices.ContainsFunc(c.Waves, func(w WaveState) bool { return w.Ended != "" }))
}

// openedAt is when the merge that opened a cycle was made; false while its
// first wave has no approval that counts.
func openedAt(c *CycleState) (time.Time, bool) {
	if len(c.Waves) == 0 || c.Waves[0].Approval == nil || c.Waves[0].Merge == nil {
		return time.Time{}, false
	}
	return c.Waves[0].Merge.At, true
}

func counterOf(repo *fleet.Repository, e *EntryState) int {
	return repo.Packages[e.Package].Releases[e.Entry.Release].Counter
}

func isFix(repo *fleet.Repository, e *EntryState) bool {
	return repo.Packages[e.Package].Releases[e.Entry.Release].Change == "security"
}

// SupersededIn reports whether a newer entry has taken an entry's place in a
// wave: in one that had not started when the newer cycle was opened, and in any
// where the newer one fixes a vulnerability.
func (e *EntryState) SupersededIn(w *WaveState) bool {
	s := e.Superseded
	return s != nil && (s.AtOnce || w.Start == nil || w.Start.At.After(s.At))
}

// over reports whether an entry goes to no more devices in a wave.
func (e *EntryState) over(w *WaveState) bool { return e.Stopped() || e.SupersededIn(w) }

// unwatched reports whether a gate has nothing to look at any more: what is on
// devices stays judged, whatever supersedes it.
func (e *EntryState) unwatched(w *WaveState) bool {
	return e.Stopped() || e.SupersededIn(w) && (w.Start == nil || w.Start.At.After(e.Superseded.At))
}

// spent reports whether every entry is over in a wave that has not started: no
// approval of it would let anything happen.
func spent(c *CycleState, w *WaveState) bool {
	return w.Start == nil && len(c.Entries) > 0 && !slices.ContainsFunc(c.Entries, func(e EntryState) bool { return !e.over(w) })
}

// occupied says which other entry keeps a tenant's slot, "" when an entry may
// take it.
func (s *stepper) occupied(c *CycleState, e *EntryState, t fleet.TenantID) string {
	traces := s.x.slots[slot{t, e.Package}]
	if newer := s.newerStable(traces, e); newer != "" {
		return newer + ", which is newer, is stable there"
	}
	for i := range s.cycles {
		o := &s.cycles[i]
		n := o.Entry(e.Package)
		if o.ID == c.ID || n == nil || n.Entry.Artifact == e.Entry.Artifact {
			continue
		}
		put, in := holdsSlot(traces, o.ID, n.Entry.Artifact)
		if put == 0 {
			continue
		}
		switch newer := counterOf(s.f.Repo, n) > counterOf(s.f.Repo, e); {
		case newer && !n.Stopped():
			return entryName(n.Entry) + " of " + string(o.ID) + ", which is newer, is there"
		case isFix(s.f.Repo, e):
		case n.Stopped():
			return entryName(n.Entry) + " of " + string(o.ID) + " is being taken back there"
		case !o.Closed && !o.lastWord(in, n):
			return entryName(n.Entry) + " of " + string(o.ID) + " is not judged there yet"
		case o.passedAll(n) && !s.x.promoted(n, t):
			return entryName(n.Entry) + " of " + string(o.ID) + " has passed every wave and is made stable there first"
		}
	}
	return ""
}

// newerStable is a newer release that a tenant's stable slot was given, and that
// was not taken back since; "" when there is none.
func (s *stepper) newerStable(traces []trace, e *EntryState) string {
	releases := s.f.Repo.Packages[e.Package].Releases
	best, release := 0, ""
	for _, x := range traces {
		if x.done && x.Action == "promote" && releases[x.Release].Counter > releases[e.Entry.Release].Counter && max(x.Generation, 1) > best {
			best, release = max(x.Generation, 1), x.Release
		}
	}
	if newest(traces, func(x trace) bool { return x.done && x.Action == "rollback" }) > best {
		return ""
	}
	return release
}

// holdsSlot is the generation at which an artifact came into a candidate slot
// by a cycle, and its wave; 0 when it never did or the slot was emptied since.
func holdsSlot(traces []trace, id fleet.CycleID, artifact fleet.Digest) (put int, wave string) {
	for _, x := range traces {
		if x.Action == "assign" && x.Cycle == id && x.Artifact == artifact && max(x.Generation, 1) > put {
			put, wave = max(x.Generation, 1), x.Wave
		}
	}
	if newest(traces, func(x trace) bool { return x.done && clears(x) }) > put {
		return 0, ""
	}
	return put, wave
}

// lastWord reports whether an entry has its last word in a wave.
func (c *CycleState) lastWord(wave string, e *EntryState) bool {
	w := c.Wave(wave)
	if w == nil || e.Stopped() || e.Superseded != nil && e.Superseded.AtOnce {
		return true
	}
	return gate.Settled(w.Wave.Gate, e.Last[wave])
}

// passedAll reports whether an entry passed the cycle's last wave.
func (c *CycleState) passedAll(e *EntryState) bool {
	if len(c.Waves) == 0 || e.Stopped() {
		return false
	}
	v := e.Last[c.Waves[len(c.Waves)-1].Wave.Name]
	return v != nil && v.Decision == "pass"
}

// takenOver reports whether another artifact has come into a tenant's slots
// after an entry, and is still there.
func takenOver(traces []trace, artifact fleet.Digest) bool {
	own := newest(traces, func(x trace) bool { return x.Action == "assign" && x.Artifact == artifact })
	if newest(traces, func(x trace) bool { return x.done && x.Action == "promote" && x.Artifact != artifact }) > own {
		return true
	}
	other := newest(traces, func(x trace) bool { return x.Action == "assign" && x.Artifact != artifact })
	return other > own && newest(traces, func(x trace) bool { return x.done && clears(x) }) < other
}

// passedOver is how often in a row the releases of a package may be superseded
// before they reached everybody. The next one is let through first: upstreams
// that release every week would else keep all but the first waves without any
// release for ever.
const passedOver = 2

// starved reports whether the package's open entry has to reach everybody
// before a newer release may take its place. Fixes do not wait for that.
func starved(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID) bool {
	var carrying []fleet.CycleID
	for name, c := range repo.Cycles {
		if _, ok := c.Entries[id]; ok {
			carrying = append(carrying, name)
		}
	}
	if len(carrying) <= passedOver {
		return false
	}
	slices.SortFunc(carrying, func(a, b fleet.CycleID) int { return repo.Cycles[b].CutOff.Compare(repo.Cycles[a].CutOff) })
	if closedCycle(repo, rec, carrying[0]) {
		return false
	}
	last, n := fleet.Digest(""), 0
	for _, name := range carrying {
		e := repo.Cycles[name].Entries[id]
		switch {
		case e.Artifact == last: // carried on from there
		case reachedAll(repo, rec, name, id) || failedOnce(rec, e.Artifact):
			return n > passedOver
		default:
			last, n = e.Artifact, n+1
		}
	}
	return n > passedOver
}

// reachedAll reports whether an entry got into its cycle's last wave.
func reachedAll(repo *fleet.Repository, rec *fleet.Record, name fleet.CycleID, id fleet.PackageID) bool {
	waves := repo.Cycles[name].Waves
	return len(waves) > 0 && slices.ContainsFunc(rec.Intents, func(i fleet.Intent) bool {
		return i.Cycle == name && i.Package == id && i.Wave == waves[len(waves)-1] && i.Action == "assign"
	})
}

func failedOnce(rec *fleet.Record, artifact fleet.Digest) bool {
	return slices.ContainsFunc(rec.Verdicts, func(v fleet.Verdict) bool { return v.Artifact == artifact && v.Decision == "fail" })
}

func closedCycle(repo *fleet.Repository, rec *fleet.Record, name fleet.CycleID) bool {
	closed, _, _ := approved(Facts{Repo: repo, Record: rec}, name, CloseGate, time.Time{}, true)
	return closed != nil
}
