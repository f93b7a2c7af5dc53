package rollout_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// read adds what a runner reads: main and evidence.
func (s *mState) read(key []byte) []byte {
	key = append(key, bit(s.later), byte(s.waves[0])<<2|byte(s.waves[1]))
	key = s.main.append(key)
	for _, v := range s.verdicts {
		key = append(key, bit(v[0])|bit(v[1])<<1|bit(v[2])<<2)
	}
	for _, list := range s.intents {
		key = append(key, byte(len(list)))
		for _, x := range list {
			key = append(key, byte(x.action)<<4|byte(x.wave)<<2|byte(x.age), byte(x.generation)<<4|byte(x.done)<<2|bit(x.late)<<1|bit(x.ended))
		}
	}
	return key
}

func (x mMain) append(key []byte) []byte {
	return append(key, byte(x.approved[0])|byte(x.approved[1])<<2|byte(x.approved[2])<<4|bit(x.revoked)<<6)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// A stateKey is a state as bytes, or what a runner reads of it.
type stateKey [64]byte

func keyOf(write func([]byte) []byte) (key stateKey) {
	if n := len(write(key[:0])); n > len(key) {
		panic("a state does not fit its key")
	}
	return key
}

// key is a state without the number of mishaps that may still come. The runners
// are alike: which is which makes no difference.
func (s *mState) key() stateKey {
	return keyOf(func(key []byte) []byte {
		key = append(s.read(key), byte(s.watched))
		for _, t := range s.tenants {
			key = append(key, bit(t.candidate)|bit(t.stable)<<1|bit(t.installed)<<2|bit(t.back)<<3)
		}
		a, b := s.runners[0].key(), s.runners[1].key()
		if bytes.Compare(a[:], b[:]) > 0 {
			a, b = b, a
		}
		return append(append(key, a[:]...), b[:]...)
	})
}

func (x *mRunner) key() [8]byte {
	key := [8]byte{byte(x.stage)<<4 | byte(x.action)<<1 | byte(x.wave), byte(x.next)<<2 | bit(x.moved)<<1 | bit(x.sawFail)}
	for t, o := range x.orders {
		copy(key[2+3*t:], []byte{bit(o.wanted) | bit(o.taken)<<1 | bit(o.missed)<<2, byte(o.intent), byte(o.lease)})
	}
	return key
}

// An explored is what a search found.
type explored struct {
	states int
	wrong  *violation
	trace  []string
	ends   map[string]bool
}

// A from is how a state was reached first: by which successor of which state.
type from struct{ before, which int32 }

// A search is an exploration under way.
type search struct {
	m       *model
	known   map[stateKey]struct{}
	drained map[stateKey]struct{}
	froms   []from
	pending [][]visit // by the number of mishaps that may still come
	ends    map[string]bool
}

// A visit is a state to look at.
type visit struct {
	state mState
	from  from
	at    int32
}

// explore visits every state that can be reached, the nearest first, and holds
// each against the invariants until one does not hold. From every one it also
// lets both runners be killed, and another finish, with a revocation and without.
//
// A state in which more may still go wrong can do all that the same one can in
// which less may: that one is not visited.
func (m *model) explore() explored {
	v := &search{m: m, known: map[stateKey]struct{}{}, drained: map[stateKey]struct{}{}, pending: make([][]visit, m.mishaps+1), ends: map[string]bool{}}
	v.pending[m.mishaps] = []visit{{m.begin(), from{-1, 0}, 0}}
	for left := m.mishaps; left >= 0; left-- {
		var queue []visit
		for _, n := range v.pending[left] {
			queue = v.enqueue(queue, n)
		}
		v.pending[left] = nil
		for ; len(queue) > 0; queue = queue[1:] {
			s, at := &queue[0].state, queue[0].at
			if wrong := v.drain(s); wrong != nil {
				return v.found(wrong, at, "both runners are killed, and another finishes")
			}
			for i, n := range m.successors(s) {
				if n.wrong != nil {
					return v.found(n.wrong, at, n.label)
				}
				next := visit{state: n.state, from: from{at, int32(i)}}
				if next.state.mishaps == left {
					queue = v.enqueue(queue, next)
				} else if _, known := v.known[next.state.key()]; !known {
					v.pending[next.state.mishaps] = append(v.pending[next.state.mishaps], next)
				}
			}
		}
	}
	return explored{states: len(v.froms), ends: v.ends}
}

// enqueue adds a state to a queue, unless it is known.
func (v *search) enqueue(queue []visit, n visit) []visit {
	key := n.state.key()
	if _, known := v.known[key]; known {
		return queue
	}
	v.known[key] = struct{}{}
	n.at = int32(len(v.froms))
	v.froms = append(v.froms, n.from)
	return append(queue, n)
}

// found is a violation with the way to it.
func (v *search) found(wrong *violation, at int32, last string) explored {
	var way []int32
	for f := v.froms[at]; f.before >= 0; f = v.froms[f.before] {
		way = append(way, f.which)
	}
	out := explored{states: len(v.froms), wrong: wrong}
	s := v.m.begin()
	for _, which := range slices.Backward(way) {
		n := v.m.successors(&s)[which]
		out.trace, s = append(out.trace, n.label), n.state
	}
	out.trace = append(out.trace, last)
	return out
}

// drain lets both runners be killed, and another finish.
func (v *search) drain(s *mState) *violation {
	for _, revoked := range []bool{false, true} {
		alone := s.clone()
		alone.runners, alone.mishaps = [2]mRunner{}, 0
		if revoked && !alone.main.revoked {
			_ = v.m.revoke(&alone) // nobody is left to be held against it
		}
		alone.tidy()
		key := alone.key()
		if _, known := v.drained[key]; known {
			continue
		}
		v.drained[key] = struct{}{}
		end, wrong := v.m.drain(alone)
		if wrong != nil {
			return wrong
		}
		v.ends[end] = true
	}
	return nil
}

// drain lets one runner work without a break and time pass, until nothing is left to do, and says where that ended.
func (m *model) drain(s mState) (end string, wrong *violation) {
	for range 300 {
		if due := m.step(&s).actions; s.runners[0].stage == idle && len(due) > 0 && due[0].Kind == rollout.ProposeRevoke {
			// People take their time to merge that.
			if m.step(&s).waits {
				s.pass()
				s.tidy()
				continue
			}
			if t := slices.IndexFunc(s.tenants[:], func(t mTenant) bool { return t.candidate }); t >= 0 {
				return "", &violation{27, fmt.Sprintf("all is quiet after a fail verdict, and the release is still to start on tenant %d", t)}
			}
		}
		if s.runners[0].stage != idle || m.due(&s) {
			if wrong := m.advance(&s, 0); wrong != nil {
				return "", wrong
			}
			s.tidy()
			continue
		}
		if !m.step(&s).waits {
			return m.ended(&s)
		}
		s.pass()
		s.tidy()
	}
	return "", &violation{22, "work never ends"}
}

// ended holds an end against what every end must be.
func (m *model) ended(s *mState) (string, *violation) {
	for t, tenant := range s.tenants {
		switch {
		case s.watched == int8(2-t): // the other one
		case s.main.revoked && tenant.runs():
			return "", &violation{7, fmt.Sprintf("all is quiet after a revocation, and tenant %d runs the release", t)}
		case s.main.revoked || m.empty && t == first:
		case tenant != mTenant{stable: true, installed: true}:
			return "", &violation{22, fmt.Sprintf("all is quiet, and tenant %d holds %+v", t, tenant)}
		}
	}
	switch {
	case m.bad && !s.main.revoked:
		return "", &violation{22, "a release that breaks devices is released"}
	case s.main.approved[closing] == unmerged:
		return "", &violation{22, "all is quiet, and the cycle is open"}
	case s.main.revoked:
		return "taken back", nil
	}
	return "released", nil
}

// TestModel visits every state of the model with Step as it is, and one runner
// that may stall anywhere: with a release that works, one that breaks devices,
// and a first wave without devices. However runners stall and die, the end is
// the same.
func TestModel(t *testing.T) {
	for _, c := range []struct {
		name       string
		bad, empty bool
		mishaps    int8
		ends       []string
	}{
		{"a release that works", false, false, 0, []string{"released", "taken back"}},
		{"a release that breaks devices", true, false, 1, []string{"taken back"}},
		{"nobody in the first wave", false, true, 1, []string{"released", "taken back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(c.bad, c.empty, broken{})
			m.mishaps = c.mishaps
			e := m.explore()
			if e.wrong != nil {
				t.Fatalf("invariant %d: %s\n\t%s", e.wrong.number, e.wrong.what, strings.Join(e.trace, "\n\t"))
			}
			t.Logf("%d states, %d different facts", e.states, len(m.steps))
			for _, end := range c.ends {
				if !e.ends[end] {
					t.Errorf("in no end the release is %s: the model explores too little", end)
				}
			}
			if len(e.ends) != len(c.ends) || e.states < 3_000 {
				t.Errorf("%d states end %v, want %v", e.states, e.ends, c.ends)
			}
		})
	}
}

// TestModelAtRandom walks through the model with both runners interrupted
// anywhere, killed, and told that calls failed: more than can be visited.
func TestModelAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(26, 47))
	m := newModel(false, false, broken{})
	m.slow, m.mishaps, m.suspicious = 2, 2, true
	ends := map[string]int{}
	for range 4000 {
		s := m.begin()
		var trace []string
		for range 10 + r.IntN(70) {
			next := m.successors(&s)
			n := next[r.IntN(len(next))]
			if r.IntN(4) > 0 { // time and revocations come seldom enough to get anywhere
				n = next[len(next)-1-r.IntN(min(2, len(next)))]
			}
			trace = append(trace, n.label)
			if n.wrong != nil {
				t.Fatalf("invariant %d: %s\n\t%s", n.wrong.number, n.wrong.what, strings.Join(trace, "\n\t"))
			}
			s = n.state
		}
		s.runners, s.mishaps = [2]mRunner{}, 0
		s.tidy()
		end, wrong := m.drain(s)
		if wrong != nil {
			t.Fatalf("invariant %d: %s\n\t%s", wrong.number, wrong.what, strings.Join(trace, "\n\t"))
		}
		ends[end]++
	}
	t.Logf("%d different facts, ends %v", len(m.steps), ends)
	if ends["released"] < 100 || ends["taken back"] < 100 {
		t.Errorf("ends %v: the walks see too little", ends)
	}
}

