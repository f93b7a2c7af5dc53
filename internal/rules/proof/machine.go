package proof

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// How a wave was approved.
const (
	unapproved = iota
	early      // by a person, before the wave in front had its last word
	informed   // by a person, after it
	automatic  // by packmill
)

// A fact is what is known of one wave in a state of the machine.
type fact struct {
	approval int
	started  bool
	looks    int // that were taken
	verdict  string
	hollow   bool // the verdict passes what failed, or nothing
	silent   bool // some devices did not report at the last look
	ruin     bool // every device failed at the last look
	spoilt   bool // at some look not every device succeeded
}

// A state is the facts of all waves of a lane, for a cycle of one release, and
// the step that led to it.
type state struct {
	facts []fact
	step  string
	from  *state
	made  *rollout.CycleState // see machine.cycle; nil until somebody asks
}

// trace is the way to a state, step by step.
func (s *state) trace() []string {
	var out []string
	for ; s != nil && s.from != nil; s = s.from {
		out = append(out, s.step)
	}
	slices.Reverse(out)
	return out
}

// key names the facts that decide what can follow: those of the wave that is
// under way, its neighbours, and what there was to say against those before.
func (s *state) key() string {
	now := 0
	for i, f := range s.facts {
		if f.started {
			now = i
		}
	}
	from := max(now-1, 0)
	spoilt, wrong := false, -1
	for i := range from {
		spoilt = spoilt || s.facts[i].spoilt
		if wrong < 0 && !s.facts[i].lets(s.facts[i+1]) {
			wrong = i
		}
	}
	return fmt.Sprint(now, spoilt, wrong, s.facts[from:])
}

// lets reports whether what a wave showed may lead to the next one, approved as
// it was.
func (f fact) lets(next fact) bool {
	switch {
	case next.approval == unapproved:
		return false
	case f.verdict == gate.Pass:
		return !f.hollow
	default:
		return f.verdict == gate.Inconclusive && next.approval == informed
	}
}

// then is the state after a step that changes one wave.
func (s *state) then(i int, edit func(f *fact), step string, args ...any) *state {
	next := &state{facts: slices.Clone(s.facts), from: s, step: fmt.Sprintf(step, args...)}
	edit(&next.facts[i])
	return next
}

// A machine is the way of a release through the waves of a lane: who can do
// what, and what the rules for real cycles make of it.
type machine struct {
	waves   []fleet.Wave
	lane    string
	answers map[question]answer // of gates that were asked before
}

// A question to a gate: which wave's, at which look, what devices reported.
type question struct {
	wave, look int
	counts     fleet.Counts
}

const subject fleet.PackageID = "any/release"

// epoch and stride place the facts of a state in time: a wave begins long
// after the one before has had its last look.
var epoch = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

const stride = 1000 * 24 * time.Hour

func began(i int) time.Time { return epoch.Add(time.Duration(i) * stride) }

// cycle is a state as the rules of package rollout see it.
func (m machine) cycle(s *state) *rollout.CycleState {
	if s.made != nil {
		return s.made
	}
	c := &rollout.CycleState{ID: "2026-W02"}
	if m.lane != fleet.LaneWeek {
		c.ID += fleet.CycleID("-" + m.lane + "-01")
	}
	e := rollout.EntryState{Package: subject, Last: map[string]*fleet.Verdict{}}
	for i, w := range m.waves {
		f := s.facts[i]
		ws := rollout.WaveState{Wave: w, Opens: began(i)}
		if f.approval != unapproved {
			ws.Approval = &fleet.Approval{Cycle: c.ID, Gate: w.Name, Decision: "approved"}
			ws.Merge = &fleet.Merge{At: began(i).Add(-time.Hour)}
			if f.approval == early {
				ws.Merge.At = epoch.Add(-time.Hour)
			}
		}
		if f.started {
			ws.Start = &fleet.WaveStart{Cycle: c.ID, Wave: w.Name, Opens: began(i), At: began(i)}
		}
		if f.looks > 0 {
			v := &fleet.Verdict{Cycle: c.ID, Wave: w.Name, Package: subject, Look: lookAt(w.Gate, f.looks), Decision: f.verdict}
			v.At = began(i).Add(v.Look.Std())
			if f.silent {
				v.Counts.Silent = 1
			}
			e.Last[w.Name] = v
			if f.verdict == gate.Fail {
				e.Halted = v
			}
		}
		c.Waves = append(c.Waves, ws)
	}
	c.Entries = []rollout.EntryState{e}
	s.made = c
	return c
}

// lookAt is the age of the nth look, from 1.
func lookAt(g fleet.Gate, n int) fleet.Duration { return gate.Looks(g)[n-1] }

// judged reports whether a wave lets the next one begin, by the real rules.
func (m machine) judged(s *state, i int) bool {
	return s.facts[i].started && m.cycle(s).PhaseAt(i, began(i+1)) == rollout.WaveJudged
}

