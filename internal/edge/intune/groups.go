package intune

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const nickPrefix = "packmill-"

// nickname is the mailNickname of a wave's group, which has no mailbox: the
// directory wants one, and lists can be filtered by it.
func nickname(m groupMarker) string {
	kind := "intune-group"
	if m.Users {
		kind = "intune-user-group"
	}
	return nickPrefix + fleet.DeriveID(kind, m.Wave)[:20]
}

// Group makes the static device group of a wave hold exactly these devices, by
// the ids Inventory told, and returns the group's id. Members that are not
// among them are removed, whoever added them: a plan says who is in a wave.
func (c *Client) Group(ctx context.Context, wave string, devices []string) (string, error) {
	return c.group(ctx, groupMarker{Wave: wave}, devices)
}

// UserGroup makes the static user group of a wave hold exactly the primary users
// of these devices, and returns the group's id. A device that is nobody's adds
// no one. Users are known by ids of the directory, and to nobody else than it.
func (c *Client) UserGroup(ctx context.Context, wave string, devices []string) (string, error) {
	_, _, err := c.readDevices(ctx)
	if err != nil {
		return "", c.api.Fail("intune.group", wave, err)
	}
	c.mu.Lock()
	users := map[string]bool{}
	nobody := 0
	for _, d := range devices {
		if u := c.users[d]; u != "" {
			users[u] = true
		} else {
			nobody++
		}
	}
	c.mu.Unlock()
	if nobody > 0 {
		c.api.Log().InfoContext(ctx, "devices of a wave have no primary user", "tenant", c.api.Directory(), "wave", wave, "devices", nobody)
	}
	return c.group(ctx, groupMarker{wave, true}, slices.Collect(maps.Keys(users)))
}

func (c *Client) group(ctx context.Context, m groupMarker, members []string) (string, error) {
	if m.Wave == "" {
		return "", fleet.Errorf(fleet.Invalid, "intune.group", c.api.Directory(), "a wave has no name")
	}
	var id string
	again := false
	err := c.api.Persist(ctx, func() (err error) {
		id, err = c.ensureGroup(ctx, m, again)
		if again = true; err != nil {
			return err
		}
		return c.setMembers(ctx, id, members)
	})
	return id, c.api.Fail("intune.group", m.Wave, err)
}

// ensureGroup finds the wave's group or creates it. Again says that a creation
// may have been done whose answer was lost: the list is given time to show it.
func (c *Client) ensureGroup(ctx context.Context, m groupMarker, again bool) (string, error) {
	looks := []bool{false, true}
	if again {
		looks = []bool{true, true}
	}
	for i, anew := range looks {
		if again && i > 0 {
			if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
				return "", err
			}
		}
		groups, err := c.ownGroups(ctx, anew)
		if err != nil {
			return "", err
		}
		if id := groups[m]; id != "" {
			return id, nil
		}
	}
	body := directoryGroup{
		DisplayName: "packmill wave " + m.Wave, Description: m.line(),
		MailNickname: nickname(m), SecurityEnabled: true,
	}
	if m.Users {
		body.DisplayName += ", users"
	}
	var made directoryGroup
	if err := c.api.Call(ctx, msgraph.Final, http.MethodPost, groupsPath, body, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", fmt.Errorf("the directory created a group without telling its id")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups[m] = made.ID
	return made.ID, nil
}

