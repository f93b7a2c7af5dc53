package rollout_test

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// tidy brings states to one form that differ in nothing that can ever make a
// difference: intents are dropped that say nothing any more, and generations are
// numbered anew.
func (s *mState) tidy() {
	if s.settled() {
		// Nothing but time and runners moves a tenant any more.
		s.later, s.waves, s.verdicts = true, [2]int8{ripe, ripe}, [2][3]bool{}
		s.main.approved = [3]int8{mergedBlind, mergedBlind, mergedBlind}
	}
	for t := range s.intents {
		list := s.intents[t]
		for i := range list {
			// The lease of what only takes back matters to who takes it up.
			in := &list[i]
			if in.ended && (in.action == withdraw || in.action == rollback) {
				in.age = over
			}
			if held := s.held(t, *in); in.age == over && !held {
				in.ended, in.late = true, false // nobody takes it up, and no receipt comes
			} else if in.done != undone {
				in.late = false
			}
		}
		var room [16]mIntent
		kept := room[:0]
		for _, in := range list {
			if !s.idle(t, in) {
				kept = append(kept, in)
			}
		}
		s.intents[t] = append(list[:0], kept...)
		s.renumber(t)
	}
}

// settled reports whether only the way back of one tenant is looked at.
func (s *mState) settled() bool { return s.watched != 0 && s.main.revoked }

// watch leaves of a state in which the release is stopped what can make a
// difference to one tenant. Then tenants have nothing to do with each other any
// more: a runner that is at work on the other one can finish that at any moment,
// and is free here. That main may still move is what any runner may find.
func (s *mState) watch(t int) {
	other := 1 - t
	s.watched = int8(t + 1)
	s.intents[other], s.tenants[other] = nil, mTenant{}
	for r := range s.runners {
		x := &s.runners[r]
		x.orders[other] = mOrder{}
		switch {
		case x.stage == idle || int(x.next) == t:
		case !x.orders[t].wanted:
			*x = mRunner{}
		default:
			x.next, x.stage = int8(t), min(x.stage, intended)
		}
	}
}

// alone is a state of both tenants as one of them sees it.
func (m *model) alone(s *mState, t int) (mState, *violation) {
	out := s.clone()
	out.watch(t)
	wrong := m.expire(&out)
	out.tidy()
	return out, wrong
}

// renumber numbers a tenant's generations from 1 without holes, in their order.
func (s *mState) renumber(t int) {
	var room [16]int8
	known := room[:0]
	for _, in := range s.intents[t] {
		known = append(known, in.generation)
	}
	for r := range s.runners {
		known = append(known, s.runners[r].orders[t].intent)
	}
	slices.Sort(known)
	known = slices.DeleteFunc(slices.Compact(known), func(g int8) bool { return g == 0 })
	rank := func(g int8) int8 { return int8(slices.Index(known, g) + 1) }
	for i := range s.intents[t] {
		s.intents[t][i].generation = rank(s.intents[t][i].generation)
	}
	for r := range s.runners {
		o := &s.runners[r].orders[t]
		o.intent = rank(o.intent)
	}
	slices.SortFunc(s.intents[t], mIntent.compare)
	s.intents[t] = slices.Compact(s.intents[t])
}

func (in mIntent) compare(o mIntent) int {
	return cmp.Or(cmp.Compare(in.generation, o.generation), cmp.Compare(in.action, o.action), cmp.Compare(in.wave, o.wave), cmp.Compare(in.age, o.age), cmp.Compare(in.done, o.done),
		cmp.Compare(bit(in.late), bit(o.late)), cmp.Compare(bit(in.ended), bit(o.ended)))
}

// idle reports whether an intent says nothing any more: no call of it can
// begin, no runner holds it, and it came to nothing or a newer one says as much.
// What is stopped stays stopped in the model, so that nothing depends then on
// whether it was assigned, or emptied before.
func (s *mState) idle(t int, in mIntent) bool {
	if s.held(t, in) {
		return false
	}
	stopped := s.stopped()
	back := in.action == withdraw || in.action == rollback
	if in.age == over && in.done == undone && (in.action == promote || in.action == assign && !stopped && s.repeats(t, in)) {
		return true
	}
	return in.age == over && (back && in.done == undone || slices.ContainsFunc(s.intents[t], func(other mIntent) bool {
		newer := other.generation > in.generation || other.generation == in.generation && other.done > in.done
		switch {
		case stopped && in.action == assign:
			return newer && other.action == assign
		case in.action == withdraw && other.action == rollback:
			return newer && other.done == forGood
		default:
			return newer && other.action == in.action && other.wave == in.wave && other.done >= in.done
		}
	}))
}

// tidied tidies a state. Where the model is told to, it makes sure that Step
// says the same before and after: that nothing was dropped that matters.
func (m *model) tidied(s *mState) *violation {
	if !m.suspicious {
		s.tidy()
		return s.crowded()
	}
	before := *m.step(s)
	for t := range s.tenants {
		if s.stopped() && s.watched == 0 {
			alone, wrong := m.alone(s, t)
			if a, b := m.on(s, t), m.on(&alone, t); wrong != nil || !reflect.DeepEqual(a, b) {
				return &violation{0, fmt.Sprintf("watching tenant %d alone makes a difference: Step said %+v, and then %+v", t, a, b)}
			}
		}
	}
	s.tidy()
	if after := *m.step(s); !reflect.DeepEqual(before, after) {
		return &violation{0, fmt.Sprintf("tidying makes a difference: Step said %+v, and then %+v", before, after)}
	}
	return nil
}

// crowded finds a tenant with more intents than any work needs.
func (s *mState) crowded() *violation {
	if max(len(s.intents[0]), len(s.intents[1])) > 11 {
		return &violation{22, "work never ends: the same is done over and over"}
	}
	return nil
}

// on is what is due on a tenant.
func (m *model) on(s *mState, t int) (out []rollout.Action) {
	for _, a := range m.step(s).actions {
		if a.Why = ""; a.Tenant == tenantIDs[t] {
			out = append(out, a)
		}
	}
	return out
}

// held reports whether a runner is at work on an intent.
func (s *mState) held(t int, in mIntent) bool {
	for r := range s.runners {
		if o := s.runners[r].orders[t]; o.wanted && o.intent == in.generation {
			return true
		}
	}
	return false
}

// repeats reports whether an older intent of the same action and wave was
// carried out, and says more than one that came to nothing: nothing else was begun between the two.
func (s *mState) repeats(t int, in mIntent) bool {
	return slices.ContainsFunc(s.intents[t], func(older mIntent) bool {
		return older.action == in.action && older.wave == in.wave && older.generation < in.generation && older.done > in.done && !slices.ContainsFunc(s.intents[t], func(x mIntent) bool {
			return x.action != in.action && x.generation >= older.generation && x.generation <= in.generation
		})
	})
}

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
type stateKey [72]byte

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
