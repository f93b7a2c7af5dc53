package intune

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	// abandoned is how long a half-made object of another kind may be somebody's
	// work: longer than any upload, and any lease.
	abandoned = 24 * time.Hour
	// unhooked is how long the service takes to see that a relation is gone.
	unhooked = 2 * time.Second
)

// Remove deletes every app object of a package: of both slots, of all kinds, and
// those that were left half made, after their assignments. It is for a package
// that leaves the tenant. Devices keep what they have installed. An app that the
// tenant's people made and packmill adopted is theirs again: it loses packmill's
// line, and the assignments, relations and categories that packmill gave it, and
// nothing else.
//
// Objects without the package's marker are not touched. What Removable says stops
// it before anything at all is changed. An object that is of a later generation by
// the time it would be deleted or given back stays: Refused.
func (c *Client) Remove(ctx context.Context, id fleet.PackageID, generation int) error {
	return c.api.Fail("intune.remove", string(id), c.api.Persist(ctx, func() error {
		apps, err := c.removable(ctx, id, generation)
		if err != nil {
			return err
		}
		for _, app := range apps {
			m, _ := ownMarker(app)
			if err := c.remove(ctx, slotKey{id, m.Slot}, app.ID, generation); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Removable looks whether a package's app objects can be removed, and changes
// nothing: an error of kind Stalled while an enrolment status page waits for one
// of them, or where the tenant's people assigned one, Refused where one is of a
// later generation than the caller's, who was overtaken. A generation of 0 is not
// compared.
func (c *Client) Removable(ctx context.Context, id fleet.PackageID, generation int) error {
	return c.api.Fail("intune.remove", string(id), c.api.Persist(ctx, func() error {
		_, err := c.removable(ctx, id, generation)
		return err
	}))
}

// overtaken refuses to take away what another caller has brought since.
func overtaken(k slotKey, m Marker, generation int) error {
	if generation <= 0 || m.Generation <= generation {
		return nil
	}
	return &fleet.Error{Op: "intune.remove", Object: k.String(), Kind: fleet.Refused,
		Err:  fmt.Errorf("the app is of generation %d, the caller knows %d", m.Generation, generation),
		Hint: "another run has brought it since: plan again"}
}

func (c *Client) removable(ctx context.Context, id fleet.PackageID, generation int) ([]mobileApp, error) {
	if id == "" {
		return nil, fleet.Errorf(fleet.Invalid, "intune.remove", "", "no package is named")
	}
	apps, err := c.listMarked(ctx)
	if err != nil {
		return nil, err
	}
	apps = slices.DeleteFunc(apps, func(app mobileApp) bool {
		m, ok := ownMarker(app)
		return !ok || m.Package != id
	})
	var ids []string
	for _, app := range apps {
		ids = append(ids, app.ID)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if err := c.unawaited(ctx, string(id), ids...); err != nil {
		return nil, err
	}
	for _, app := range apps {
		m, _ := ownMarker(app)
		k := slotKey{id, m.Slot}
		if err := overtaken(k, m, generation); err != nil {
			return nil, err
		}
		if _, err := c.unshared(ctx, k, app.ID, m); err != nil {
			return nil, err
		}
		present, err := c.relations(ctx, app.ID)
		if transport.StatusOf(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m.Adopted {
			continue // what people related to their app stays
		}
		if _, theirs, err := c.hooks(ctx, k, present); err != nil || theirs != nil {
			return nil, errors.Join(err, theirs)
		}
	}
	return apps, nil
}

// unshared gives the assignments of an app that is to be removed, which must all
// be packmill's unless the app itself is the tenant's.
func (c *Client) unshared(ctx context.Context, k slotKey, id string, m Marker) ([]assignment, error) {
	present, err := c.settledAssignments(ctx, id)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil, nil // gone since it was listed
	}
	if err != nil {
		return nil, err
	}
	_, foreign, err := c.split(ctx, m, present)
	if err == nil && len(foreign) > 0 && !m.Adopted {
		err = &fleet.Error{Op: "intune.remove", Object: k.String(), Kind: fleet.Stalled, Err: fleet.Theirs(errors.New("the tenant's people have assigned the app")),
			Hint: "remove that assignment in the tenant, or the line of packmill in the app's notes to keep the app"}
	}
	return present, err
}

// own reads an object that was listed, nil where it does not bear the slot's marker
// any more: it is gone, or somebody took it over. One that another caller brought
// since is Refused.
func (c *Client) own(ctx context.Context, k slotKey, id string, generation int) (*found, error) {
	app, err := c.read(ctx, id) // what is not found once is not gone
	if transport.StatusOf(err) == http.StatusNotFound {
		c.forget(k, id)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := &found{app: app, kind: kindOf(app.ODataType)}
	var ok bool
	if f.marker, ok = readMarker(app); !ok || f.marker.Package != k.pkg || f.marker.Slot != k.slot || f.kind == "" {
		return nil, nil
	}
	return f, overtaken(k, f.marker, generation)
}

// remove deletes one object, if it bears the slot's marker when it comes to that.
func (c *Client) remove(ctx context.Context, k slotKey, id string, generation int) error {
	f, err := c.own(ctx, k, id, generation)
	if err != nil || f == nil {
		return err
	}
	present, err := c.unshared(ctx, k, id, f.marker)
	if err != nil {
		return err
	}
	if f.marker.Adopted {
		return c.disown(ctx, k, f, generation)
	}
	if err := c.unhook(ctx, k, id, true); err != nil {
		return err
	}
	if len(present) > 0 {
		if err := c.replace(ctx, f, nil); err != nil {
			return err
		}
	}
	if err := c.api.Clock().Sleep(ctx, unhooked); err != nil {
		return err
	}
	if f, err = c.own(ctx, k, id, generation); err != nil || f == nil {
		return err
	}
	if err := c.api.Call(ctx, msgraph.Fresh, http.MethodDelete, appPath(id), nil, nil); err != nil && transport.StatusOf(err) != http.StatusNotFound {
		return err
	}
	c.forget(k, id)
	return nil
}

// sweep deletes what earlier publications into a slot left half made, and tells
// whether there was any: objects that never held content and that nobody is
// assigned to. One of another kind may be another run's work, which is given a
// day.
func (c *Client) sweep(ctx context.Context, k slotKey, lead *found) (swept bool, err error) {
	var empty []string
	for _, f := range lead.all() {
		empty = append(empty, f.spare...)
		if f != lead && !f.holds() && c.api.Clock().Now().Sub(when(f.app.CreatedDateTime)) > abandoned {
			empty = append(empty, f.app.ID)
		}
	}
	for _, id := range empty {
		app, err := c.read(ctx, id)
		if transport.StatusOf(err) == http.StatusNotFound {
			c.forget(k, id)
			continue
		}
		if err != nil {
			return swept, err
		}
		m, ok := ownMarker(app)
		if !ok || m.Package != k.pkg || m.Slot != k.slot || m.File != "" || m.Adopted || app.CommittedContentVersion != "" {
			continue // one that was adopted is whole, whatever it holds
		}
		present, err := c.settledAssignments(ctx, id)
		if err != nil {
			return swept, err
		}
		if len(present) > 0 {
			continue
		}
		c.api.Log().InfoContext(ctx, "an app object that was never finished is deleted", "tenant", c.api.Directory(), "slot", k.String(), "app", id)
		if err := c.remove(ctx, k, id, m.Generation); err != nil {
			return swept, err
		}
		swept = true
	}
	return swept, nil
}