// TestModelFindsWhatIsBroken switches guards off one at a time: a check that
// cannot fail proves nothing.
func TestModelFindsWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name    string
		bad     bool
		broken  broken
		numbers []int // one of these invariants must fail
	}{
		{"rollbacks wait for no lease", false, broken{noLease: true}, []int{7, 8}},
		{"rollbacks take a receipt for the end of a lease", false, broken{receiptsEnd: true}, []int{7, 8}},
		{"rollbacks cover receipts alone", false, broken{fromReceipts: true}, []int{7}},
		{"runners call however late", false, broken{noExpiry: true}, []int{7, 8}},
		{"evidence of other artifacts and times counts", false, broken{staleCounts: true}, []int{3, 22}},
		{"the second gate needs no approval", false, broken{ungated: true}, []int{2}},
		{"a fail verdict counts as a pass", true, broken{noFails: true}, []int{5}},
		{"what is carried out counts from its receipt", false, broken{fromReceipt: true}, []int{7, 8, 22}},
		{"withdrawals are made once", true, broken{emptiedOnce: true}, []int{27}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(c.bad, false, c.broken)
			m.slow, m.single, m.apart = 2, true, true
			e := m.explore()
			if e.wrong == nil {
				t.Fatalf("%d states, and no invariant failed", e.states)
			}
			text := fmt.Sprintf("invariant %d: %s\n\t%s", e.wrong.number, e.wrong.what, strings.Join(e.trace, "\n\t"))
			if !slices.Contains(c.numbers, e.wrong.number) {
				t.Errorf("want one of %v, %s", c.numbers, text)
			}
			t.Log(text)
		})
	}
}
