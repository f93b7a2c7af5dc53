package updates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// slotKinds are the kinds that a slot's profile can be of.
func slotKinds() []kind { return []kind{qualityKind, featureKind, expediteKind, driverKind} }

// slot finds a slot's profile, of whichever kind. nil when there is none. others
// are of other kinds: what the slot was about before its package was changed, and
// a run died. The one that was written last leads. Spare ones are removed, so reads
// and withdrawals look at all that there are instead.
func (c *Client) slot(ctx context.Context, key Key) (lead *profile, others []*profile, err error) {
	found, err := c.own(ctx, key, slotKinds()...)
	if err != nil {
		return nil, nil, err
	}
	lead, others, alike := choose(found)
	for _, same := range alike {
		if err := c.spare(ctx, key, same); err != nil {
			return nil, nil, err
		}
	}
	return lead, others, nil
}

// choose tells which of a slot's profiles leads, the first ones of the other kinds,
// and all of each kind.
func choose(found []*profile) (lead *profile, others []*profile, alike [][]*profile) {
	for _, k := range slotKinds() {
		var same []*profile
		for _, p := range found {
			if p.kind == k {
				same = append(same, p)
			}
		}
		if len(same) == 0 {
			continue
		}
		alike = append(alike, same)
		if p := same[0]; lead == nil {
			lead = p
		} else if p.marker.Generation > lead.marker.Generation {
			lead, others = p, append(others, lead)
		} else {
			others = append(others, p)
		}
	}
	return lead, others, alike
}

// ObserveUpdate reads what a slot lets devices have. A slot without a profile is
// the zero state.
func (c *Client) ObserveUpdate(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	key, err := slotKey("intune.observe", id, slot)
	if err != nil {
		return fleet.AppState{}, err
	}
	found, err := c.own(ctx, key, slotKinds()...)
	lead, _, _ := choose(found)
	if err != nil || lead == nil {
		return fleet.AppState{}, c.fail("intune.observe", key, err)
	}
	s, err := c.state(ctx, lead, slices.DeleteFunc(found, func(p *profile) bool { return p == lead })...)
	return s, c.fail("intune.observe", key, err)
}

func (c *Client) state(ctx context.Context, lead *profile, others ...*profile) (fleet.AppState, error) {
	s := fleet.AppState{ID: lead.id, Version: lead.marker.Release, Artifact: lead.marker.Artifact, Generation: lead.marker.Generation}
	for _, p := range append([]*profile{lead}, others...) {
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
		targets, stopped, err := c.rolled(ctx, p)
		if err != nil {
			return s, err
		}
		s.Targets = append(s.Targets, targets...)
		s.Stopped = cmp.Or(s.Stopped, stopped)
	}
	return s, nil
}

// PublishUpdate makes a slot be about the update or driver that an app stands
// for, and returns its state. It approves nothing: AssignUpdate does. What the
// slot was about before is suspended first, and drivers that the tenant blocks are
// declined.
//
// An update that the catalog does not have (yet, or any more) is an error of kind
// Waiting; one that the release states otherwise than the catalog is Refused.
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
		want, spec, err := c.subject(ctx, key, app)
		if err != nil {
			return err
		}
		p, others, err := c.slot(ctx, key)
		if err != nil {
			return err
		}
		if p != nil && p.kind != spec.kind() {
			i := slices.IndexFunc(others, func(o *profile) bool { return o.kind == spec.kind() })
			others = append(others, p)
			if p = nil; i >= 0 {
				p, others = others[i], slices.Delete(others, i, i+1)
			}
		}
		for _, o := range others {
			if err := c.retire(ctx, o); err != nil {
				return err
			}
		}
		if err := c.vacate(ctx, p, &want); err != nil {
			return err
		}
		if p, err = c.ensure(ctx, p, want, spec); err != nil {
			return err
		}
		if err := c.decline(ctx, p, app.Blocked); err != nil {
			return err
		}
		state, err = c.state(ctx, p)
		return err
	})
	return state, c.fail("intune.publish", key, err)
}

