package rollout_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// An explored is what a search found.
type explored struct {
	states int
	wrong  *violation
	trace  []string
	ends   map[string]bool
	known  map[stateKey]struct{}
}

// text is what went wrong, and how.
func (e explored) text() string {
	return fmt.Sprintf("invariant %d: %s\n\t%s", e.wrong.number, e.wrong.what, strings.Join(e.trace, "\n\t"))
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
			if m.each != nil {
				m.each(s)
			}
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
	return explored{states: len(v.froms), ends: v.ends, known: v.known}
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
		step := m.step(&s)
		asks := s.runners[0].stage == idle && len(step.actions) > 0 && step.actions[0].Kind == rollout.ProposeRevoke
		switch {
		case asks && step.waits: // people take their time to merge that
			s.pass()
		case s.runners[0].stage != idle || len(step.actions) > 0:
			if wrong = m.advance(&s, 0); asks {
				wrong = s.disarmed()
			}
			if wrong != nil {
				return "", wrong
			}
		case step.waits:
			s.pass()
		default:
			return m.ended(&s)
		}
		if s.tidy(); s.crowded() != nil {
			return "", s.crowded()
		}
	}
	return "", &violation{22, "work never ends"}
}

// disarmed holds a release that failed, and that nobody has revoked, against what
// must be once nothing else is left to do: where it has not started, it will not.
func (s *mState) disarmed() *violation {
	if t := slices.IndexFunc(s.tenants[:], func(t mTenant) bool { return t.candidate }); t >= 0 {
		return &violation{27, fmt.Sprintf("all is quiet after a fail verdict, and the release is still to start on tenant %d", t)}
	}
	return nil
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