// exposed reports whether devices of a wave get the release.
func (m machine) exposed(s *state, i int) bool {
	if !s.facts[i].started {
		return false
	}
	c := m.cycle(s)
	return c.Bars(i, &c.Entries[0]) == ""
}

// next are the states that can follow.
func (m machine) next(s *state) []*state {
	var out []*state
	for i, w := range m.waves {
		f := s.facts[i]
		ready := i == 0 || m.judged(s, i-1)
		if f.approval == unapproved {
			out = append(out, m.approvals(s, i, ready)...)
		}
		if f.approval != unapproved && !f.started && ready {
			out = append(out, s.then(i, func(f *fact) { f.started = true }, "wave %s starts", w.Name))
		}
		if f.started && !f.halted() && m.exposed(s, i) {
			out = append(out, m.verdicts(s, i)...)
		}
	}
	return out
}

func (f fact) halted() bool { return f.verdict == gate.Fail }

// approvals are the ways to approve a wave. People may do it whenever they
// like; packmill where the wave before says so, and passed.
func (m machine) approvals(s *state, i int, ready bool) []*state {
	name := m.waves[i].Name
	if i == 0 {
		return []*state{s.then(i, func(f *fact) { f.approval = informed }, "a person merges the cycle, which approves wave %s", name)}
	}
	before := s.facts[i-1]
	var out []*state
	switch {
	case ready:
		out = append(out, s.then(i, func(f *fact) { f.approval = informed }, "a person merges the approval of wave %s", name))
	case before.started:
		out = append(out, s.then(i, func(f *fact) { f.approval = early }, "a person merges the approval of wave %s before the verdict", name))
	}
	if ready && m.waves[i-1].Advance == "autoMerge" && before.verdict == gate.Pass {
		out = append(out, s.then(i, func(f *fact) { f.approval = automatic }, "packmill merges the approval of wave %s", name))
	}
	return out
}

// verdicts are what the next look at a wave can give, whatever devices report.
func (m machine) verdicts(s *state, i int) []*state {
	w, f := m.waves[i], s.facts[i]
	if f.looks == len(gate.Looks(w.Gate)) || f.looks > 0 && m.judged(s, i) {
		return nil
	}
	var out []*state
	for _, o := range outcomes(w) {
		answer := m.decide(question{i, f.looks + 1, o.counts})
		// Pooled, what the waves before showed speaks for one that is silent; it
		// never speaks for devices that fail.
		bad := o.bad && (!answer.pooled || o.counts.Failed > 0)
		out = append(out, s.then(i, func(f *fact) {
			f.looks, f.verdict, f.hollow = f.looks+1, answer.decision, answer.decision == gate.Pass && bad
			f.silent, f.ruin, f.spoilt = o.counts.Silent > 0, o.counts.Failed == crowd, f.spoilt || o.counts.Succeeded != crowd
		}, "look %d of wave %s: %s, and its verdict is %s", f.looks+1, w.Name, o.word, answer.decision))
	}
	return out
}

// An answer is a gate's, and whether it took the waves before it in.
type answer struct {
	decision string
	pooled   bool
}

// decide asks the gate itself, in the case that is hardest for it: the waves
// before were without fault, everybody whose word it wants signed off, and the
// devices are spread over tenants too small to have a limit of their own.
func (m machine) decide(q question) answer {
	if a, known := m.answers[q]; known {
		return a
	}
	g := m.waves[q.wave].Gate
	in := gate.Inputs{
		Wave: m.waves[q.wave].Name, Package: subject, Gate: g, Look: lookAt(g, q.look),
		Counts: map[fleet.TenantID]fleet.Counts{"": q.counts}, Limits: map[fleet.TenantID]float64{"": 100},
	}
	if q.wave > 0 {
		in.Earlier = map[fleet.TenantID]fleet.Counts{"": {Succeeded: crowd}}
	}
	for n := range g.SignOffs {
		in.Words = append(in.Words, fleet.Word{Wave: in.Wave, Package: subject, Kind: fleet.SignOff, By: fmt.Sprint("person", n), At: epoch})
	}
	v := gate.Decide(in)
	m.answers[q] = answer{v.Decision, v.Pooled != nil}
	return m.answers[q]
}

// crowd is a wave so large that chance plays no part in it any more.
const crowd = 10_000

// An outcome is one way in which the devices of a wave can fare.
type outcome struct {
	word   string
	counts fleet.Counts
	bad    bool // no verdict may pass it
}

// outcomes are the ways that a gate has to tell apart.
func outcomes(w fleet.Wave) []outcome {
	few := max(w.Gate.MinReports-1, 0)
	return []outcome{
		{"every device succeeds", fleet.Counts{Succeeded: crowd}, false},
		{"every device fails", fleet.Counts{Failed: crowd}, true},
		{"every second device fails", fleet.Counts{Succeeded: crowd / 2, Failed: crowd / 2}, true},
		{"no device reports", fleet.Counts{Silent: crowd}, true},
		{"too few devices report", fleet.Counts{Succeeded: few, Silent: crowd}, false},
		{"the wave has no device", fleet.Counts{}, true},
	}
}
