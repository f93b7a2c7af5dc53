package intune

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

var (
	errForeignRelation = errors.New("an app that is not packmill's depends on it or supersedes it")
	errPeoplesRelation = errors.New("the tenant's people made another app of packmill's depend on it or supersede it")
)

// A hook is a relation of packmill's, of another app of its own to one that leaves.
type hook struct {
	app string // that has the relation
	m   Marker // of that app
}

// hooks are packmill's own relations to an app of a package, of which present are
// all. What people of the tenant made is the error theirs, of kind Stalled, beside
// them: their own app may be related to it, or they related one of packmill's.
func (c *Client) hooks(ctx context.Context, k slotKey, present []relation) (own []hook, theirs, err error) {
	for _, r := range present {
		if r.Target != "parent" {
			continue
		}
		app, err := c.read(ctx, r.TargetID)
		if transport.StatusOf(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		m, ours := readMarker(app)
		switch {
		case !ours:
			theirs = peoples(k, errForeignRelation, r, "remove the relation in the tenant; packmill changes nobody else's app")
		case !m.made(r, k.pkg):
			theirs = peoples(k, errPeoplesRelation, r, "remove the relation in the tenant, from the app of "+string(m.Package)+"; packmill removes only what its own packages say")
		default:
			own = append(own, hook{r.TargetID, m})
		}
	}
	return own, theirs, nil
}

func peoples(k slotKey, what error, r relation, hint string) error {
	return &fleet.Error{Op: "intune.remove", Object: k.String(), Kind: fleet.Stalled, Err: fleet.Theirs(fmt.Errorf("%w: %s", what, r.TargetID)), Hint: hint}
}

// unhook takes an app out of the relations that packmill made of its other apps, so
// that the service lets it be deleted, and tells what people of the tenant made.
// Nothing of theirs is touched, and while an app is to go for good nothing at all.
func (c *Client) unhook(ctx context.Context, k slotKey, app string, forGood bool) error {
	present, err := c.relations(ctx, app)
	if err != nil {
		return err
	}
	own, theirs, err := c.hooks(ctx, k, present)
	if err != nil {
		return err
	}
	if forGood && theirs != nil {
		return theirs
	}
	for _, h := range own {
		all, err := c.relations(ctx, h.app)
		if err != nil {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(all), func(o relation) bool {
			return o.Target == "parent" || o.TargetID == app && h.m.made(o, k.pkg)
		})
		if err := c.updateRelations(ctx, h.app, all, kept, nil); err != nil {
			return err
		}
	}
	return nil
}

// release takes packmill's own relations and categories of an app away, and the app
// out of those of its others. What people of the tenant chose stays.
func (c *Client) release(ctx context.Context, k slotKey, f *found) error {
	if err := c.unhook(ctx, k, f.app.ID, false); err != nil {
		return err
	}
	if f.marker.relates() {
		if err := c.connect(ctx, k, f, Marker{}, func([]link) []link { return nil }); err != nil {
			return err
		}
	}
	return c.categorize(ctx, f, nil)
}

// disown gives an adopted app back to the tenant's people, as it is, without what
// packmill made around it.
func (c *Client) disown(ctx context.Context, k slotKey, f *found, generation int) error {
	if err := c.replace(ctx, f, nil); err != nil {
		return err
	}
	if err := c.release(ctx, k, f); err != nil {
		return err
	}
	f, err := c.own(ctx, k, f.app.ID, generation)
	if err != nil || f == nil {
		return err
	}
	notes := marker.Without(text(f.app.Notes))
	if err := c.putNotes(c.noted(ctx, f, notes), f, notes); err != nil {
		return err
	}
	c.forget(k, f.app.ID)
	return nil
}
