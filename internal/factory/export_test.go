package factory

import (
	"context"
	"errors"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// ChunkTenants is how many tenants have intents at once.
const ChunkTenants = rollout.ChunkTenants

// CarryOut makes the effects that a batch asks for. again are the actions that
// must be decided anew.
func (f *Factory) CarryOut(ctx context.Context, facts rollout.Facts, batch []rollout.Action) (made int, again []rollout.Action, err error) {
	made, err = f.carryOut(ctx, facts, rollout.Effects(facts, rollout.HistoryOf(facts.Record), batch, f.Clock.Now()))
	var u *undone
	if errors.As(err, &u) {
		tried := map[string]bool{}
		for _, a := range batch {
			tried[rollout.Key(a)] = true
		}
		_, _, err = settle(tried, batch, err)
		for _, a := range batch {
			if !tried[rollout.Key(a)] {
				again = append(again, a)
			}
		}
	}
	return made, again, err
}

// LeftToOthers carries out a batch and gives the waits for what other runs have
// begun.
func (f *Factory) LeftToOthers(ctx context.Context, facts rollout.Facts, batch []rollout.Action) (rest []rollout.Action, waits []rollout.Wait, err error) {
	_, err = f.carryOut(ctx, facts, rollout.Effects(facts, rollout.HistoryOf(facts.Record), batch, f.Clock.Now()))
	return settle(map[string]bool{}, batch, err)
}

// AuditReceipt is what an audit says of an intent's receipt.
func AuditReceipt(rec *fleet.Record, i fleet.Intent) fleet.AuditCheck {
	return receipt(rollout.HistoryOf(rec), i)
}

// Contradicting are verdicts that an audit finds fault with.
func Contradicting(all []fleet.Verdict) []fleet.Verdict { return contradicting(all) }

// HashDevice is what a device is called in evidence.
func HashDevice(key []byte, id string) string { return hashDevice(key, id) }

// Carry makes the effects that a batch asks for as a run does, and gives what
// became of each tenant.
func (f *Factory) Carry(ctx context.Context, facts rollout.Facts, batch []rollout.Action) (int, []TenantResult, error) {
	own := *f
	own.toll = newToll()
	made, err := own.carryOut(ctx, facts, rollout.Effects(facts, rollout.HistoryOf(facts.Record), batch, f.Clock.Now()))
	return made, own.toll.results(), own.toll.ended([]error{err})
}

// TestedOf is what the audit says of the tests of an intent's artifact.
func TestedOf(repo *fleet.Repository, rec *fleet.Record, i fleet.Intent) fleet.AuditCheck {
	return (&auditor{repo: repo, rec: rec}).tested(i)
}