// ownGroups are packmill's groups, by what they are for. They are listed once, or
// again if the caller asks. Of several for one wave and kind the oldest is used.
func (c *Client) ownGroups(ctx context.Context, again bool) (map[groupMarker]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups != nil && !again {
		return maps.Clone(c.groups), nil
	}
	groups, err := msgraph.List[directoryGroup](ctx, c.api, msgraph.Final, msgraph.Query(groupsPath,
		"$filter", "startswith(mailNickname,'"+nickPrefix+"')", "$select", "id,displayName,description,mailNickname,createdDateTime", "$top", "999"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(groups, func(a, b directoryGroup) int {
		return cmp.Or(when(a.CreatedDateTime).Compare(when(b.CreatedDateTime)), cmp.Compare(a.ID, b.ID))
	})
	c.groups = map[groupMarker]string{}
	for _, g := range groups {
		m, ok := parseGroupMarker(g.Description)
		if !ok || g.MailNickname != nickname(m) {
			continue
		}
		if used := c.groups[m]; used != "" {
			c.api.Log().WarnContext(ctx, "several groups bear the marker of one wave; the oldest is used", "tenant", c.api.Directory(), "wave", m.Wave, "used", used, "spare", g.ID)
			continue
		}
		c.groups[m] = g.ID
	}
	return maps.Clone(c.groups), nil
}

// The kinds of members that groups are told apart by. The service does not
// support a mix of them in one assignment set: who is left out as a user is not
// left out as the device he sits at.
const (
	kindOther   = ""
	kindDevices = "devices"
	kindUsers   = "users"
)

// A judged group is one that was asked for by its id.
type judged struct {
	own  bool   // packmill's
	kind string // of what packmill put there, or Named found
}

// OwnsGroup reports whether a group, by its id, is packmill's.
func (c *Client) OwnsGroup(ctx context.Context, id string) (bool, error) { return c.ownGroup(ctx, id) }

// ownGroup reports whether a group is packmill's. What the list does not show is
// asked for by its id, and what is not found so is looked for in a new list: an
// assignment taken for somebody else's would survive a withdrawal.
func (c *Client) ownGroup(ctx context.Context, id string) (bool, error) {
	j, err := c.judge(ctx, id)
	return j.own, err
}

// judge is what is known of a group, the list looked at anew where the group is
// not found by its id.
func (c *Client) judge(ctx context.Context, id string) (judged, error) {
	j, found, err := c.judgeOnce(ctx, id)
	if err != nil || found {
		return j, err
	}
	groups, err := c.ownGroups(ctx, true)
	for m, own := range groups {
		if own == id {
			return judged{true, m.kind()}, nil
		}
	}
	return judged{}, err
}

// judgeOnce asks for a group by its id, once.
func (c *Client) judgeOnce(ctx context.Context, id string) (j judged, found bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m, own := range c.groups {
		if own == id {
			return judged{true, m.kind()}, true, nil
		}
	}
	if j, known := c.judged[id]; known {
		return j, true, nil
	}
	var g directoryGroup
	err = c.api.Call(ctx, msgraph.Final, http.MethodGet, msgraph.Query(groupsPath+"/"+url.PathEscape(id), "$select", "id,description,mailNickname"), nil, &g)
	switch transport.StatusOf(err) {
	case http.StatusNotFound:
		return judged{}, false, nil
	case http.StatusBadRequest: // an id that is none
		return judged{}, true, nil
	}
	if err != nil {
		return judged{}, false, err
	}
	if m, ok := parseGroupMarker(g.Description); ok && g.MailNickname == nickname(m) {
		j = judged{true, m.kind()}
	}
	c.judged[id] = j
	return j, true, nil
}

// unmixed refuses a set that names both devices and users.
func (c *Client) unmixed(ctx context.Context, k slotKey, want []assignment) error {
	named := map[string]string{}
	for _, a := range want {
		kind := kindOther
		switch a.Target.ODataType {
		case assign.TypeAllDevices:
			kind = kindDevices
		case assign.TypeAllUsers:
			kind = kindUsers
		default:
			j, err := c.judge(ctx, a.Target.GroupID)
			if err != nil {
				return err
			}
			kind = j.kind
		}
		named[kind] = a.Key()
	}
	if named[kindDevices] != "" && named[kindUsers] != "" {
		return fleet.Errorf(fleet.Invalid, "intune.assign", k.String(), "%s holds devices and %s users: one assignment takes either, never both", named[kindDevices], named[kindUsers])
	}
	return nil
}

// setMembers makes the membership exact, and looks whether it is: a directory
// that does not find a group everywhere says of a member that it is gone.
func (c *Client) setMembers(ctx context.Context, group string, devices []string) error {
	return c.api.Poll(ctx, "members", func() (bool, error) {
		calls, err := c.memberCalls(ctx, group, devices)
		if err != nil || len(calls) == 0 {
			return err == nil, err
		}
		if err := c.api.Batch(ctx, groupsVersion, calls); err != nil {
			return false, err
		}
		left, err := c.memberCalls(ctx, group, devices)
		return len(left) == 0, err
	})
}

// memberCalls are what is to be done until the membership is exact.
func (c *Client) memberCalls(ctx context.Context, group string, devices []string) ([]msgraph.BatchCall, error) {
	path := groupsPath + "/" + url.PathEscape(group) + "/members"
	present, err := msgraph.List[directoryDevice](ctx, c.api, msgraph.Fresh, msgraph.Query(path, "$select", "id", "$top", "999"))
	if err != nil {
		return nil, err
	}
	have, want := map[string]bool{}, map[string]bool{}
	for _, d := range present {
		have[d.ID] = true
	}
	for _, id := range devices {
		want[id] = true
	}
	var calls []msgraph.BatchCall
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if id == "" {
			return nil, fleet.Errorf(fleet.Invalid, "intune.group", group, "a device has no id")
		}
		if !have[id] {
			calls = append(calls, msgraph.BatchCall{
				Method: http.MethodPost, URL: strings.TrimPrefix(path, "/"+groupsVersion) + "/$ref",
				Body:     map[string]string{"@odata.id": c.api.Base().String() + "/" + groupsVersion + "/directoryObjects/" + url.PathEscape(id)},
				Settled:  memberThere,
				IfAbsent: true,
			})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(have)) {
		if !want[id] {
			calls = append(calls, msgraph.BatchCall{
				Method: http.MethodDelete, URL: strings.TrimPrefix(path, "/"+groupsVersion) + "/" + url.PathEscape(id) + "/$ref", Settled: memberGone,
			})
		}
	}
	return calls, nil
}

// memberThere reports whether the directory refused to add a member because it
// is one already.
func memberThere(status int, code, message string) bool {
	return status == http.StatusBadRequest && strings.Contains(message, "already exist")
}

// memberGone reports whether a member to be removed was none.
func memberGone(status int, code, message string) bool { return status == http.StatusNotFound }
