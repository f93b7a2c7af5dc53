package factory

import (
	"context"
	"errors"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// reinstate ends what uninstallAll began: nothing that is armed removes the package
// any longer, and everyone whom the stable slot was for gets what it holds again,
// from the tenant's next window on. Groups of waves stay out of it as they were. The
// candidate slot removes nothing any more; a wave that still goes on has its
// release assigned anew as its plan and what was approved let it. What a slot holds of a revoked release stays
// as it is: there the way back decides.
func (w onTenant) reinstate(ctx context.Context) error {
	candidate, err := w.console.Observe(ctx, w.e.Package, fleet.Candidate)
	if err != nil {
		return err
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return err
	}
	// The stable slot first: it reaches more devices.
	before := w.c.history.BeforeUninstall(w.e.Slot())
	removed := removes(stable.Targets) || len(stable.Targets) == 0 && before.Everyone // a configuration is removed by being nobody's
	if stable.ID != "" && removed && !w.revoked(stable) {
		if err := w.giveAgain(ctx, stable, before); err != nil {
			return err
		}
	}
	if !removes(candidate.Targets) || w.revoked(candidate) {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(candidate.Targets), func(t fleet.Target) bool { return t.Intent == removal })
	if len(kept) == 0 {
		return w.empty(ctx, fleet.Candidate)
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, kept)
}

// giveAgain assigns the stable slot as the package's assignment says. Whom that
// names may be past finding out: the removal ends all the same.
func (w onTenant) giveAgain(ctx context.Context, stable fleet.AppState, before rollout.Before) error {
	a, lost := w.audience(ctx)
	if lost != nil {
		return errors.Join(lost, w.empty(ctx, fleet.Stable))
	}
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return err
	}
	targets := a.allBut(stable.Targets, before.Without...)
	targets[0].Opens = opens
	return w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
}

func (w onTenant) revoked(slot fleet.AppState) bool {
	_, revoked := rollout.Revocation(w.facts.Repo, w.facts.Record, w.e.Package, fleet.Entry{Release: slot.Version, Artifact: slot.Artifact})
	return revoked
}
