package factory

import (
	"context"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// removal is the console's word for an assignment that removes.
const removal = "uninstall"

// removes reports whether a slot removes what it holds from devices.
func removes(targets []fleet.Target) bool {
	return slices.ContainsFunc(targets, func(t fleet.Target) bool { return t.Intent == removal })
}

// rollBack goes the way back that the package declares, on both slots as they
// are found (rollout.SlotsBackOf). Groups that a newer release in the candidate
// slot is assigned to stay out of what the stable slot does, and their probes
// stay.
func (w onTenant) rollBack(ctx context.Context) (fleet.Digest, error) {
	way := rollout.WayBackOf(w.facts.Repo, w.facts.Record, w.tenant.ID, w.e.Package, w.e.Entry)
	if way.Mode == rollout.BackPrevious && way.To.Release == "" {
		return "", fleet.Errorf(fleet.Stalled, "factory.rollback", string(w.e.Package), "%s: a person must say what takes its place", way.Why)
	}
	candidate, err := w.console.Observe(ctx, w.e.Package, fleet.Candidate)
	if err != nil {
		return "", err
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return "", err
	}
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return "", err
	}
	back := rollout.SlotsBackOf(way.Mode, w.e.Entry.Artifact, candidate.Artifact, stable.Artifact)
	switch back.Candidate {
	case rollout.SlotEmptied:
		err = w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil)
	case rollout.SlotRemoves:
		err = w.uninstall(ctx, opens)
	}
	if err != nil {
		return "", err
	}
	var newer []fleet.Target
	if back.Candidate == rollout.SlotKept && len(candidate.Targets) > 0 {
		newer = stable.Targets
	} else if err := w.unwatch(ctx); err != nil {
		return "", err
	}
	switch back.Stable {
	case rollout.SlotEmptied:
		return "", w.console.Assign(ctx, w.e.Package, fleet.Stable, nil)
	case rollout.SlotRemoves:
		targets := w.allBut(removal, fleet.Assignment{Notify: "showReboot"}, newer)
		targets[0].Opens = opens
		return "", w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
	case rollout.SlotFilled:
		return w.fill(ctx, stable, way.To, newer)
	}
	return "", nil
}

// uninstall turns the candidate's assignments into removals.
func (w onTenant) uninstall(ctx context.Context, opens time.Time) error {
	var targets []fleet.Target
	for _, s := range w.facts.Record.Starts {
		if s.Cycle != w.e.Cycle {
			continue
		}
		m := rollout.MembershipOf(w.facts.Record, s.Cycle, s.Wave, w.tenant.ID)
		if m == nil {
			continue
		}
		group, err := w.groupOf(ctx, *m)
		if err != nil {
			return err
		}
		targets = append(targets, fleet.Target{Intent: removal, Group: group, Opens: opens, Notify: "showReboot"})
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, targets)
}
