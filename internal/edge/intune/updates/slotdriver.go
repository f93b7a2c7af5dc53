package updates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A DriverName is what the driver of a release is found by. A driver has no
// number that is the same in every tenant: it is one of those that the service
// found for the devices that a profile is assigned to.
type DriverName struct {
	Class        string `json:"class"`
	Version      string `json:"version"`
	Manufacturer string `json:"manufacturer"`
}

func (n DriverName) String() string {
	return n.Manufacturer + " " + n.Class + " driver " + n.Version
}

func (n DriverName) of(d driver) bool {
	return strings.EqualFold(n.Class, d.Class) && n.Version == d.Version && strings.EqualFold(n.Manufacturer, d.Manufacturer)
}

// decline has the drivers that the tenant blocks never be offered by a driver
// profile, whoever approved them: of those that the service found for its devices.
func (c *Client) decline(ctx context.Context, p *profile, blocked []fleet.DriverRelease) error {
	if p.kind != driverKind || len(blocked) == 0 {
		return nil
	}
	all, err := c.drivers(ctx, p)
	if err != nil {
		return err
	}
	var ids []string
	for _, d := range all {
		if d.Status != declined && slices.ContainsFunc(blocked, func(b fleet.DriverRelease) bool { return DriverName{b.Class, b.Version, b.Publisher}.of(d) }) {
			ids = append(ids, d.ID)
		}
	}
	return c.actDrivers(ctx, p, refuse, ids, time.Time{})
}

// approveDriver approves the driver that a slot is about: every one that its name
// fits, since a manufacturer gives one version to several families of hardware.
// Their ids are in the marker before they are approved, so that a withdrawal
// suspends them whatever the inventory tells then.
//
// Until the service has looked what the devices have, there is nothing to
// approve: that is an error of kind Waiting.
func (c *Client) approveDriver(ctx context.Context, p *profile) error {
	name := p.marker.Driver
	if name == nil {
		return fleet.Errorf(fleet.Stalled, "intune.assign", p.marker.Key.String(), "the profile does not say which driver it is about: publish the release into the slot")
	}
	all, err := c.drivers(ctx, p)
	if err != nil {
		return err
	}
	m := p.marker
	m.Updates = nil
	for _, d := range all {
		if name.of(d) {
			m.Updates = append(m.Updates, d.ID)
		}
	}
	if len(m.Updates) == 0 {
		if err := c.sync(ctx, p); err != nil {
			return err
		}
		return &fleet.Error{Op: "intune.assign", Object: p.marker.Key.String(), Kind: fleet.Waiting,
			Err:  fmt.Errorf("%w: no %s was found for the wave's devices, %d other drivers were", fleet.ErrNotYet, name, len(all)),
			Hint: "Windows Update takes up to a day to look what devices have; run again then. If no device has such hardware, take the package from the tenant"}
	}
	if m.line() != p.marker.line() {
		if err := c.mark(ctx, p, m); err != nil {
			return err
		}
	}
	return c.actDrivers(ctx, p, approve, m.Updates, time.Time{})
}
