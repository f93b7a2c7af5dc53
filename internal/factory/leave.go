package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Remover is a Console that can take a package out of its tenant.
type Remover interface {
	// Removable looks whether the package's objects can be removed: an error of
	// kind Stalled where people of the tenant must act first, Refused where a
	// change of a later generation has brought one back.
	Removable(ctx context.Context, id fleet.PackageID, generation int) error
	// Remove deletes the package's objects, after their assignments, as long as no
	// change of a later generation brings them back, and the context lets anything
	// be written (fleet.While). Devices keep what they have.
	Remove(ctx context.Context, id fleet.PackageID, generation int) error
}

// An UpdateRemover is an Updater that can do so with what Windows Update delivers.
type UpdateRemover interface {
	RemoveUpdate(ctx context.Context, id fleet.PackageID, generation int) error
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
func (c byKind) Removable(ctx context.Context, id fleet.PackageID, generation int) error {
	if c.repo.Packages[id].ByWindowsUpdate() {
		return nil
	}
	r, err := c.remover(id)
	if err != nil {
		return err
	}
	return r.Removable(ctx, id, generation)
}

func (c byKind) Remove(ctx context.Context, id fleet.PackageID, generation int) error {
	u, err := c.updater(id)
	if err != nil {
		return err
	}
	if u != nil {
		r, ok := u.(UpdateRemover)
		if !ok {
			return errCannotRemove(id)
		}
		return r.RemoveUpdate(ctx, id, generation)
	}
	r, err := c.remover(id)
	if err != nil {
		return err
	}
	return r.Remove(ctx, id, generation)
}

// Removable is the console's, as byKind has it.
func (c fenced) Removable(ctx context.Context, id fleet.PackageID, generation int) error {
	r, ok := c.Console.(Remover)
	if !ok {
		return errCannotRemove(id)
	}
	return r.Removable(ctx, id, generation)
}

// Remove is not begun when the intent's lease has ended.
func (c fenced) Remove(ctx context.Context, id fleet.PackageID, generation int) error {
	r, ok := c.Console.(Remover)
	if !ok {
		return errCannotRemove(id)
	}
	if c.clock.Now().After(c.until) {
		return errExpired
	}
	if err := r.Remove(ctx, id, generation); err != nil {
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
	if err := r.Removable(ctx, w.e.Package, w.intent.Generation); err != nil {
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
	return r.Remove(ctx, w.e.Package, w.intent.Generation)
}

// uninstallAll has devices lose what packmill brought them of a package, from the
// tenant's next window on. Who is assigned now does not tell who has it: a wave
// that was halted is assigned to nobody, and left out of the stable slot. So the
// candidate removes its release from the groups of every wave that began, and the
// stable slot from everyone. What people of the tenant assigned stays theirs.
func (w onTenant) uninstallAll(ctx context.Context) error {
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return err
	}
	a, err := w.removing(ctx)
	if err != nil {
		return err
	}
	candidate, err := w.console.Observe(ctx, w.e.Package, fleet.Candidate)
	if err != nil {
		return err
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return err
	}
	promoted := stable.Artifact != "" && candidate.Artifact == stable.Artifact
	switch {
	case promoted && len(candidate.Targets) > 0:
		err = w.empty(ctx, fleet.Candidate)
	case !promoted && candidate.ID != "" && !removes(candidate.Targets):
		err = w.uninstall(ctx, a, opens)
	}
	if err != nil {
		return err
	}
	if everyone(stable.Targets) >= 0 && !removes(stable.Targets) { // else nobody has it from there, or loses it already
		targets := a.allBut(nil)
		targets[0].Opens = opens
		if err := w.console.Assign(ctx, w.e.Package, fleet.Stable, targets); err != nil {
			return err
		}
	}
	return w.console.Unprobe(ctx, w.e.Package)
}
