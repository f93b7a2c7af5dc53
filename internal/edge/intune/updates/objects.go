package updates

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

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

// UpdateObjects tells of packmill's update profiles, whom each is for, and whether
// its properties are as they were last written; of the others what they are called.
func (c *Client) UpdateObjects(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	for _, k := range slotKinds() {
		all, err := c.listed(ctx, k)
		if transport.StatusOf(err) == http.StatusForbidden {
			continue
		}
		if err != nil {
			return nil, nil, c.fail("intune.list", Key{Part: k.noun()}, err)
		}
		for _, p := range all {
			part := fleet.PartState{ID: p.id, Kind: fleet.PartUpdate, Name: text(p.props["displayName"])}
			if p.marker.Package == "" {
				foreign = append(foreign, part)
				continue
			}
			state, err := c.state(ctx, p)
			if err != nil {
				return nil, nil, c.fail("intune.list", p.marker.Key, err)
			}
			part.Package, part.Slot, part.Version, part.Artifact = p.marker.Package, p.marker.Part, p.marker.Release, p.marker.Artifact
			part.Targets, part.Named, part.Moved = state.Targets, p.marker.Targets, !p.asWritten()
			ours = append(ours, part)
		}
	}
	return ours, foreign, nil
}

// asWritten reports whether a profile's properties are those that its marker
// identifies. The service tells more of it than packmill writes.
func (p *profile) asWritten() bool {
	spec := p.told()
	return p.marker.Spec == "" || spec != nil && fingerprint(spec.body()) == p.marker.Spec
}

// told is what a profile is, as the service tells it; nil for what packmill never
// makes.
func (p *profile) told() Spec {
	name := text(p.props["displayName"])
	switch p.kind {
	case featureKind:
		var optional bool
		if json.Unmarshal(p.props["installFeatureUpdatesOptional"], &optional) == nil && optional {
			return nil
		}
		return Feature{Name: name, Version: text(p.props["featureUpdateVersion"])}
	case driverKind:
		if text(p.props["approvalType"]) != "manual" {
			return nil
		}
		return Drivers{Name: name}
	case qualityKind:
		var settings []struct {
			Approval string `json:"approvalMethodType"`
		}
		var hotpatch bool
		_ = json.Unmarshal(p.props["hotpatchEnabled"], &hotpatch) // absent is off
		bad := json.Unmarshal(p.props["approvalSettings"], &settings) != nil
		for _, s := range settings {
			bad = bad || s.Approval != "manual"
		}
		if bad || hotpatch {
			return nil
		}
		return Quality{Name: name}
	}
	var s struct {
		Release time.Time `json:"qualityUpdateRelease"`
		Days    int       `json:"daysUntilForcedReboot"`
	}
	if json.Unmarshal(p.props["expeditedUpdateSettings"], &s) != nil {
		return nil
	}
	return Expedite{Name: name, Release: s.Release, RebootDays: s.Days}
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
