package rollout_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// tidy brings states to one form that differ in nothing that can ever make a
// difference: intents are dropped that say nothing any more, and generations are
// numbered anew.
func (s *mState) tidy() {
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
		kept := list[:0:0]
		for _, in := range list {
			if !s.idle(t, in) {
				kept = append(kept, in)
			}
		}
		s.intents[t] = kept
		s.renumber(t)
	}
}

// renumber numbers a tenant's generations from 1 without holes, in their order.
func (s *mState) renumber(t int) {
	var known []int8
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
	stopped := s.main.revoked || s.verdicts[first][failed] || s.verdicts[second][failed]
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
		return nil
	}
	before := *m.step(s)
	s.tidy()
	if after := *m.step(s); !reflect.DeepEqual(before, after) {
		return &violation{0, fmt.Sprintf("tidying makes a difference: Step said %+v, and then %+v", before, after)}
	}
	return nil
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
