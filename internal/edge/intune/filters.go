package intune

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// An assignmentFilter is a rule over devices that an assignment may name.
type assignmentFilter struct {
	ID         string `json:"id"`
	Name       string `json:"displayName"`
	Platform   string `json:"platform"`
	Management string `json:"assignmentFilterManagementType"`
}

const (
	windowsPlatform = "windows10AndLater"
	filtersApps     = "apps" // a filter over managed apps on devices nobody manages
)

// Filter is the id of the tenant's assignment filter of a name, by which
// assignments of Win32 apps may be narrowed: one over Windows devices. Names are
// compared as they are written. Kind Stalled when the tenant has no such filter,
// or several of that name: which one is meant only a person can say.
func (c *Client) Filter(ctx context.Context, name string) (string, error) {
	filters, err := c.allFilters(ctx, name)
	if err != nil {
		return "", c.api.Fail("intune.filter", name, err)
	}
	var ids, others []string
	for _, f := range filters {
		switch {
		case f.Name != name:
		case strings.EqualFold(f.Platform, windowsPlatform) && f.Management != filtersApps:
			ids = append(ids, f.ID)
		default:
			others = append(others, f.Platform)
		}
	}
	stalled := func(hint, format string, args ...any) error {
		e := fleet.Errorf(fleet.Stalled, "intune.filter", name, format, args...)
		e.Hint = hint
		return e
	}
	switch {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", stalled("give all but one of them another name", "the tenant has %d assignment filters of this name for Windows devices", len(ids))
	case len(others) > 0:
		return "", stalled("name a filter for Windows devices", "the tenant's assignment filter of this name is not for Windows devices: %s", strings.Join(others, ", "))
	}
	return "", stalled("create it in the tenant, or take it out of the assignment", "the tenant has no assignment filter of this name")
}

// allFilters lists the tenant's filters, once, and again when the name that is
// looked for is not among them: somebody may have made it since.
func (c *Client) allFilters(ctx context.Context, name string) ([]assignmentFilter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.filters {
		if f.Name == name {
			return c.filters, nil
		}
	}
	list, err := msgraph.List[assignmentFilter](ctx, c.api, msgraph.Final, msgraph.Query(filtersPath, "$select", "id,displayName,platform,assignmentFilterManagementType"))
	if err == nil {
		c.filters = list
	}
	return list, err
}
