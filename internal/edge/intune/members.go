package intune

import (
	"context"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// maxGroups bounds how many groups of a tenant are asked for: each is a request
// or two in every inventory.
const maxGroups = 100

const deviceType = "#microsoft.graph.device"

// A member is what a group holds: devices, users, groups.
type member struct {
	ODataType string `json:"@odata.type"`
	ID        string `json:"id"`
}

// Members are, by group name, the ids of the devices in it, in groups inside it
// and so on; users are passed over. Names are the directory's display names,
// which several groups may bear: a name that no group has, or several, is left
// out and told to the log, so that nobody gets into a wave by naming a group of
// his own like another.
func (c *Client) Members(ctx context.Context, names []string) (map[string][]string, error) {
	if len(names) > maxGroups {
		return nil, fleet.Errorf(fleet.Invalid, "intune.members", c.api.Directory(), "waves name %d groups of this tenant; %d are read at most", len(names), maxGroups)
	}
	out := make(map[string][]string, len(names))
	for _, name := range names {
		groups, err := msgraph.List[directoryGroup](ctx, c.api, msgraph.Final, msgraph.Query(groupsPath,
			"$filter", "displayName eq '"+strings.ReplaceAll(name, "'", "''")+"'", "$select", "id,displayName", "$top", "10"))
		if err != nil {
			return nil, c.api.Fail("intune.members", name, err)
		}
		if len(groups) != 1 {
			c.api.Log().WarnContext(ctx, "a group that waves name is not read: the directory must have one of this name", "tenant", c.api.Directory(), "group", name, "found", len(groups))
			continue
		}
		members, err := msgraph.List[member](ctx, c.api, msgraph.Final, msgraph.Query(groupsPath+"/"+url.PathEscape(groups[0].ID)+"/transitiveMembers", "$select", "id", "$top", "999"))
		if err != nil {
			return nil, c.api.Fail("intune.members", name, err)
		}
		ids := []string{}
		for _, m := range members {
			if m.ODataType == deviceType {
				ids = append(ids, m.ID)
			}
		}
		out[name] = ids
	}
	return out, nil
}
