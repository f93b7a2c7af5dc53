package intune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Adopt makes an app object of the tenant's own the stable slot of a package: it
// gets packmill's line in its notes, of which the rest is kept, and keeps its
// content, its properties and its assignments until a release is published into
// the slot. The app is named by its id alone.
//
// Kind Refused where the tenant has no such app, where it is no Win32 app, bears
// the marker of something else, or the package's stable slot is another app
// already. An app that bears the slot's own marker was adopted before.
func (c *Client) Adopt(ctx context.Context, id fleet.PackageID, app string) error {
	k := slotKey{id, fleet.Stable}
	refused := func(hint, format string, args ...any) error {
		return &fleet.Error{Op: "intune.adopt", Object: k.String(), Kind: fleet.Refused, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if err := checkSlot("intune.adopt", k); err != nil {
		return err
	}
	var have win32LobApp
	err := c.api.Call(ctx, msgraph.Final, http.MethodGet, appPath(app), nil, &have)
	switch {
	case transport.StatusOf(err) == http.StatusNotFound || transport.StatusOf(err) == http.StatusBadRequest:
		return refused("take the app's id from its page in the tenant", "the tenant has no app %s", app)
	case err != nil:
		return c.api.Fail("intune.adopt", k.String(), err)
	case have.ODataType != odataApp:
		return refused("packmill keeps packages as Win32 apps alone", "app %s is a %s", app, cmp.Or(have.ODataType, "thing without a type"))
	}
	m, marked := ParseMarker(text(have.Notes))
	switch {
	case marked && m.Package == k.pkg && m.Slot == k.slot:
		return c.learn(ctx, k, app)
	case marked:
		return refused("an app is one slot of one package", "app %s is the slot %s already", app, slotKey{m.Package, m.Slot})
	}
	apps, known, err := c.lookup(ctx, k, true)
	if err != nil {
		return c.api.Fail("intune.adopt", k.String(), err)
	}
	if known && apps.id != app {
		return refused("take adopt out, or the marker off the other app's notes", "the slot is app %s already", apps.id)
	}
	err = c.writeMarker(ctx, &found{app: have}, Marker{Package: k.pkg, Slot: k.slot, Adopted: true})
	return cmp.Or(c.api.Fail("intune.adopt", k.String(), err), c.learn(ctx, k, app))
}

// learn notes which app a slot is, whatever lists show yet.
func (c *Client) learn(ctx context.Context, k slotKey, app string) error {
	apps, known, err := c.lookup(ctx, k, false)
	if err == nil && (!known || apps.id != app) {
		c.remember(k, app)
	}
	return c.api.Fail("intune.adopt", k.String(), err)
}

var errAwaited = errors.New("an enrolment status page waits for it")

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
		of[apps.id] = k
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

// unawaited refuses to take an app away that an enrolment status page waits for:
// the page would go on naming it, and whoever made the page meant devices to have
// it before anybody works with them.
func (c *Client) unawaited(ctx context.Context, k slotKey, app string) error {
	pages, err := c.pages(ctx)
	if err != nil {
		return err
	}
	for _, p := range pages {
		for _, id := range p.Apps {
			if id == app {
				return &fleet.Error{Op: "intune.remove", Object: k.String(), Kind: fleet.Refused, Err: fmt.Errorf("%w: %q names app %s", errAwaited, p.Name, app),
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

// Remove deletes a slot's app object from the tenant. Refused while anybody is
// assigned to it, packmill's own groups or others, and while an enrolment status
// page waits for it. A slot without an app object is removed already.
func (c *Client) Remove(ctx context.Context, id fleet.PackageID, slot string) error {
	k := slotKey{id, slot}
	if err := checkSlot("intune.remove", k); err != nil {
		return err
	}
	f, err := c.find(ctx, k)
	if err != nil || f == nil {
		return c.api.Fail("intune.remove", k.String(), err)
	}
	if err := c.unawaited(ctx, k, f.app.ID); err != nil {
		return c.api.Fail("intune.remove", k.String(), err)
	}
	present, err := c.assignments(ctx, f.app.ID)
	if err != nil {
		return c.api.Fail("intune.remove", k.String(), err)
	}
	if len(present) > 0 {
		return &fleet.Error{Op: "intune.remove", Object: k.String(), Kind: fleet.Refused,
			Err: fmt.Errorf("the app has %d assignments", len(present)), Hint: "take them away first: devices would keep what nobody looks after"}
	}
	err = c.api.Call(ctx, msgraph.Final, http.MethodDelete, appPath(f.app.ID), nil, nil)
	if transport.StatusOf(err) == http.StatusNotFound {
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.slots, k)
	}
	return c.api.Fail("intune.remove", k.String(), err)
}
