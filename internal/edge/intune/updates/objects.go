package updates

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// MarkedUpdates are the ids of the tenant's update profiles: those that bear
// packmill's marker, spare ones included, and all others. What the application may
// not list, since the tenant uses no such packages, it has nothing in.
func (c *Client) MarkedUpdates(ctx context.Context) (own map[string]fleet.OwnObject, others []string, err error) {
	own = map[string]fleet.OwnObject{}
	for _, k := range slotKinds() {
		all, err := c.listed(ctx, k)
		if transport.StatusOf(err) == http.StatusForbidden {
			continue
		}
		if err != nil {
			return nil, nil, c.fail("intune.list", Key{Part: k.noun()}, err)
		}
		for _, p := range all {
			if id := strings.ToLower(p.id); p.marker.Package != "" {
				own[id] = fleet.OwnObject{Kind: "update", Package: p.marker.Package}
			} else {
				others = append(others, id)
			}
		}
	}
	return own, others, nil
}

// listed are all profiles of a kind that the service lists, oldest first.
func (c *Client) listed(ctx context.Context, k kind) ([]*profile, error) {
	all, err := msgraph.List[map[string]json.RawMessage](ctx, c.api, msgraph.Final, string(k))
	if err != nil {
		return nil, err
	}
	var out []*profile
	for _, props := range all {
		if p := read(k, props); p.id != "" {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, byAge)
	return out, nil
}

func byAge(a, b *profile) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id)) }
