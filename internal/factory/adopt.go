package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
)

// An Adopter is a Console on which an app of the tenant's own can become a
// package's stable slot.
type Adopter interface {
	// Adopt marks the app as the slot and changes nothing else of it. Refused for an
	// app that is somebody else's or of another kind.
	Adopt(ctx context.Context, id fleet.PackageID, app string) error
}

// A Stopper is a Console on which the end of an assignment may be refused, for
// what waits for the app; its Stop never is.
type Stopper interface {
	Stop(ctx context.Context, id fleet.PackageID, slot string) error
}

// A Reverser is a Console on which apps can supersede those of other packages.
type Reverser interface {
	// Reverse takes away that the slot's app does, so that devices may have the
	// others again.
	Reverse(ctx context.Context, id fleet.PackageID, slot string) error
}

// adopt makes the app that the approved plan names the stable slot.
func (w onTenant) adopt(ctx context.Context) error {
	a, ok := w.visit.console.(Adopter)
	if !ok {
		return fleet.Errorf(fleet.Invalid, "factory.adopt", string(w.tenant.ID), "its console cannot take an app over")
	}
	if w.c.Clock.Now().After(w.intent.NotAfter) {
		return errExpired
	}
	return a.Adopt(ctx, w.e.Package, w.e.Adopts)
}

// empty takes packmill's assignments of a slot away, to stop what it holds.
func (w onTenant) empty(ctx context.Context, slot string) error {
	if s, ok := w.console.(Stopper); ok {
		return s.Stop(ctx, w.e.Package, slot)
	}
	return w.console.Assign(ctx, w.e.Package, slot, nil)
}
