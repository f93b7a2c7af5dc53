package policy

import (
	"context"
	"errors"

	"github.com/packmill/packmill/internal/fleet"
)

// Removable looks whether a package's configurations can be removed, and changes
// nothing: an error of kind Stalled where the tenant's people assigned one.
func (c *Client) Removable(ctx context.Context, id fleet.PackageID) error {
	_, err := c.removable(ctx, id)
	return c.api.Fail("policy.remove", string(id), err)
}

func (c *Client) removable(ctx context.Context, id fleet.PackageID) ([]*object, error) {
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
		present, err := c.assignments(ctx, o)
		if err != nil {
			return nil, err
		}
		_, foreign, err := c.split(ctx, o.marker, present)
		if err != nil {
			return nil, err
		}
		if len(foreign) > 0 {
			return nil, &fleet.Error{Op: "policy.remove", Object: o.key.String(), Kind: fleet.Stalled, Err: errors.New("the tenant's people have assigned it"),
				Hint: "remove that assignment in the tenant, or the line of packmill in the description to keep the object"}
		}
	}
	return all, nil
}

// Remove deletes every object of a package, of both slots, after their
// assignments. It is for a package that leaves the tenant: what policies set is no
// longer enforced from a device's next check-in, and what scripts changed stays.
// What Removable says stops it before anything is changed.
func (c *Client) Remove(ctx context.Context, id fleet.PackageID) error {
	return c.api.Fail("policy.remove", string(id), c.api.Persist(ctx, func() error {
		objects, err := c.removable(ctx, id)
		if err != nil {
			return err
		}
		if err := c.withdraw(ctx, objects); err != nil {
			return err
		}
		for _, o := range objects {
			if err := c.remove(ctx, o.listing); err != nil {
				return err
			}
			c.remember(o.key, nil)
		}
		return nil
	}))
}

// Removable looks whether apps and policies of a package can be removed.
func (c *Console) Removable(ctx context.Context, id fleet.PackageID) error {
	return errors.Join(c.Policies.Removable(ctx, id), c.Client.Removable(ctx, id))
}

// Remove deletes a package's objects, policies first, so that no remediation puts
// back what an app no longer does. Neither is touched while the other cannot go.
func (c *Console) Remove(ctx context.Context, id fleet.PackageID) error {
	if err := c.Removable(ctx, id); err != nil {
		return err
	}
	if err := c.Policies.Remove(ctx, id); err != nil {
		return err
	}
	return c.Client.Remove(ctx, id)
}
