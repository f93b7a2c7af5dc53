package intune

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// current refuses a caller whom another one has overtaken, in whichever of the
// slot's objects that shows.
func (p *publication) current(ctx context.Context, known *found) error {
	if p.app.Generation <= 0 {
		return nil
	}
	lead, err := p.c.findBeside(ctx, p.key, known)
	if err != nil || lead == nil {
		return err
	}
	for _, f := range lead.all() {
		if f.marker.Generation > p.app.Generation {
			return &fleet.Error{Op: "intune.publish", Object: p.key.String(), Kind: fleet.Refused,
				Err:  fmt.Errorf("the slot is at generation %d, the caller knows %d", f.marker.Generation, p.app.Generation),
				Hint: "another run has changed the slot: plan again"}
		}
	}
	return nil
}

var (
	errEdited = fleet.Theirs(errors.New("the tenant has changed the app's properties since they were last written"))
	errTaken  = fleet.Theirs(errors.New("somebody has taken packmill's line off the app's notes"))
)

// standing is a context under which an app object is changed only while it is what
// was read of it: packmill's, of no later generation, with the properties that
// packmill gave it (unless those are to be restored) and with the same notes, since a
// change sends them back. Graph has no condition to give along, and between the
// first look and the change lies an upload; so the object is read before each
// attempt, which leaves the time of one request.
func (p *publication) standing(ctx context.Context, f *found) context.Context {
	return fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		app, have, err := p.c.readWhole(ctx, f.app.ID, f.kind)
		if transport.StatusOf(err) == http.StatusNotFound {
			return fmt.Errorf("%w: it is gone", marker.ErrChanged)
		}
		if err != nil {
			return err
		}
		m, ok := readMarker(app)
		if !ok || m.Package != p.key.pkg || m.Slot != p.key.slot {
			return &fleet.Error{Op: "intune.publish", Object: p.key.String(), Kind: fleet.Refused, Err: errTaken,
				Hint: "the app is theirs now: the next run makes another one beside it"}
		}
		if err := p.current(ctx, &found{app: app, kind: f.kind, marker: m}); err != nil {
			return err
		}
		if m.Spec != "" && !p.app.Restore && !asWritten(have, m.Spec) {
			return p.stalled()
		}
		if !marker.Same(text(app.Notes), text(f.app.Notes)) {
			return marker.ErrChanged
		}
		return nil
	})
}

// moved reports whether people have changed the app's properties. That is Stalled
// unless main says that it is undone: a release is never brought over it in silence,
// not even one that takes another back.
func (p *publication) moved(ctx context.Context, f *found) (bool, error) {
	moved, err := p.c.moved(ctx, f)
	if err == nil && moved && !p.app.Restore {
		err = p.stalled()
	}
	return moved, err
}

func (p *publication) stalled() error {
	return &fleet.Error{Op: "intune.publish", Object: p.key.String(), Kind: fleet.Stalled, Err: errEdited,
		Hint: "put back what was changed, or have it overwritten by an entry in the tenant's restore; packmill plan --drift shows which apps it is"}
}
