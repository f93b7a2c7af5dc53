package intune

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	odataAssignment = "#microsoft.graph.mobileAppAssignment"
	odataSettings   = "#microsoft.graph.win32LobAppAssignmentSettings"

	foreground = "foreground"
	background = "notConfigured" // as the service's name for it is
)

// byReturnCode is the restart behaviour that restart settings go with.
const byReturnCode = "basedOnReturnCode"

// wallClock is how a device's own time is written: the zone is the device's.
const wallClock = "2006-01-02T15:04:05"

// Assign replaces packmill's part of the slot's assignment set. The call that
// Graph has replaces the whole set, so what the tenant's people assigned is read
// and sent back with its settings. Empty targets withdraw, and find nothing to
// do on a slot without an app object.
//
// packmill's part is: its own groups, and what the marker says it assigned before.
// What the tenant's people assigned otherwise than targets say is Stalled before
// anything is written; what they assigned alike becomes packmill's.
//
// Refused to take the last assignment of a stable slot away that an enrolment
// status page waits for; Stop does that.
func (c *Client) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	k := slotKey{id, slot}
	if err := checkSlot("intune.assign", k); err != nil {
		return err
	}
	if slot == fleet.Stable && len(targets) == 0 {
		f, err := c.find(ctx, k)
		if err == nil && f != nil {
			err = c.unawaited(ctx, k.String(), f.ids()...)
		}
		if err != nil {
			return c.api.Fail("intune.assign", k.String(), err)
		}
	}
	return c.assignSlot(ctx, k, targets)
}

// assignSlot is Assign without a look at who waits for the app.
func (c *Client) assignSlot(ctx context.Context, k slotKey, targets []fleet.Target) error {
	if err := checkSlot("intune.assign", k); err != nil {
		return err
	}
	want, err := toAssignments(k, targets)
	if err != nil {
		return err
	}
	wait := time.Second
	for try := 1; ; try++ {
		err := c.assign(ctx, k, want)
		if err == nil || try == msgraph.Tries || !msgraph.Passing(ctx, err) {
			return c.api.Fail("intune.assign", k.String(), err)
		}
		if err := c.api.Clock().Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

func (c *Client) assign(ctx context.Context, k slotKey, want []assignment) error {
	f, err := c.find(ctx, k)
	if err != nil {
		return err
	}
	if err := c.unmixed(ctx, k, want); err != nil {
		return err
	}
	if f == nil {
		if len(want) == 0 {
			return nil
		}
		return &fleet.Error{Op: "intune.assign", Object: k.String(), Kind: fleet.Stalled,
			Err: errNoApp, Hint: "publish the release into the slot first"}
	}
	if len(want) == 0 {
		return c.withdrawAll(ctx, f)
	}
	for _, o := range f.all() {
		if err := c.withdrawSpare(ctx, o); err != nil {
			return err
		}
	}
	wanted := map[*found][]assignment{}
	for _, o := range f.all() { // all are looked at before any is changed
		if wanted[o], err = c.suited(ctx, k, f, o, want); err != nil {
			return err
		}
		if err := c.mayRestart(ctx, k, o, wanted[o]); err != nil {
			return err
		}
		if len(f.others) == 0 {
			continue // Replace looks itself
		}
		if err := c.object(ctx, o).Free(ctx, wanted[o]); err != nil {
			return err
		}
	}
	for _, o := range f.all() {
		if err := c.replace(ctx, o, wanted[o]); err != nil {
			return err
		}
	}
	return nil
}

// withdrawAll takes packmill's assignments of all objects of a slot away: one
// that cannot be changed keeps no other from stopping.
func (c *Client) withdrawAll(ctx context.Context, f *found) error {
	var errs []error
	for _, o := range f.all() {
		errs = append(errs, c.replace(ctx, o, nil), c.withdrawSpare(ctx, o))
	}
	return errors.Join(errs...)
}

// withdrawSpare keeps second objects with our marker from going on deploying.
func (c *Client) withdrawSpare(ctx context.Context, f *found) error {
	for _, id := range f.spare {
		var spare mobileApp
		if err := c.api.Call(ctx, msgraph.Final, http.MethodGet, appPath(id), nil, &spare); err != nil {
			if transport.StatusOf(err) == http.StatusNotFound {
				continue
			}
			return err
		}
		m, ours := ownMarker(spare)
		if !ours {
			continue // somebody took the line off since: it is his
		}
		if err := c.replace(ctx, &found{app: spare, kind: f.kind, marker: m}, nil); err != nil {
			return err
		}
	}
	return nil
}

// mayRestart refuses restart settings for an app that does not restart by its
// exit code: the service has nothing to apply them to and refuses the whole set.
func (c *Client) mayRestart(ctx context.Context, k slotKey, f *found, want []assignment) error {
	if !slices.ContainsFunc(want, func(a assignment) bool { return a.Settings != nil && a.Settings.Restart != nil }) {
		return nil
	}
	var app win32LobApp // no other kind has settings of restarts
	if err := c.api.Call(ctx, msgraph.Fresh, http.MethodGet, appPath(f.app.ID), nil, &app); err != nil {
		return err
	}
	if app.InstallExperience == nil || app.InstallExperience.DeviceRestartBehavior != byReturnCode {
		return fleet.Errorf(fleet.Invalid, "intune.assign", k.String(), "restarts can be put off only where the app restarts by its exit code, and this one does not")
	}
	return nil
}

// unnoticed is how long after an app was made nobody else can have found and assigned it.
const unnoticed = 30 * time.Second

// neverAssigned reports whether nobody has assigned the app yet: this client has made
// it a moment ago. An upload may have taken long enough for people to have.
func (c *Client) neverAssigned(app string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	made, known := c.unassigned[app]
	return known && c.api.Clock().Now().Before(made.Add(unnoticed))
}

// replace makes packmill's part of an app's assignments equal to want.
func (c *Client) replace(ctx context.Context, f *found, want []assignment) error {
	return c.object(ctx, f).Replace(ctx, want)
}

func (c *Client) object(ctx context.Context, f *found) assign.Object[assignment] {
	return assign.Object[assignment]{
		Name: "app " + f.app.ID, Owns: c.ownGroup, Marked: f.marker.Targets, Alike: alike, Waits: c.api, New: c.neverAssigned(f.app.ID),
		Read: func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, f.app.ID) },
		Mark: func(ctx context.Context, targets []string) error {
			m := f.marker
			m.Targets = targets
			return c.writeMarker(ctx, f, m)
		},
		Send: func(ctx context.Context, set []json.RawMessage) error {
			c.mu.Lock()
			delete(c.unassigned, f.app.ID)
			c.mu.Unlock()
			// The whole set again has the same effect.
			body := map[string]any{"mobileAppAssignments": set}
			return c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, assignActionPath(f.app.ID), body, nil)
		},
	}
}

// settledAssignments reads the assignment set of an app that a decision rests on.
func (c *Client) settledAssignments(ctx context.Context, app string) ([]assignment, error) {
	return assign.Settled(ctx, c.api, "app "+app, func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, app) })
}

// assignments reads the assignment set of an app.
func (c *Client) assignments(ctx context.Context, app string) ([]assignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, assignmentsPath(app))
	if err != nil {
		return nil, err
	}
	return assign.Parse[assignment](raws, "id", "source", "sourceId")
}

// split tells packmill's assignments from those of the tenant's people.
func (c *Client) split(ctx context.Context, m Marker, present []assignment) (ours, foreign []assignment, err error) {
	return assign.Split(ctx, c.ownGroup, m.Targets, present)
}
