package updates

import (
	"context"
	"errors"

	"github.com/packmill/packmill/internal/fleet"
)

// RemoveUpdate deletes the profiles of a package's slots, after nothing is offered
// through them any more and nobody is assigned to them. It is for a package that
// leaves the tenant: devices keep what they installed, and hear of it within
// HoldDelay. A profile that the tenant's people assigned is an error of kind
// Stalled, before anything is changed.
func (c *Client) RemoveUpdate(ctx context.Context, id fleet.PackageID) error {
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
				if theirs, err := c.shared(ctx, p); err != nil || theirs {
					return errors.Join(err, assignedByPeople(p, theirs))
				}
				all = append(all, p)
			}
		}
		for _, p := range all {
			if err := c.retire(ctx, p); err != nil {
				return err
			}
		}
		return nil
	}))
}

func assignedByPeople(p *profile, theirs bool) error {
	if !theirs {
		return nil
	}
	return &fleet.Error{Op: "intune.remove", Object: p.marker.Key.String(), Kind: fleet.Stalled, Err: errors.New("the tenant's people have assigned the profile"),
		Hint: "remove that assignment in the tenant, or the line of packmill in the profile's description to keep the profile"}
}
