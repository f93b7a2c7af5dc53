package intune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Adopt makes an app object of the tenant's own the stable slot of a package: it
// gets packmill's line in its notes, of which the rest is kept, and keeps its
// content, its properties and its assignments until a release is published into
// the slot. The app is named by its id alone.
//
// Kind Refused where the tenant has no such app, where it is of no kind that
// packages are kept as, bears the marker of something else, or the package's
// stable slot has another app of its kind already. An app that bears the slot's own marker was adopted before.
func (c *Client) Adopt(ctx context.Context, id fleet.PackageID, app string) error {
	k := slotKey{id, fleet.Stable}
	refused := func(hint, format string, args ...any) error {
		return &fleet.Error{Op: "intune.adopt", Object: k.String(), Kind: fleet.Refused, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if err := checkSlot("intune.adopt", k); err != nil {
		return err
	}
	var have mobileApp
	err := c.api.Call(ctx, msgraph.Final, http.MethodGet, appPath(app), nil, &have)
	switch {
	case transport.StatusOf(err) == http.StatusNotFound || transport.StatusOf(err) == http.StatusBadRequest:
		return refused("take the app's id from its page in the tenant", "the tenant has no app %s", app)
	case err != nil:
		return c.api.Fail("intune.adopt", k.String(), err)
	case kindOf(have.ODataType) == "":
		return refused("packmill keeps packages as apps of other kinds", "app %s is a %s", app, cmp.Or(have.ODataType, "thing without a type"))
	}
	m, marked := ownMarker(have)
	switch {
	case marked && m.Package == k.pkg && m.Slot == k.slot:
		return c.learn(ctx, k, have)
	case marked:
		return refused("an app is one slot of one package", "app %s is the slot %s already", app, slotKey{m.Package, m.Slot})
	}
	apps, err := c.lookup(ctx, k, true)
	if err != nil {
		return c.api.Fail("intune.adopt", k.String(), err)
	}
	kind := kindOf(have.ODataType)
	if used := apps[kind].id; used != "" && used != app {
		return refused("take adopt out, or the marker off the other app's notes", "the slot is app %s already", used)
	}
	if err := c.writeMarker(ctx, &found{app: have, kind: kind}, Marker{Package: k.pkg, Slot: k.slot, Adopted: true}); err != nil {
		return c.api.Fail("intune.adopt", k.String(), err)
	}
	return c.learn(ctx, k, have)
}

// learn notes which app a slot is, whatever lists show yet.
func (c *Client) learn(ctx context.Context, k slotKey, app mobileApp) error {
	apps, err := c.lookup(ctx, k, false)
	if kind := kindOf(app.ODataType); err == nil && apps[kind].id != app.ID {
		c.remember(k, kind, app.ID)
	}
	return c.api.Fail("intune.adopt", k.String(), err)
}

var errAwaited = fleet.Theirs(errors.New("an enrolment status page waits for it"))

// Awaited are the enrolment status pages of the tenant that wait for packmill's
// slots, in the order of pages and slots. Slots keep their ids, so that nothing
// there has to change when a release does.
func (c *Client) Awaited(ctx context.Context) ([]fleet.Awaited, error) {
	pages, err := c.pages(ctx)
	if err != nil {
		return nil, c.api.Fail("intune.awaited", c.api.Directory(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slots, err := c.listSlots(ctx)
	if err != nil {
		return nil, c.api.Fail("intune.awaited", c.api.Directory(), err)
	}
	of := map[string]slotKey{}
	for k, apps := range slots {
		for _, o := range apps {
			of[o.id] = k
		}
	}
	var out []fleet.Awaited
	for _, p := range pages {
		for _, app := range p.Apps {
			if k, ours := of[app]; ours {
				out = append(out, fleet.Awaited{Page: p.Name, Package: k.pkg, Slot: k.slot, App: app})
			}
		}
	}
	return out, nil
}

// completionPage is the type of enrolment status pages.
const completionPage = "#microsoft.graph.windows10EnrollmentCompletionPageConfiguration"

// An enrolmentPage is an enrolment status page and the apps it waits for.
type enrolmentPage struct {
	ODataType string   `json:"@odata.type"`
	ID        string   `json:"id"`
	Name      string   `json:"displayName"`
	Apps      []string `json:"selectedMobileAppIds"`
}

// pages lists the enrolment status pages. There is a handful in a tenant.
func (c *Client) pages(ctx context.Context) ([]enrolmentPage, error) {
	all, err := msgraph.List[enrolmentPage](ctx, c.api, msgraph.Final, enrolmentPath)
	var out []enrolmentPage
	for _, p := range all {
		if p.ODataType == completionPage {
			out = append(out, p)
		}
	}
	return out, err
}

// unawaited refuses to take apps away that an enrolment status page waits for:
// the page would go on naming it, and whoever made the page meant devices to have
// it before anybody works with them.
func (c *Client) unawaited(ctx context.Context, object string, apps ...string) error {
	pages, err := c.pages(ctx)
	if err != nil {
		return err
	}
	for _, p := range pages {
		for _, id := range p.Apps {
			if slices.Contains(apps, id) {
				return &fleet.Error{Op: "intune.remove", Object: object, Kind: fleet.Stalled, Err: fmt.Errorf("%w: %q names app %s", errAwaited, p.Name, id),
					Hint: "take the app off that page first"}
			}
		}
	}
	return nil
}

// Stop takes packmill's assignments of a slot away, whatever waits for the app:
// what stops a release must never be refused.
func (c *Client) Stop(ctx context.Context, id fleet.PackageID, slot string) error {
	return c.assignSlot(ctx, slotKey{id, slot}, nil)
}
