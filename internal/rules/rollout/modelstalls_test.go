package rollout_test

import (
	"cmp"
	"slices"
)

// mishap adds what may happen to a runner that stalls. A kill makes a difference
// only after a call: before its intents a runner has left nothing behind, and
// between the two it is as if main had moved, which it may do at any time.
func (m *model) mishap(s *mState, r int, name string, add func(string, func(*mState) *violation)) {
	x := &s.runners[r]
	if r >= m.slow {
		return
	}
	if x.stage == decided && !x.moved {
		add(name+"writes intents and finds that main has moved", func(n *mState) *violation {
			n.runners[r].moved = true
			return m.advance(n, r)
		})
	}
	if s.mishaps == 0 {
		return
	}
	if x.stage == called || x.stage == intended && !m.single {
		add(name+"is killed", func(n *mState) *violation { n.runners[r] = mRunner{}; n.mishaps--; return nil })
	}
	if x.stage == called {
		add(name+"sees its call fail", func(n *mState) *violation {
			n.mishaps--
			return m.receipt(n, &n.runners[r], false)
		})
	}
}

// expire lets runners whose call is too late write that down at once: nobody can
// tell, once nobody else would take the intent up.
func (m *model) expire(s *mState) (wrong *violation) {
	for r := range s.runners {
		for x := &s.runners[r]; wrong == nil && x.stage == intended && m.tooLate(s, x); {
			wrong = cmp.Or(m.call(s, x), m.receipt(s, x, true))
		}
	}
	return wrong
}

// tooLate reports whether a runner's call may not begin any more, and nobody can
// take its intent up.
func (m *model) tooLate(s *mState, x *mRunner) bool {
	o := x.orders[x.next]
	return o.lease < 0 && !m.noExpiry && !slices.ContainsFunc(s.intents[x.next], func(in mIntent) bool {
		return in.action == x.action && in.generation == o.intent && in.age < over
	})
}

// pass lets a tick go by.
func (s *mState) pass() {
	s.later = true
	for g := range s.waves {
		if s.waves[g] == young {
			s.waves[g] = ripe
		}
	}
	for t := range s.intents {
		for i := range s.intents[t] {
			s.intents[t][i].age = min(over, s.intents[t][i].age+1)
		}
	}
	for r := range s.runners {
		for t := range s.runners[r].orders {
			if o := &s.runners[r].orders[t]; o.wanted && s.runners[r].stage >= intended {
				o.lease = max(-1, o.lease-1)
			}
		}
	}
}

// moved tells runners that have decided that main is another one now.
func (s *mState) moved() {
	for r := range s.runners {
		if x := &s.runners[r]; x.stage == decided {
			x.moved = true
		}
	}
}

// revoke merges the revocation. What runners have decided to write is held
// against the invariants now: what they decided from has come, and stays.
func (m *model) revoke(s *mState) (wrong *violation) {
	for r := range s.runners {
		if x := &s.runners[r]; x.stage == decided {
			wrong = cmp.Or(wrong, s.allowed(x))
		}
	}
	s.main.revoked = true
	s.moved()
	return wrong
}