// vacate stops what a profile is about where that is not what it will be about. A
// driver that was found for it stays found.
func (c *Client) vacate(ctx context.Context, p *profile, want *Marker) error {
	if p == nil {
		return nil
	}
	same := p.marker.Artifact == want.Artifact
	if same && want.Driver != nil {
		want.Updates = p.marker.Updates
	}
	if want.Gradual == nil {
		if err := c.dissolve(ctx, p); err != nil {
			return err
		}
	}
	if same && slices.Equal(p.marker.Updates, want.Updates) {
		return nil
	}
	return c.withdraw(ctx, p)
}

// withdraw stops offering what a profile is about.
func (c *Client) withdraw(ctx context.Context, p *profile) error {
	switch p.kind {
	case driverKind:
		return c.actDrivers(ctx, p, suspend, p.marker.Updates, time.Time{})
	case qualityKind:
		return c.act(ctx, p, suspend, p.marker.Updates)
	}
	// These offer to whoever they are assigned to, or deployed to.
	return errors.Join(c.unroll(ctx, p), c.replace(ctx, p, nil))
}

// retire removes a profile of a kind that the slot is of no more.
func (c *Client) retire(ctx context.Context, p *profile) error {
	if err := c.vacant(ctx, p); err != nil {
		return err
	}
	return c.remove(ctx, p)
}

// vacant takes everything that packmill does through a profile back, before it is
// deleted. One that people assigned as well stays, and is told.
func (c *Client) vacant(ctx context.Context, p *profile) error {
	if err := errors.Join(c.cease(ctx, p), c.dissolve(ctx, p)); err != nil {
		return err
	}
	theirs, err := c.shared(ctx, p)
	if err != nil {
		return err
	}
	if theirs {
		return &fleet.Error{Op: "intune.publish", Object: p.marker.Key.String(), Kind: fleet.Stalled,
			Err:  fmt.Errorf("the slot is no %s any more, and people of the tenant have assigned %s to others", p.kind.noun(), p.id),
			Hint: "take their assignments off it, or packmill's line out of its description to keep it as theirs"}
	}
	return nil
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
		if len(targets) == 0 {
			return c.halt(ctx, key)
		}
		p, _, err := c.slot(ctx, key)
		if err != nil {
			return err
		}
		if p == nil {
			return noProfile(qualityKind, key)
		}
		want, err := toAssignments(p.kind, key, targets)
		if err != nil {
			return err
		}
		if p.marker.Gradual != nil {
			return c.roll(ctx, p, want)
		}
		if err := c.replace(ctx, p, want); err != nil {
			return err
		}
		return c.release(ctx, p)
	}))
}

// halt takes back all that a slot lets devices have, whatever of it can be found:
// neither a list that fails nor a profile that does must keep the others from
// stopping it.
func (c *Client) halt(ctx context.Context, key Key) error {
	found, err := c.own(ctx, key, slotKinds()...)
	failures := []error{err}
	for _, p := range found {
		failures = append(failures, c.cease(ctx, p))
	}
	return errors.Join(failures...)
}

// cease stops what a profile is about, and assigns it to nobody.
func (c *Client) cease(ctx context.Context, p *profile) error {
	if p.kind == driverKind || p.kind == qualityKind {
		return errors.Join(c.replace(ctx, p, nil), c.withdraw(ctx, p))
	}
	return c.withdraw(ctx, p)
}

// release approves what a profile is about. Profiles that name what they are about
// need no approval: to be assigned is one.
func (c *Client) release(ctx context.Context, p *profile) error {
	switch p.kind {
	case qualityKind:
		return c.act(ctx, p, approve, p.marker.Updates)
	case driverKind:
		return c.approveDriver(ctx, p)
	}
	return nil
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
				Err: fmt.Errorf("%w: it is to start at %s, and an approval has no start", fleet.ErrNotYet, t.Opens.UTC().Format(time.RFC3339)), Hint: "the first run after that approves it"}
		}
	}
	return nil
}
