package updates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/fleet"
)

func slotKey(op string, id fleet.PackageID, slot string) (Key, error) {
	if id == "" || (slot != fleet.Stable && slot != fleet.Candidate) {
		return Key{}, fleet.Errorf(fleet.Invalid, op, string(id), "%q is no slot of a package", slot)
	}
	return Key{id, slot}, nil
}

// specOf is the profile that a slot of a package has: nothing gets through it
// that packmill did not approve.
func specOf(key Key, patch bool) Spec {
	if patch {
		return Quality{Name: "packmill " + key.String()}
	}
	return Drivers{Name: "packmill " + key.String()}
}

// slot finds a slot's profile, of whichever kind. nil when there is none.
func (c *Client) slot(ctx context.Context, key Key) (*profile, error) {
	for _, k := range []kind{qualityKind, driverKind} {
		if p, err := c.find(ctx, k, key); err != nil || p != nil {
			return p, err
		}
	}
	return nil, nil
}

// ObserveUpdate reads what a slot lets devices have. A slot without a profile is
// the zero state.
func (c *Client) ObserveUpdate(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	key, err := slotKey("intune.observe", id, slot)
	if err != nil {
		return fleet.AppState{}, err
	}
	p, err := c.slot(ctx, key)
	if err != nil || p == nil {
		return fleet.AppState{}, c.fail("intune.observe", key, err)
	}
	s, err := c.state(ctx, p)
	return s, c.fail("intune.observe", key, err)
}

func (c *Client) state(ctx context.Context, p *profile) (fleet.AppState, error) {
	s := fleet.AppState{ID: p.id, Version: p.marker.Release, Artifact: p.marker.Artifact, Generation: p.marker.Generation}
	present, err := c.assignments(ctx, p)
	if err != nil {
		return s, err
	}
	ours, _, err := assign.Split(ctx, nil, p.marker.Targets, present)
	if err != nil {
		return s, err
	}
	for _, a := range ours {
		s.Targets = append(s.Targets, a.asTarget())
	}
	return s, nil
}

// PublishUpdate makes a slot be about the update or driver that an app stands
// for, and returns its state. It approves nothing: AssignUpdate does. What the
// slot was about before is suspended first.
//
// An update that the catalog does not have (yet, or any more) is an error of kind
// Waiting; one whose builds the release states otherwise than the catalog is
// Refused.
func (c *Client) PublishUpdate(ctx context.Context, app fleet.App) (fleet.AppState, error) {
	key, err := slotKey("intune.publish", app.Package, app.Slot)
	if err != nil {
		return fleet.AppState{}, err
	}
	if (app.Patch == nil) == (app.Driver == nil) {
		return fleet.AppState{}, fleet.Errorf(fleet.Invalid, "intune.publish", string(app.Package), "is neither an OS patch nor a driver")
	}
	var state fleet.AppState
	err = c.api.Persist(ctx, func() error {
		want := Marker{Key: key, Release: app.Version, Artifact: app.Artifact, Generation: app.Generation}
		if app.Driver != nil {
			want.Driver = &DriverName{Class: app.Driver.Class, Version: app.Version, Manufacturer: app.Publisher}
		} else if want.Updates, err = c.patch(ctx, app); err != nil {
			return err
		}
		p, err := c.slot(ctx, key)
		if err != nil {
			return err
		}
		if p != nil {
			same := p.marker.Artifact == want.Artifact
			if same && app.Driver != nil {
				want.Updates = p.marker.Updates // found already
			}
			if !same || !slices.Equal(p.marker.Updates, want.Updates) {
				if err := c.withdraw(ctx, p); err != nil {
					return err
				}
			}
		}
		if p, err = c.ensure(ctx, want, specOf(key, app.Patch != nil)); err != nil {
			return err
		}
		state, err = c.state(ctx, p)
		return err
	})
	return state, c.fail("intune.publish", key, err)
}

