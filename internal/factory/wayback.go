package factory

import (
	"context"
	"errors"
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
	back := rollout.SlotsBackOf(way.Mode, w.e.Entry.Artifact, w.held(candidate), w.held(stable))
	// Whom it is for may be past finding out: it stops all the same.
	a, lost := w.removing(ctx)
	if lost != nil {
		return "", errors.Join(lost, w.stop(ctx, candidate, stable))
	}
	removed := back.Candidate == rollout.SlotEmptied && back.Stable == rollout.SlotFilled && w.mustGoFirst()
	switch {
	case removed && stable.Artifact == w.e.Entry.Artifact:
		everyone := a.allBut(nil)
		everyone[0].Opens = opens
		err = w.console.Assign(ctx, w.e.Package, fleet.Candidate, everyone)
	case removed, back.Candidate == rollout.SlotRemoves:
		err = w.uninstall(ctx, a, opens)
	case back.Candidate == rollout.SlotEmptied:
		err = w.empty(ctx, fleet.Candidate)
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
		return "", w.empty(ctx, fleet.Stable)
	case rollout.SlotRemoves:
		targets := a.allBut(newer)
		targets[0].Opens = opens
		return "", w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
	case rollout.SlotFilled:
		w.back, w.exact = true, !removed && stable.Artifact == w.e.Entry.Artifact
		return w.fillBack(ctx, stable, way.To, newer)
	}
	return "", nil
}

// fillBack is fill for a way back. Where what comes in its place waits for a person,
// who has changed the app perhaps, the revoked release ends all the same.
func (w onTenant) fillBack(ctx context.Context, stable fleet.AppState, to fleet.Entry, keep []fleet.Target) (fleet.Digest, error) {
	digest, err := w.fill(ctx, stable, to, keep)
	if err != nil && fleet.KindOf(err) == fleet.Stalled && w.held(stable) == w.e.Entry.Artifact {
		err = errors.Join(err, w.empty(ctx, fleet.Stable))
	}
	return digest, err
}

// giveBack lets devices have again what the revoked release took the place of: the
// apps of slots that still hold it, none of which installs it any longer, supersede
// nothing. Without a way back devices keep it, and nothing comes back beside it.
func (w onTenant) giveBack(ctx context.Context) error {
	if rollout.WayBackOf(w.facts.Repo, w.facts.Record, w.tenant.ID, w.e.Package, w.e.Entry).Mode == rollout.BackNone {
		return nil
	}
	r, ok := w.visit.console.(Reverser)
	if !ok {
		return nil
	}
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		state, err := w.console.Observe(ctx, w.e.Package, slot)
		if err != nil {
			return err
		}
		if !state.Supersedes || w.held(state) != w.e.Entry.Artifact {
			continue
		}
		if w.c.Clock.Now().After(w.intent.NotAfter) {
			return errExpired
		}
		if err := r.Reverse(ctx, w.e.Package, slot); err != nil {
			return err
		}
	}
	return nil
}

// held is the artifact that a slot holds, for a way back from one. A slot that is
// assigned and holds no release whole, since a run was killed in it or a person
// removed a part, may hold parts of the revoked one: it is taken for that.
func (w onTenant) held(slot fleet.AppState) fleet.Digest {
	if slot.Artifact == "" && len(slot.Targets) > 0 {
		return w.e.Entry.Artifact
	}
	return slot.Artifact
}

// stop empties the slots that hold the release a way back is from.
func (w onTenant) stop(ctx context.Context, slots ...fleet.AppState) error {
	var errs []error
	for i, slot := range []string{fleet.Candidate, fleet.Stable} {
		if w.held(slots[i]) == w.e.Entry.Artifact {
			errs = append(errs, w.empty(ctx, slot))
		}
	}
	return errors.Join(errs...)
}

// uninstall turns the candidate's assignments into removals.
func (w onTenant) uninstall(ctx context.Context, a reach, opens time.Time) error {
	targets := a.leftOut(removal)
	for _, s := range w.facts.Record.Starts {
		if s.Cycle != w.e.Cycle {
			continue
		}
		m := rollout.MembershipOf(w.facts.Record, s.Cycle, s.Wave, w.tenant.ID)
		if m == nil {
			continue
		}
		of := w.groupOf
		if rollout.ForUsers(w.tenant, w.e.Package) {
			of = w.usersOf
		}
		group, err := of(ctx, *m)
		if err != nil {
			return err
		}
		target := a.target(group)
		target.Opens = opens
		targets = append(targets, target)
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, targets)
}

// mustGoFirst reports whether devices must lose the revoked release before they
// can take an older one: where the older one's detection finds the newer and so
// nothing would be installed, or where Windows Installer refuses a downgrade. The
// candidate slot, which holds the revoked release, then removes it, and the stable
// slot brings the older one to devices on which nothing is found any more.
func (w onTenant) mustGoFirst() bool {
	for _, in := range w.facts.Repo.Packages[w.e.Package].Installers {
		if in.Platform != "windows" {
			continue
		}
		atLeast := func(d fleet.Detect) bool { return d.Operator == ">=" }
		if in.Type == "msi" || slices.ContainsFunc(in.Detect, atLeast) {
			return true
		}
	}
	return false
}

// exactly makes detection rules find no newer version: the candidate slot is
// another release's, so that nothing else takes the revoked one from devices.
func exactly(rules []fleet.Detect) []fleet.Detect {
	out := slices.Clone(rules)
	for i := range out {
		if out[i].Operator == ">=" {
			out[i].Operator = "="
		}
	}
	return out
}
