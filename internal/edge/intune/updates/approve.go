package updates

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// What is done with an update or a driver in a profile.
const (
	approve = "approve"
	suspend = "suspend"
	refuse  = "decline"
)

// declined is the status of a driver that is never offered.
const declined = "declined"

// act approves or suspends catalog items in a quality update policy. Doing so
// again has the same effect.
func (c *Client) act(ctx context.Context, p *profile, action string, items []string) error {
	if len(items) == 0 {
		return nil
	}
	var answer struct {
		Failed []string `json:"failedIds"`
	}
	body := map[string]any{"action": action, "ids": items}
	if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, approvePath(p.id), body, &answer); err != nil {
		return err
	}
	return refused(p, action, answer.Failed)
}

func refused(p *profile, action string, failed []string) error {
	if len(failed) == 0 {
		return nil
	}
	slices.Sort(failed)
	return &fleet.Error{Op: "intune.updates", Object: p.marker.Key.String(), Kind: fleet.Waiting,
		Err:  fleet.Errorf(fleet.Waiting, "intune.updates", p.marker.Key.String(), "the service did not %s %s", action, strings.Join(failed, ", ")),
		Hint: "run again; if it stays so, see the " + p.kind.noun() + " in the tenant"}
}

// A driver is a driver update that a profile's devices could have, as Windows
// Update told Intune.
type driver struct {
	ID           string
	Name         string
	Version      string
	Class        string // "Display"
	Manufacturer string
	Released     time.Time
	Category     string // recommended, previouslyApproved, other
	Status       string // needsReview, declined, approved, suspended; others may come
	Devices      int    // of the profile's that it applies to
}

// drivers lists what a driver profile's devices could have, by name and id. It is
// empty until the service has looked what the devices have, which takes it up to
// a day after the first assignment.
func (c *Client) drivers(ctx context.Context, p *profile) ([]driver, error) {
	type inventory struct {
		ID           string     `json:"id"`
		Name         string     `json:"name"`
		Version      string     `json:"version"`
		Class        string     `json:"driverClass"`
		Manufacturer string     `json:"manufacturer"`
		Released     *time.Time `json:"releaseDateTime"`
		Category     string     `json:"category"`
		Status       string     `json:"approvalStatus"`
		Devices      int        `json:"applicableDeviceCount"`
	}
	all, err := msgraph.List[inventory](ctx, c.api, msgraph.Fresh, driverListPath(p.id))
	if err != nil {
		return nil, err
	}
	out := make([]driver, 0, len(all))
	for _, d := range all {
		out = append(out, driver{d.ID, d.Name, d.Version, d.Class, d.Manufacturer, when(d.Released), d.Category, d.Status, d.Devices})
	}
	slices.SortFunc(out, func(a, b driver) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// actDrivers approves, declines or suspends drivers. offered is when an approved
// one is first offered, the zero time for at once.
func (c *Client) actDrivers(ctx context.Context, p *profile, action string, ids []string, offered time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	body := map[string]any{"actionName": action, "driverIds": ids}
	if action == approve {
		if offered.IsZero() {
			offered = c.api.Clock().Now()
		}
		body["deploymentDate"] = utc(offered)
	}
	var answer struct {
		Failed []string `json:"failedDriverIds"`
		Gone   []string `json:"notFoundDriverIds"`
	}
	if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, driverActionPath(p.id), body, &answer); err != nil {
		return err
	}
	if action != approve {
		answer.Gone = nil // what is not there is not offered
	}
	return refused(p, action, slices.Concat(answer.Failed, answer.Gone))
}

// sync has the service look what drivers the profile's devices could have.
func (c *Client) sync(ctx context.Context, p *profile) error {
	return c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, driverSyncPath(p.id), nil, nil)
}
