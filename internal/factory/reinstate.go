package factory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// reinstate ends what uninstallAll began: nothing that is armed removes the package
// any longer. Everyone whom the stable slot was for gets what it holds again, from
// the tenant's next window on, and groups of waves stay out of it as they were. These
// get what the candidate slot holds again, unless it was stopped. What a slot holds
// of a revoked release stays as it is: there the way back decides.
func (w onTenant) reinstate(ctx context.Context) error {
	candidate, err := w.console.Observe(ctx, w.e.Package, fleet.Candidate)
	if err != nil {
		return err
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return err
	}
	before := w.c.history.BeforeUninstall(w.e.Slot())
	// A configuration is removed by being nobody's.
	lost := func(slot fleet.AppState, had bool) bool {
		return slot.ID != "" && (removes(slot.Targets) || len(slot.Targets) == 0 && had) && !w.revoked(slot)
	}
	fromStable, fromWaves := lost(stable, before.Everyone), lost(candidate, len(before.Waves) > 0)
	if !fromStable && !fromWaves {
		return nil
	}
	a, unknown := w.audience(ctx)
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if unknown = errors.Join(unknown, err); unknown != nil { // whom it is for is past finding out: the removal ends all the same
		return errors.Join(unknown, w.endRemoval(ctx, fromStable, fromWaves))
	}
	if fromStable { // first: it reaches more devices
		targets := a.allBut(stable.Targets, before.Without...)
		targets[0].Opens = opens
		if err := w.console.Assign(ctx, w.e.Package, fleet.Stable, targets); err != nil {
			return err
		}
	}
	if !fromWaves {
		return nil
	}
	return w.giveWaves(ctx, a, before, candidate, opens)
}

// giveWaves assigns the candidate slot to the groups that had it.
func (w onTenant) giveWaves(ctx context.Context, a reach, before rollout.Before, candidate fleet.AppState, opens time.Time) error {
	var targets []fleet.Target
	if !rollout.Stopped(w.facts, w.e.Package, fleet.Entry{Release: candidate.Version, Artifact: candidate.Artifact}, w.c.Clock.Now()) {
		for _, group := range slices.Sorted(maps.Keys(before.Waves)) {
			target := a.target(group)
			target.Intent, target.Opens = before.Waves[group], opens
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return w.empty(ctx, fleet.Candidate)
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, append(targets, a.leftOut(targets[0].Intent)...))
}

// endRemoval leaves slots that remove the package to nobody.
func (w onTenant) endRemoval(ctx context.Context, stable, candidate bool) error {
	var errs []error
	if stable {
		errs = append(errs, w.empty(ctx, fleet.Stable))
	}
	if candidate {
		errs = append(errs, w.empty(ctx, fleet.Candidate))
	}
	return errors.Join(errs...)
}

func (w onTenant) revoked(slot fleet.AppState) bool {
	_, revoked := rollout.Revocation(w.facts.Repo, w.facts.Record, w.e.Package, fleet.Entry{Release: slot.Version, Artifact: slot.Artifact})
	return revoked
}
