package updates

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// An asset is a member of an audience: a device by its Entra device id, which is
// not the id of its directory object.
type asset struct {
	ODataType string `json:"@odata.type"`
	ID        string `json:"id"`
}

const odataDevice = "#" + namespace + "azureADDevice"

// audienceChunk is how many devices one change of an audience names.
const audienceChunk = 100

// NewAudience makes an audience without members and returns its id. Nothing else
// tells whose it is: the caller keeps the id before anything is deployed to it.
// One whose id was lost is empty and reaches nobody.
func (c *Client) NewAudience(ctx context.Context) (string, error) {
	key := Key{Part: "audience"}
	var made struct {
		ID string `json:"id"`
	}
	body := map[string]any{"@odata.type": "#" + namespace + "deploymentAudience"}
	if err := c.api.Call(ctx, msgraph.Final, http.MethodPost, audiencesPath, body, &made); err != nil {
		return "", c.fail("intune.audience", key, err)
	}
	if made.ID == "" {
		return "", fleet.Errorf(fleet.Internal, "intune.audience", c.api.Directory(), "the service created an audience without telling its id")
	}
	return made.ID, nil
}

// An Audience is who a deployment reaches, by ids of directory objects, sorted.
// A device that is left out as well gets nothing.
type Audience struct {
	Members    []string
	Exclusions []string
}

// Audience reads an audience. Devices that have left the directory, and members
// of other kinds than devices, are left out.
func (c *Client) Audience(ctx context.Context, id string) (Audience, error) {
	byEntra, _, err := c.directory(ctx)
	if err != nil {
		return Audience{}, c.fail("intune.audience", Key{Part: id}, err)
	}
	var out Audience
	for part, into := range map[string]*[]string{"members": &out.Members, "exclusions": &out.Exclusions} {
		assets, err := c.assets(ctx, id, part)
		if err != nil {
			return Audience{}, c.fail("intune.audience", Key{Part: id}, err)
		}
		for _, entra := range assets {
			if object := byEntra[entra]; object != "" {
				*into = append(*into, object)
			}
		}
		slices.Sort(*into)
	}
	return out, nil
}

// assets are the devices of one part of an audience, by Entra device id.
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

// directory maps Entra device ids to directory objects, and back.
func (c *Client) directory(ctx context.Context) (byEntra, byObject map[string]string, err error) {
	type device struct {
		ID       string `json:"id"`
		DeviceID string `json:"deviceId"`
	}
	all, err := msgraph.List[device](ctx, c.api, msgraph.Final, msgraph.Query(v1+"/devices", "$select", "id,deviceId", "$top", "999"))
	if err != nil {
		return nil, nil, err
	}
	byEntra, byObject = map[string]string{}, map[string]string{}
	for _, d := range all {
		entra := strings.ToLower(d.DeviceID)
		byEntra[entra], byObject[d.ID] = d.ID, entra
	}
	return byEntra, byObject, nil
}

// SetAudience makes the devices of an audience be exactly these. Those to be left
// out come in before members do, and members that go leave before the others
// leave the exclusions: at no moment does it reach a device that neither the old
// nor the new audience reaches. Members of other kinds than devices stay.
func (c *Client) SetAudience(ctx context.Context, id string, want Audience) error {
	return c.fail("intune.audience", Key{Part: id}, c.api.Persist(ctx, func() error {
		_, byObject, err := c.directory(ctx)
		if err != nil {
			return err
		}
		members, err := translate(byObject, want.Members)
		if err != nil {
			return err
		}
		exclusions, err := translate(byObject, want.Exclusions)
		if err != nil {
			return err
		}
		nowMembers, err := c.assets(ctx, id, "members")
		if err != nil {
			return err
		}
		nowExclusions, err := c.assets(ctx, id, "exclusions")
		if err != nil {
			return err
		}
		for _, step := range []struct {
			name string
			ids  []string
		}{
			{"addExclusions", without(exclusions, nowExclusions)}, {"removeMembers", without(nowMembers, members)},
			{"addMembers", without(members, nowMembers)}, {"removeExclusions", without(nowExclusions, exclusions)},
		} {
			for chunk := range slices.Chunk(step.ids, audienceChunk) {
				assets := make([]asset, len(chunk))
				for i, entra := range chunk {
					assets[i] = asset{odataDevice, entra}
				}
				// Adding or removing what is or is not there again has the same effect.
				err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, updateAudiencePath(id), map[string]any{step.name: assets}, nil)
				if err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

func translate(byObject map[string]string, objects []string) ([]string, error) {
	out := make([]string, 0, len(objects))
	for _, object := range objects {
		entra := byObject[object]
		if entra == "" {
			return nil, fmt.Errorf("the directory has no device %s", object)
		}
		out = append(out, entra)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// without are those of a that are not in b.
func without(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, x := range b {
		in[x] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return in[x] })
}

// RemoveAudience deletes an audience.
func (c *Client) RemoveAudience(ctx context.Context, id string) error {
	return c.fail("intune.audience", Key{Part: id}, c.drop(ctx, audiencePath(id)))
}
