package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Remover is a Console that can take a package out of its tenant.
type Remover interface {
	// Removable looks whether the package's objects can be removed: an error of
	// kind Stalled where people of the tenant must act first.
	Removable(ctx context.Context, id fleet.PackageID) error
	// Remove deletes the package's objects, after their assignments. Devices keep
	// what they have.
	Remove(ctx context.Context, id fleet.PackageID) error
}

// An UpdateRemover is an Updater that can do so with what Windows Update delivers.
type UpdateRemover interface {
	RemoveUpdate(ctx context.Context, id fleet.PackageID) error
}

func errCannotRemove(id fleet.PackageID) error {
	return fleet.Errorf(fleet.Invalid, "factory.remove", string(id), "the tenant's console cannot remove what it holds of it")
}

func (c byKind) remover(id fleet.PackageID) (Remover, error) {
	r, ok := c.of(id).(Remover)
	if !ok {
		return nil, errCannotRemove(id)
	}
	return r, nil
}

// Removable looks whether a package of any kind can be removed. What Windows
// Update delivers is looked at when it is.
func (c byKind) Removable(ctx context.Context, id fleet.PackageID) error {
	if c.repo.Packages[id].ByWindowsUpdate() {
		return nil
	}
	r, err := c.remover(id)
	if err != nil {
		return err
	}
	return r.Removable(ctx, id)
}

func (c byKind) Remove(ctx context.Context, id fleet.PackageID) error {
	u, err := c.updater(id)
	if err != nil {
		return err
	}
	if u != nil {
		r, ok := u.(UpdateRemover)
		if !ok {
			return errCannotRemove(id)
		}
		return r.RemoveUpdate(ctx, id)
	}
	r, err := c.remover(id)
	if err != nil {
		return err
	}
	return r.Remove(ctx, id)
}

// Removable is the console's, as byKind has it.
func (c fenced) Removable(ctx context.Context, id fleet.PackageID) error {
	r, ok := c.Console.(Remover)
	if !ok {
		return errCannotRemove(id)
	}
	return r.Removable(ctx, id)
}

// Remove is not begun when the intent's lease has ended.
func (c fenced) Remove(ctx context.Context, id fleet.PackageID) error {
	r, ok := c.Console.(Remover)
	if !ok {
		return errCannotRemove(id)
	}
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	if err := r.Remove(ctx, id); err != nil {
		return err
	}
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		c.states[slot] = fleet.AppState{}
		delete(c.blind, slot)
	}
	return nil
}

// remove takes a package out of the tenant: where nothing stands in the way both
// slots are withdrawn, probes too, and then the objects deleted.
func (w onTenant) remove(ctx context.Context) error {
	r, ok := w.console.(Remover)
	if !ok {
		return errCannotRemove(w.e.Package)
	}
	if err := r.Removable(ctx, w.e.Package); err != nil {
		return err
	}
	if !w.facts.Repo.Packages[w.e.Package].ByWindowsUpdate() { // whose console withdraws and removes at once
		for _, slot := range []string{fleet.Candidate, fleet.Stable} {
			if err := w.empty(ctx, slot); err != nil {
				return err
			}
		}
	}
	if err := w.console.Unprobe(ctx, w.e.Package); err != nil {
		return err
	}
	return r.Remove(ctx, w.e.Package)
}

// uninstallAll turns what packmill assigned of a package into removals, for exactly
// the groups that had it, from the tenant's next window on. What people of the
// tenant assigned stays theirs.
func (w onTenant) uninstallAll(ctx context.Context) error {
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return err
	}
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		state, err := w.console.Observe(ctx, w.e.Package, slot)
		if err != nil {
			return err
		}
		if everyone(state.Targets) < 0 || removes(state.Targets) {
			continue // nobody has it from there, or loses it already
		}
		targets := make([]fleet.Target, len(state.Targets))
		for i, t := range state.Targets {
			targets[i] = fleet.Target{Intent: removal, Group: t.Group, Exclude: t.Exclude}
			if !t.Exclude {
				targets[i].Notify, targets[i].Opens, targets[i].Filter, targets[i].Unfiltered = "showReboot", opens, t.Filter, t.Unfiltered
			}
		}
		if err := w.console.Assign(ctx, w.e.Package, slot, targets); err != nil {
			return err
		}
	}
	return w.console.Unprobe(ctx, w.e.Package)
}
