package factory

import (
	"context"
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// proposeStep carries out the actions that make or merge pull requests.
func (f *Factory) proposeStep(ctx context.Context, facts rollout.Facts, a rollout.Action) (string, error) {
	var pull fleet.Pull
	var err error
	switch a.Kind {
	case rollout.ProposeRevoke:
		pull, _, err = f.ProposeRevocation(ctx, facts, a)
	case rollout.ProposeApproval:
		pull, _, err = f.ProposeApproval(ctx, facts, a.Cycle, a.Wave)
	case rollout.ProposeTenantApprovals:
		pull, _, err = f.ProposeTenantApprovals(ctx, facts, a.Cycle, a.Partner)
	case rollout.AutoMerge:
		return f.AutoMerge(ctx, facts, a)
	case rollout.ProposeClose:
		pull, _, err = f.ProposeClose(ctx, facts, a.Cycle)
	default:
		err = fleet.Errorf(fleet.Internal, "factory.run", a.Kind, "no such kind of action")
	}
	return pullNote(pull), err
}

func pullNote(p fleet.Pull) string {
	if p.Number == 0 {
		return ""
	}
	return fmt.Sprintf("pull request %d: %s", p.Number, p.Title)
}
