package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Removable looks whether a package's configurations can be removed, and changes
// nothing: an error of kind Stalled where the tenant's people assigned one, Refused
// where one is of a later generation than the caller's, who was overtaken. A
// generation of 0 is not compared.
func (c *Client) Removable(ctx context.Context, id fleet.PackageID, generation int) error {
	_, err := c.removable(ctx, id, generation)
	return c.api.Fail("policy.remove", string(id), err)
}

func (c *Client) removable(ctx context.Context, id fleet.PackageID, generation int) ([]*object, error) {
	if id == "" {
		return nil, fleet.Errorf(fleet.Invalid, "policy.remove", "", "no package is named")
	}
	var all []*object
	for _, name := range []string{fleet.Candidate, fleet.Stable} {
		objects, err := c.find(ctx, slot{id, name}, true)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	for _, o := range all {
		if err := current(o, generation); err != nil {
			return nil, err
		}
		present, err := c.settled(ctx, o)
		if err != nil {
			return nil, err
		}
		_, foreign, err := c.split(ctx, o.marker, present)
		if err != nil {
			return nil, err
		}
		if len(foreign) > 0 {
			return nil, &fleet.Error{Op: "policy.remove", Object: o.key.String(), Kind: fleet.Stalled, Err: fleet.Theirs(errors.New("the tenant's people have assigned it")),
				Hint: "remove that assignment in the tenant, or the line of packmill in the description to keep the object"}
		}
	}
	return all, nil
}

// Remove deletes every object of a package, of both slots, after their
// assignments. It is for a package that leaves the tenant: what policies set is no
// longer enforced from a device's next check-in, and what scripts changed stays.
// What Removable says stops it before anything is changed. An object that is of a
// later generation by the time it would be deleted stays: Refused.
func (c *Client) Remove(ctx context.Context, id fleet.PackageID, generation int) error {
	return c.api.Fail("policy.remove", string(id), c.api.Persist(ctx, func() error {
		objects, err := c.removable(ctx, id, generation)
		if err != nil {
			return err
		}
		if err := c.withdraw(ctx, objects); err != nil {
			return err
		}
		for _, o := range objects {
			gone, err := c.delete(ctx, o, generation)
			if err != nil {
				return err
			}
			if gone {
				c.remember(o.key, nil)
			}
		}
		return nil
	}))
}

// delete removes an object if it is the slot's still, and of no later generation:
// others may have come since it was looked at.
func (c *Client) delete(ctx context.Context, o *object, generation int) (gone bool, err error) {
	now, err := c.find(ctx, o.key.slot, true)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(now, func(x *object) bool { return x.id == o.id })
	if i < 0 {
		return false, nil
	}
	if err := current(now[i], generation); err != nil {
		return false, err
	}
	return true, c.remove(ctx, o.listing)
}

// current refuses a caller whom another one has overtaken.
func current(o *object, generation int) error {
	newest := o.marker.Generation
	for _, spare := range o.spare {
		newest = max(newest, spare.marker.Generation)
	}
	if generation <= 0 || newest <= generation {
		return nil
	}
	return &fleet.Error{Op: "policy.remove", Object: o.key.String(), Kind: fleet.Refused,
		Err:  fmt.Errorf("the object is of generation %d, the caller knows %d", newest, generation),
		Hint: "another run has brought it since: plan again"}
}

// Removable looks whether apps and policies of a package can be removed.
func (c *Console) Removable(ctx context.Context, id fleet.PackageID, generation int) error {
	return errors.Join(c.Policies.Removable(ctx, id, generation), c.Client.Removable(ctx, id, generation))
}

// Remove deletes a package's objects, policies first, so that no remediation puts
// back what an app no longer does. Neither is touched while the other cannot go.
func (c *Console) Remove(ctx context.Context, id fleet.PackageID, generation int) error {
	if err := c.Removable(ctx, id, generation); err != nil {
		return err
	}
	if err := c.Policies.Remove(ctx, id, generation); err != nil {
		return err
	}
	return c.Client.Remove(ctx, id, generation)
}
