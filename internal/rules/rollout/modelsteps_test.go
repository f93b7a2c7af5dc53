package rollout_test

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// A violation is an invariant that does not hold, by its number in the list of
// what a rollout must never do.
type violation struct {
	number int
	what   string
}

// A successor is a state that follows, and by what.
type successor struct {
	label string
	state mState
	wrong *violation
}

// clone copies what is shared.
func (s *mState) clone() mState {
	out := *s
	for t := range out.intents {
		out.intents[t] = slices.Clone(s.intents[t])
	}
	return out
}

// successors are all states that can follow.
func (m *model) successors(s *mState) []successor {
	out := make([]successor, 0, 10)
	add := func(label string, change func(n *mState) *violation) {
		n := s.clone()
		wrong := cmp.Or(change(&n), m.expire(&n))
		if m.apart && n.stopped() && n.watched == 0 {
			for t := range n.tenants {
				alone, apart := m.alone(&n, t)
				out = append(out, successor{label + fmt.Sprintf(", and tenant %d is watched", t), alone, cmp.Or(wrong, apart)})
			}
			return
		}
		wrong = cmp.Or(wrong, m.tidied(&n))
		out = append(out, successor{label, n, wrong})
	}
	add("time passes", func(n *mState) *violation { n.pass(); return nil })
	if !s.main.revoked {
		add("the revocation is merged", m.revoke)
	}
	for r := range s.runners {
		x := &s.runners[r]
		name := "runner " + string(rune('A'+r)) + " "
		m.mishap(s, r, name, add)
		if x.stage != idle || m.due(s) {
			add(name+[...]string{"reads everything and decides", "writes intents and looks at main again", "calls", "writes the receipt"}[x.stage],
				func(n *mState) *violation {
					if r < m.slow {
						return m.advance(n, r)
					}
					return m.finish(n, r)
				})
		}
	}
	return out
}

// knowing is how the approval of the second gate is merged now.
func (s *mState) knowing() int8 {
	if s.verdicts[first][2] {
		return mergedKnowing
	}
	return mergedBlind
}

// due reports whether there is something to do.
func (m *model) due(s *mState) bool { return len(m.step(s).actions) > 0 }

// advance lets a runner do its next step.
func (m *model) advance(s *mState, r int) *violation {
	x := &s.runners[r]
	switch x.stage {
	case idle:
		return m.decide(s, x)
	case decided:
		return m.intend(s, x)
	case intended:
		return m.call(s, x)
	default:
		return m.receipt(s, x, true)
	}
}

// finish lets a runner do all of a decision without a break.
func (m *model) finish(s *mState, r int) *violation {
	for {
		if wrong := m.advance(s, r); wrong != nil || s.runners[r].stage == idle {
			return wrong
		}
	}
}

// decide reads main and evidence and asks Step. What takes one write is done at
// once, and what is proposed is merged at once; what changes tenants is done
// step by step.
func (m *model) decide(s *mState, x *mRunner) *violation {
	actions := m.step(s).actions
	a := actions[0]
	wave := int8(max(0, slices.Index(gateNames[:2], a.Wave)))
	switch a.Kind {
	case rollout.ProposeApproval:
		s.main.approved[second] = s.knowing()
		s.moved()
		return nil
	case rollout.ProposeClose:
		s.main.approved[closing] = mergedBlind
		s.moved()
		return nil
	case rollout.ProposeRevoke:
		return m.revoke(s)
	case rollout.StartWave:
		return m.start(s, wave)
	case rollout.Judge:
		return m.judged(s, wave)
	}
	*x = mRunner{stage: decided, wave: wave}
	if x.action = int8(slices.Index([]string{rollout.Deploy, rollout.Withdraw, rollout.RollBack, rollout.Promote}, a.Kind)); x.action < 0 {
		panic("the model does not know the action " + a.Kind)
	}
	x.sawFail = x.action == assign && (s.verdicts[first][failed] || s.verdicts[second][failed])
	for _, b := range actions {
		if b.Kind == a.Kind && b.Wave == a.Wave {
			t := map[bool]int{true: 0, false: 1}[b.Tenant == own]
			x.orders[t] = s.order(x, t)
			if m.single {
				break
			}
		}
	}
	x.next = x.from(0)
	return nil
}

// order is the order for one tenant: to take up an intent that another run left,
// or to write a new one.
func (s *mState) order(x *mRunner, t int) mOrder {
	o := mOrder{wanted: true}
	for _, in := range s.intents[t] {
		o.intent = max(o.intent, in.generation+1)
	}
	o.intent = max(o.intent, 1)
	for _, in := range s.intents[t] {
		if in.action == x.action && !in.ended && in.age < over && (in.action != assign || in.wave == x.wave) {
			o.taken, o.intent = true, in.generation
		}
	}
	return o
}

// from is the first wanted tenant from t on, 2 for none.
func (x *mRunner) from(t int8) int8 {
	for t < 2 && !x.orders[t].wanted {
		t++
	}
	return t
}

func (m *model) start(s *mState, wave int8) *violation {
	if s.waves[wave] == unstarted {
		s.waves[wave] = young
	}
	if s.main.approved[wave] == unmerged {
		return &violation{2, "a wave starts without a merged approval"}
	}
	return nil
}

