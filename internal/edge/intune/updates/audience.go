package updates

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// An asset is a device as the deployment service names it: by its Entra device id,
// which is not the id of its directory object.
type asset struct {
	ODataType string `json:"@odata.type"`
	ID        string `json:"id"`
}

const odataDevice = "#" + namespace + "azureADDevice"

// assetChunk is how many devices one call names.
const assetChunk = 100

func assetsOf(ids []string) []asset {
	out := make([]asset, len(ids))
	for i, id := range ids {
		out[i] = asset{odataDevice, id}
	}
	return out
}

// newAudience makes an audience without members and returns its id. Nothing else
// tells whose it is: the marker keeps it before anything is deployed to it. One
// whose id was lost on the way there is empty and reaches nobody.
func (c *Client) newAudience(ctx context.Context) (string, error) {
	var made struct {
		ID string `json:"id"`
	}
	body := map[string]any{"@odata.type": "#" + namespace + "deploymentAudience"}
	if err := c.api.Call(ctx, msgraph.Final, http.MethodPost, audiencesPath, body, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", fleet.Errorf(fleet.Internal, "intune.audience", c.api.Directory(), "the service created an audience without telling its id")
	}
	return made.ID, nil
}

// An audience is who a deployment reaches, by Entra device ids, sorted. A device
// that is left out as well gets nothing.
type audience struct {
	members, exclusions []string
}

// groupDevices are the devices in a group, in groups inside it and so on, by
// object id.
func (c *Client) groupDevices(ctx context.Context, group string) ([]string, error) {
	list, err := msgraph.List[asset](ctx, c.api, msgraph.Fresh, msgraph.Query(membersPath(group), "$select", "id", "$top", "999"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range list {
		if m.ODataType == "" || m.ODataType == "#microsoft.graph.device" {
			out = append(out, m.ID)
		}
	}
	return out, nil
}

func membersPath(group string) string {
	return v1 + "/groups/" + url.PathEscape(group) + "/transitiveMembers"
}

// reached are the devices that targets stand for now.
func (c *Client) reached(ctx context.Context, targets []assignment) (audience, error) {
	byObject, err := c.directory(ctx)
	if err != nil {
		return audience{}, err
	}
	var out audience
	for _, t := range targets {
		into := &out.members
		if t.Target.ODataType == assign.TypeExclusion {
			into = &out.exclusions
		}
		objects, err := c.groupDevices(ctx, t.Target.GroupID)
		if err != nil {
			return audience{}, err
		}
		for _, object := range objects {
			entra := byObject[object]
			if entra == "" {
				return audience{}, fleet.Errorf(fleet.Waiting, "intune.audience", t.Target.GroupID, "the directory does not tell which device %s is", object)
			}
			*into = append(*into, entra)
		}
	}
	for _, part := range []*[]string{&out.members, &out.exclusions} {
		slices.Sort(*part)
		*part = slices.Compact(*part)
	}
	return out, nil
}

// directory maps directory objects of devices to Entra device ids.
func (c *Client) directory(ctx context.Context) (map[string]string, error) {
	type device struct {
		ID       string `json:"id"`
		DeviceID string `json:"deviceId"`
	}
	all, err := msgraph.List[device](ctx, c.api, msgraph.Final, msgraph.Query(v1+"/devices", "$select", "id,deviceId", "$top", "999"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, d := range all {
		out[d.ID] = strings.ToLower(d.DeviceID)
	}
	return out, nil
}

// assets are the devices of one part of an audience, by Entra device id. Members of
// other kinds than devices are left out.
func (c *Client) assets(ctx context.Context, id, part string) ([]string, error) {
	list, err := msgraph.List[asset](ctx, c.api, msgraph.Fresh, audiencePath(id)+"/"+part)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range list {
		if a.ODataType == "" || a.ODataType == odataDevice {
			out = append(out, strings.ToLower(a.ID))
		}
	}
	return out, nil
}

// enrol has the service manage the feature updates of devices: those that are not
// enrolled are offered nothing of what is deployed. Again has the same effect.
func (c *Client) enrol(ctx context.Context, devices []string) error {
	for chunk := range slices.Chunk(devices, assetChunk) {
		body := map[string]any{"updateCategory": "feature", "assets": assetsOf(chunk)}
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, enrolPath, body, nil); err != nil {
			return err
		}
	}
	return nil
}

// setAudience makes the devices of an audience be exactly these. Those to be left
// out come in before members do, and members that go leave before the others
// leave the exclusions: at no moment does it reach a device that neither the old
// nor the new audience reaches. Members of other kinds than devices stay.
// Devices are enrolled before they become members.
func (c *Client) setAudience(ctx context.Context, id string, want audience) error {
	members, err := c.assets(ctx, id, "members")
	if err != nil {
		return err
	}
	exclusions, err := c.assets(ctx, id, "exclusions")
	if err != nil {
		return err
	}
	joining := without(want.members, members)
	if err := c.enrol(ctx, joining); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		ids  []string
	}{
		{"addExclusions", without(want.exclusions, exclusions)}, {"removeMembers", without(members, want.members)},
		{"addMembers", joining}, {"removeExclusions", without(exclusions, want.exclusions)},
	} {
		for chunk := range slices.Chunk(step.ids, assetChunk) {
			// Adding or removing what is or is not there again has the same effect.
			err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, updateAudiencePath(id), map[string]any{step.name: assetsOf(chunk)}, nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// without are those of a that are not in b.
func without(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, x := range b {
		in[x] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return in[x] })
}