// patch finds an OS patch in the catalog, the newest of several revisions.
func (c *Client) patch(ctx context.Context, app fleet.App) ([]string, error) {
	items, err := c.items(ctx, app.Patch.KB)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Waiting,
			Err:  fmt.Errorf("the catalog of Windows Update has no %s in this tenant", app.Patch.KB),
			Hint: "it lists what can be deployed now: a newer update has replaced an older one, or it has not appeared yet"}
	}
	known := items[0].builds(app.Patch.KB)
	for _, os := range slices.Sorted(maps.Keys(app.Patch.Builds)) {
		if build := app.Patch.Builds[os]; !slices.Contains(known, build) {
			return nil, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Refused,
				Err:  fmt.Errorf("%s brings devices to %s; the package says %s for %s", app.Patch.KB, strings.Join(known, ", "), build, os),
				Hint: "correct patch: builds in the package; devices are judged by them"}
		}
	}
	return []string{items[0].ID}, nil
}

// withdraw stops offering what a profile is about.
func (c *Client) withdraw(ctx context.Context, p *profile) error {
	if p.kind == driverKind {
		return c.actDrivers(ctx, p, suspend, p.marker.Updates, time.Time{})
	}
	return c.act(ctx, p, suspend, p.marker.Updates)
}

// AssignUpdate makes packmill's part of who a slot is for equal to targets, and
// approves what the slot is about for them. Empty targets suspend it and take
// the assignments away; devices hear of it within HoldDelay, and keep what they
// installed until then.
//
// A target that opens later is an error of kind Waiting: an approval has no
// start. To remove an update, or to offer it to users, is Refused.
func (c *Client) AssignUpdate(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	key, err := slotKey("intune.assign", id, slot)
	if err != nil {
		return err
	}
	if err := c.admissible(key, targets); err != nil {
		return err
	}
	return c.fail("intune.assign", key, c.api.Persist(ctx, func() error {
		p, err := c.slot(ctx, key)
		switch {
		case err != nil:
			return err
		case p == nil && len(targets) == 0:
			return nil
		case p == nil:
			return noProfile(qualityKind, key)
		case len(targets) == 0:
			// One must not keep the other from stopping it.
			return errors.Join(c.replace(ctx, p, nil), c.withdraw(ctx, p))
		}
		want, err := toAssignments(p.kind, key, targets)
		if err != nil {
			return err
		}
		if err := c.replace(ctx, p, want); err != nil {
			return err
		}
		if p.kind == qualityKind {
			return c.act(ctx, p, approve, p.marker.Updates)
		}
		return c.approveDriver(ctx, p)
	}))
}

// admissible refuses targets that Windows Update cannot serve.
func (c *Client) admissible(key Key, targets []fleet.Target) error {
	now := c.api.Clock().Now()
	for _, t := range targets {
		switch {
		case t.Exclude:
		case t.Filter != "":
			return &fleet.Error{Op: "intune.assign", Object: key.String(), Kind: fleet.Refused,
				Err:  fmt.Errorf("what Windows Update delivers is approved for groups, which no filter narrows"),
				Hint: "take filter out of the package's assignment in tenant.cue, and leave a group out with exclude"}
		case t.Intent == "uninstall":
			return &fleet.Error{Op: "intune.assign", Object: key.String(), Kind: fleet.Refused,
				Err:  fmt.Errorf("an approval cannot remove an update from devices"),
				Hint: "declare rollback: \"forwardOnly\"; an update ring can have devices remove the newest quality update, which is a person's decision"}
		case t.Intent != "required":
			return fleet.Errorf(fleet.Refused, "intune.assign", key.String(), "an update is approved for devices; it cannot be %s to users", t.Intent)
		case t.LocalTime || t.Opens.After(now):
			return &fleet.Error{Op: "intune.assign", Object: key.String(), Kind: fleet.Waiting,
				Err: fmt.Errorf("it is to start at %s, and an approval has no start", t.Opens.UTC().Format(time.RFC3339)), Hint: "the first run after that approves it"}
		}
	}
	return nil
}
