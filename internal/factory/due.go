package factory

import (
	"context"
	"errors"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Due is what Run would do first, and what waits. Nothing is done. A plan that
// Run would refuse is refused.
func (f *Factory) Due(ctx context.Context, only Only) ([]rollout.Action, []rollout.Wait, error) {
	facts, err := f.Observe(ctx)
	if err != nil {
		return nil, nil, err
	}
	actions, waits, err := rollout.Step(facts, f.Clock.Now())
	if err != nil {
		return nil, nil, err
	}
	if len(facts.Unrecorded) > 0 && !approvalNames(facts.Repo, only.Plan) {
		// Run records merges before it asks whether an approval counts; what
		// no approval names will not count then either.
		return nil, nil, notApproved(only.Plan)
	}
	if actions, err = only.approved(facts, actions, f.Clock.Now()); err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(slices.Clone(actions), func(a rollout.Action) bool { return !only.Allows(a) }), waits, nil
}

// approvalNames reports whether any approval on main names the plan; "" is no plan.
func approvalNames(repo *fleet.Repository, plan fleet.Digest) bool {
	for _, gates := range repo.Approvals {
		for _, a := range gates {
			if a.Plan == plan {
				return true
			}
		}
	}
	return plan == ""
}

func notApproved(plan fleet.Digest) error {
	return &fleet.Error{Op: "factory.apply", Object: string(plan), Kind: fleet.Refused, Err: errors.New("no approval that counts names this plan"), Hint: "packmill plan"}
}
