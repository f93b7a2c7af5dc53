package rehearsal

import (
	"errors"
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// undone are changes that were not made and must be decided anew, and what
// went wrong with others: as in factory.
type undone struct {
	slots    map[rollout.Slot]bool
	failures error
}

func (u *undone) Error() string { return fmt.Sprintf("%d changes must be decided anew", len(u.slots)) }

// settle takes the actions out of a batch that must be decided anew, so that
// they may be tried again in this run.
func (u *undone) settle(tried map[string]bool, batch []rollout.Action) ([]rollout.Action, error) {
	var out []rollout.Action
	for _, a := range batch {
		again := false
		for _, id := range a.Packages {
			again = again || u.slots[rollout.Slot{Tenant: a.Tenant, Package: id}]
		}
		if again {
			delete(tried, rollout.Key(a))
		} else {
			out = append(out, a)
		}
	}
	return out, u.failures
}

// maxExpired is how often one effect may run out of its lease before a run
// gives it up: as in factory.
const maxExpired = 2

// carryOut makes changes on tenants, chunk by chunk: the intents of a chunk
// first, then main is looked at once more, then the calls, then the receipts.
func (e *Engine) carryOut(facts rollout.Facts, batch []rollout.Action) (int, error) {
	s := e.State
	history := rollout.HistoryOf(facts.Record)
	started, made := s.Now, 0
	left := &undone{slots: map[rollout.Slot]bool{}}
	var failures []error
	chunks := rollout.Chunks(rollout.Effects(facts, history, batch, s.Now))
	for n, chunk := range chunks {
		e.chunk++
		old := s.Now.Sub(started) > rollout.Lease && !e.Without.Expiry // a gate may have failed since
		results, moved, err := e.chunkOf(facts, history, chunk, old)
		if err != nil {
			return made, err
		}
		if moved {
			for _, rest := range chunks[n:] {
				for _, x := range rest {
					left.slots[x.Slot()] = true
				}
			}
			break
		}
		for i, r := range results {
			switch {
			case r.Outcome == "done":
				made++
			case r.Outcome == "failed":
				failures = append(failures, fmt.Errorf("%s: %s of %s: %s", r.Tenant, r.Action, r.Package, failure(r)))
			case history.Expired(chunk[i]) < maxExpired:
				left.slots[chunk[i].Slot()] = true
			default:
				failures = append(failures, fleet.Errorf(fleet.Stalled, "rehearsal.effect", string(r.Tenant), "%s of %s ran out of its %s again", r.Action, r.Package, rollout.Lease))
			}
		}
	}
	if len(left.slots) > 0 {
		left.failures = errors.Join(failures...)
		return made, left
	}
	return made, errors.Join(failures...)
}

// chunkOf carries out the changes on some tenants. moved says that nobody was
// called, because what was decided may not hold any longer.
func (e *Engine) chunkOf(facts rollout.Facts, history *rollout.History, effects []rollout.Effect, old bool) (results []fleet.Receipt, moved bool, err error) {
	if old {
		return nil, true, nil
	}
	s := e.State
	rec := s.facts.Record
	kind := effects[0].Action
	intents, fresh, expired := e.intend(history, effects, facts.Repo.Commit)
	if !e.Without.Intent && len(fresh)+len(expired) > 0 {
		rec.Intents, rec.Receipts = append(rec.Intents, fresh...), append(rec.Receipts, expired...)
	}
	if err := e.tell(Intents, kind, nil); err != nil {
		return nil, false, err
	}
	if s.facts.Repo.Commit != facts.Repo.Commit && !e.Without.Again {
		return nil, true, nil
	}
	results = make([]fleet.Receipt, len(effects))
	var rows []fleet.Receipt
	for i, effect := range effects {
		r, err := e.attempt(effect, intents[i])
		if err != nil {
			return nil, false, err
		}
		results[i] = r
		rows = append(rows, r)
		if r.Outcome == "done" {
			rows = append(rows, history.Superseded(effect, r.At)...)
		}
	}
	s.facts.Record.Receipts = append(s.facts.Record.Receipts, rows...)
	return results, false, e.tell(Receipts, kind, nil)
}

// intend gives the intents of effects. Without the guard, an intent that was
// left behind is not looked for.
func (e *Engine) intend(history *rollout.History, effects []rollout.Effect, main string) ([]rollout.Written, []fleet.Intent, []fleet.Receipt) {
	if e.Without.Taken {
		history = rollout.HistoryOf(&fleet.Record{})
	}
	return history.Intend(effects, "", main, e.State.Now)
}

// attempt makes one change, unless the lease of its intent is over or the
// tenant cannot be reached.
func (e *Engine) attempt(effect rollout.Effect, i rollout.Written) (fleet.Receipt, error) {
	s := e.State
	r := rollout.ReceiptFor(i.Intent, "done", s.Now)
	r.Recovered = i.Left
	switch {
	case s.Now.After(i.NotAfter) && !e.Without.Lease:
		r.Outcome = "expired"
		return r, nil
	case e.Model.out(effect.Tenant, s.Now):
		r.Outcome, r.Detail = "failed", fleet.Waiting.String()
		return r, nil
	case e.lost(effect):
		r.Outcome, r.Detail = "failed", fleet.Stalled.String()
		return r, nil
	}
	r.Observed = s.change(i.Intent, effect.Local, s.Now)
	s.Calls = append(s.Calls, Call{Runner: e.Name, Intent: i.Intent, Made: s.Now})
	if err := e.tell(CallMade, effect.Action, &s.Calls[len(s.Calls)-1]); err != nil {
		return r, err
	}
	r.At = s.Now // a runner that stalled in its call has its receipt later
	return r, nil
}

// lost reports whether an effect is a way back that leads nowhere: a person must
// say what takes the release's place.
func (e *Engine) lost(effect rollout.Effect) bool {
	if effect.Action != "rollback" {
		return false
	}
	f := e.State.facts
	way := rollout.WayBackOf(f.Repo, f.Record, effect.Tenant, effect.Package, effect.Entry)
	return way.Mode == rollout.BackPrevious && way.To.Release == ""
}

func failure(r fleet.Receipt) string {
	if r.Detail == fleet.Stalled.String() {
		return "there is no release to go back to"
	}
	return "the tenant cannot be reached"
}
