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

const (
	deviceType = "#microsoft.graph.device"
	userType   = "#microsoft.graph.user"
)

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
		groups, err := c.byName(ctx, name)
		if err != nil {
			return nil, c.api.Fail("intune.members", name, err)
		}
		if len(groups) != 1 {
			c.api.Log().WarnContext(ctx, "a group that waves name is not read: the directory must have one of this name", "tenant", c.api.Directory(), "group", name, "found", len(groups))
			continue
		}
		members, err := c.inside(ctx, groups[0].ID)
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

// byName are the groups of a display name, ten at most.
func (c *Client) byName(ctx context.Context, name string) ([]directoryGroup, error) {
	return msgraph.List[directoryGroup](ctx, c.api, msgraph.Final, msgraph.Query(groupsPath,
		"$filter", "displayName eq '"+strings.ReplaceAll(name, "'", "''")+"'", "$select", "id,displayName", "$top", "10"))
}

// inside are the members of a group, of groups in it and so on.
func (c *Client) inside(ctx context.Context, group string) ([]member, error) {
	return msgraph.List[member](ctx, c.api, msgraph.Final, msgraph.Query(groupsPath+"/"+url.PathEscape(group)+"/transitiveMembers", "$select", "id", "$top", "999"))
}

// A namedGroup is a group of the tenant's own, and what it holds.
type namedGroup struct {
	id             string
	devices, users bool
}

// Named is the id of the tenant's own group of a name, for an assignment to
// devices, or to users. Kind Stalled where no group or several have the name,
// and where the group holds members of the other kind: the service does not
// leave out a device by its user, nor a user by his device.
func (c *Client) Named(ctx context.Context, name string, users bool) (string, error) {
	g, err := c.look(ctx, name)
	if err != nil {
		return "", c.api.Fail("intune.named", name, err)
	}
	other, kind := g.users, kindDevices
	if users {
		other, kind = g.devices, kindUsers
	}
	if other {
		e := fleet.Errorf(fleet.Stalled, "intune.named", name, "the group has members that are no %s, and an assignment to %s takes groups of those alone", kind, kind)
		e.Hint = "name a group of " + kind
		return "", e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged[g.id] = judged{kind: kind}
	return g.id, nil
}

// look finds a group by its name and looks what it holds, once.
func (c *Client) look(ctx context.Context, name string) (namedGroup, error) {
	c.mu.Lock()
	g, known := c.named[name]
	c.mu.Unlock()
	if known {
		return g, nil
	}
	groups, err := c.byName(ctx, name)
	if err != nil {
		return g, err
	}
	if len(groups) != 1 {
		e := fleet.Errorf(fleet.Stalled, "intune.named", name, "the directory has %d groups of this name", len(groups))
		e.Hint = "it must have one"
		return g, e
	}
	members, err := c.inside(ctx, groups[0].ID)
	if err != nil {
		return g, err
	}
	g = namedGroup{id: groups[0].ID}
	for _, m := range members {
		g.devices = g.devices || m.ODataType == deviceType
		g.users = g.users || m.ODataType == userType
	}
	c.mu.Lock()
	c.named[name] = g
	c.mu.Unlock()
	return g, nil
}
