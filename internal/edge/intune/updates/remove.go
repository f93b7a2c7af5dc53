package updates

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// RemoveUpdate deletes the profiles of a package's slots, after nothing is offered
// through them any more and nobody is assigned to them. It is for a package that
// leaves the tenant: devices keep what they installed, and hear of it within
// HoldDelay. A profile that the tenant's people assigned is an error of kind
// Stalled, before anything is changed. One of a later generation than the caller's
// is Refused, then or when it would be deleted: another caller brought it back. A
// generation of 0 is not compared.
func (c *Client) RemoveUpdate(ctx context.Context, id fleet.PackageID, generation int) error {
	if id == "" {
		return fleet.Errorf(fleet.Invalid, "intune.remove", "", "no package is named")
	}
	return c.fail("intune.remove", Key{id, "both slots"}, c.api.Persist(ctx, func() error {
		var all []*profile
		for _, name := range []string{fleet.Candidate, fleet.Stable} {
			found, err := c.own(ctx, Key{id, name}, slotKinds()...)
			if err != nil {
				return err
			}
			for _, p := range found {
				if err := current(p, generation); err != nil {
					return err
				}
				if theirs, err := c.shared(ctx, p); err != nil || theirs {
					return errors.Join(err, assignedByPeople(p, theirs))
				}
				all = append(all, p)
			}
		}
		for _, p := range all {
			if err := c.delete(ctx, p, generation); err != nil {
				return err
			}
		}
		return nil
	}))
}

// delete is retire for a profile that is its slot's still, and of no later
// generation: others may have come since it was looked at.
func (c *Client) delete(ctx context.Context, p *profile, generation int) error {
	now, err := c.again(ctx, p, generation)
	if err != nil || now == nil {
		return err
	}
	if err := c.vacant(ctx, now); err != nil {
		return err
	}
	if now, err = c.again(ctx, now, generation); err != nil || now == nil {
		return err
	}
	return c.remove(ctx, now)
}

// again is a profile as it is now, nil where it is gone or no longer the slot's.
func (c *Client) again(ctx context.Context, p *profile, generation int) (*profile, error) {
	found, err := c.list(ctx, p.kind, p.marker.Key)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found, func(o *profile) bool { return o.id == p.id })
	if i < 0 {
		return nil, nil
	}
	return found[i], current(found[i], generation)
}

// current refuses a caller whom another one has overtaken.
func current(p *profile, generation int) error {
	if generation <= 0 || p.marker.Generation <= generation {
		return nil
	}
	return &fleet.Error{Op: "intune.remove", Object: p.marker.Key.String(), Kind: fleet.Refused,
		Err:  fmt.Errorf("the profile is of generation %d, the caller knows %d", p.marker.Generation, generation),
		Hint: "another run has brought it since: plan again"}
}

func assignedByPeople(p *profile, theirs bool) error {
	if !theirs {
		return nil
	}
	return &fleet.Error{Op: "intune.remove", Object: p.marker.Key.String(), Kind: fleet.Stalled, Err: fleet.Theirs(errors.New("the tenant's people have assigned the profile")),
		Hint: "remove that assignment in the tenant, or the line of packmill in the profile's description to keep the profile"}
}
