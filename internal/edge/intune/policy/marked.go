package policy

import (
	"context"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Marked are the ids of the tenant's configurations: those that bear packmill's
// marker, those left behind by a lost answer among them, and all others. They are
// listed, and read no further. What the application may not list, since the tenant
// uses no such packages, it has nothing in.
func (c *Client) Marked(ctx context.Context) (own map[string]fleet.OwnObject, others []string, err error) {
	own = map[string]fleet.OwnObject{}
	for _, col := range collections() {
		type item struct {
			ID          string `json:"id"`
			Description string `json:"description"`
		}
		items, err := msgraph.List[item](ctx, c.api, msgraph.Final, msgraph.Query(col.path, "$select", "id,description"))
		if transport.StatusOf(err) == http.StatusForbidden {
			continue
		}
		if err != nil {
			return nil, nil, c.api.Fail("policy.list", c.api.Directory(), err)
		}
		for _, i := range items {
			id := strings.ToLower(i.ID)
			if m, ok := col.owned(i.ID, i.Description); ok {
				own[id] = fleet.OwnObject{Kind: "configuration", Package: m.Package}
			} else {
				others = append(others, id)
			}
		}
	}
	return own, others, nil
}

// owned is the marker of an object of the collection, if it is packmill's. A copy
// that a person made bears another object's id.
func (c collection) owned(id, description string) (Marker, bool) {
	m, ok := ParseMarker(description)
	at, known := collectionOf(m.Kind)
	return m, ok && known && at.path == c.path && (m.ID == "" || m.ID == id)
}

// Marked tells of configurations alone: the apps beside them are told with the
// console's own audit.
func (c *Console) Marked(ctx context.Context) (own map[string]fleet.OwnObject, others []string, err error) {
	return c.Policies.Marked(ctx)
}