func (m *model) judged(s *mState, wave int8) *violation {
	d := m.judge(s, wave)
	s.verdicts[wave][d] = true
	if m.empty && wave == first && decisions[d] == "pass" {
		return &violation{13, "an empty wave passes"}
	}
	return nil
}

// intend writes the intents of a decision. It is over when main has moved.
func (m *model) intend(s *mState, x *mRunner) *violation {
	var wrong *violation
	for t := range x.orders {
		o := &x.orders[t]
		if !o.wanted {
			continue
		}
		known := slices.IndexFunc(s.intents[t], func(in mIntent) bool { return in.action == x.action && in.generation == o.intent })
		if o.taken && known >= 0 {
			o.lease = over - 1 - s.intents[t][known].age
			continue
		}
		wrong = s.allowed(x)
		fresh := mIntent{action: x.action, wave: s.waveOf(x, t), generation: o.intent, late: m.late(s, t, x.action)}
		if !slices.ContainsFunc(s.intents[t], func(in mIntent) bool { // evidence holds the same row once
			return in.action == fresh.action && in.wave == fresh.wave && in.generation == fresh.generation && in.age == 0
		}) {
			s.intents[t] = append(s.intents[t], fresh)
		}
		for i := range s.intents[t] {
			if in := &s.intents[t][i]; undoes(x.action, in.action) && !m.noLease {
				in.done, in.late = min(in.done, done), false
			}
		}
		o.lease = over - 1
	}
	if x.moved {
		*x = mRunner{} // it reads everything again
		return wrong
	}
	x.stage, x.sawFail = intended, false
	return wrong
}

// waveOf is the wave that an intent names: of a withdrawal or rollback, that by
// which the release came.
func (s *mState) waveOf(x *mRunner, t int) int8 {
	wave := x.wave
	for _, in := range s.intents[t] {
		if in.action == assign && (x.action == withdraw || x.action == rollback) {
			wave = in.wave
		}
	}
	return wave
}

// allowed holds a new intent against the invariants.
func (s *mState) allowed(x *mRunner) *violation {
	before, approved := s.verdicts[first], s.main.approved[x.wave]
	switch {
	case x.action != assign:
	case x.sawFail:
		return &violation{5, "a new intent after a fail verdict"}
	case s.settled(): // it was allowed when the revocation came
	case approved == unmerged || s.waves[x.wave] == unstarted:
		return &violation{2, "an intent that no merged approval covers"}
	case x.wave == second && !before[0] && (!before[2] || approved != mergedKnowing):
		return &violation{3, "an intent of the second wave, and neither has the first passed nor did people let it in knowing that"}
	}
	return nil
}

// call changes a tenant, unless the lease of its intent is over.
func (m *model) call(s *mState, x *mRunner) *violation {
	t, o := x.next, &x.orders[x.next]
	defer func() { o.lease = 0 }()
	x.stage = called
	if o.lease < 0 && !m.noExpiry {
		o.missed = true
		return nil
	}
	if !slices.ContainsFunc(s.intents[t], func(in mIntent) bool { return in.generation == o.intent && in.action == x.action }) {
		return &violation{1, "a tenant is changed without an intent"}
	}
	tenant := &s.tenants[t]
	switch x.action {
	case assign:
		tenant.candidate, tenant.installed = true, true
	case withdraw:
		tenant.candidate = false
	case rollback:
		tenant.candidate, tenant.stable, tenant.installed = false, false, false
	case promote:
		tenant.candidate, tenant.stable, tenant.installed = false, true, true
	}
	if tenant.back && tenant.runs() {
		return &violation{8, "a tenant takes the release after the receipt of its rollback"}
	}
	return nil
}

// receipt writes what came of a call: that it was carried out, or that nobody
// knows.
func (m *model) receipt(s *mState, x *mRunner, known bool) *violation {
	t, o := x.next, x.orders[x.next]
	for i := range s.intents[t] {
		in := &s.intents[t][i]
		if in.generation != o.intent || in.action != x.action {
			continue
		}
		in.ended = true
		late := in.late
		if m.fromReceipt {
			late = m.late(s, int(t), x.action)
		}
		if !o.missed && known {
			in.done = max(in.done, map[bool]int8{true: forGood, false: done}[late])
		}
	}
	if x.action == rollback && !o.missed && known {
		s.tenants[t].back = true
		if s.tenants[t].runs() {
			return &violation{8, "a tenant runs the release when its rollback is receipted"}
		}
	}
	x.orders[t] = mOrder{}
	if x.next = x.from(t + 1); x.next < 2 {
		x.stage = intended
		return nil
	}
	*x = mRunner{}
	return nil
}

// late reports whether no call that would undo an action could begin any more,
// as Step takes it, when the intent for it is written now.
func (m *model) late(s *mState, t int, action int8) bool {
	young := func(in mIntent) bool { return in.age < over && !m.noLease && !(m.receiptsEnd && in.done != undone) }
	return action != assign && !slices.ContainsFunc(s.intents[t], func(in mIntent) bool { return undoes(in.action, action) && young(in) })
}

// undoes reports whether a stalled call of one action would undo another one.
func undoes(a, b int8) bool { return a == assign && b != assign || a == promote && b == rollback }
