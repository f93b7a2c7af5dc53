package updates

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	odataGroup      = "#microsoft.graph.groupAssignmentTarget"
	odataExclusion  = "#microsoft.graph.exclusionGroupAssignmentTarget"
	odataAllDevices = "#microsoft.graph.allDevicesAssignmentTarget"

	allDevices = "all devices" // as fleet.Target spells it
)

// An assignment as it is read and sent. Raw keeps what was read, so that a
// foreign one goes back unchanged.
type assignment struct {
	Target target          `json:"target"`
	Raw    json.RawMessage `json:"-"`
}

type target struct {
	ODataType string `json:"@odata.type"`
	GroupID   string `json:"groupId,omitempty"`
}

// key names a target in a Marker.
func (a assignment) key() string {
	switch {
	case a.Target.ODataType == odataExclusion:
		return "-" + strings.ToLower(a.Target.GroupID)
	case a.Target.GroupID != "":
		return strings.ToLower(a.Target.GroupID)
	}
	return a.Target.ODataType
}

// toAssignments are targets as a kind takes them.
func toAssignments(k kind, key Key, targets []fleet.Target) ([]assignment, error) {
	out := make([]assignment, 0, len(targets))
	for _, t := range targets {
		a := assignment{Target: target{ODataType: odataGroup, GroupID: t.Group}}
		switch {
		case t.Group == "":
			return nil, fleet.Errorf(fleet.Invalid, "intune.updates", key.String(), "a target names no group")
		case t.Exclude:
			a.Target.ODataType = odataExclusion
		case t.Group == allDevices: // Windows Update works them out, and knows groups alone
			return nil, fleet.Errorf(fleet.Invalid, "intune.updates", key.String(), "a %s is assigned to groups alone, not to all devices", k.noun())
		}
		if slices.ContainsFunc(out, func(other assignment) bool { return other.Target == a.Target }) {
			return nil, fleet.Errorf(fleet.Invalid, "intune.updates", key.String(), "the target %q is named twice", t.Group)
		}
		out = append(out, a)
	}
	return out, nil
}

func noProfile(k kind, key Key) error {
	return &fleet.Error{Op: "intune.updates", Object: key.String(), Kind: fleet.Stalled,
		Err: fmt.Errorf("the tenant has no %s of packmill's for it", k.noun()), Hint: "publish the release into the slot first"}
}

// replace makes packmill's part of a profile's assignments equal to want. The
// marker names what will be packmill's before it is, and forgets it only
// afterwards: a crash in between leaves nothing behind that nobody owns.
func (c *Client) replace(ctx context.Context, p *profile, want []assignment) error {
	present, err := c.assignments(ctx, p)
	if err != nil {
		return err
	}
	named := make([]string, 0, len(want))
	for _, a := range want {
		named = append(named, a.key())
	}
	slices.Sort(named)
	both := p.marker
	both.Targets = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.marker.Targets, named))))
	if len(both.Targets) != len(p.marker.Targets) {
		if err := c.mark(ctx, p, both); err != nil {
			return err
		}
	}
	ours, foreign := split(both, present)
	if !same(ours, want) {
		all := []json.RawMessage{}
		for _, a := range foreign {
			all = append(all, a.Raw)
		}
		for _, a := range want {
			data, err := json.Marshal(a)
			if err != nil {
				return err
			}
			all = append(all, data)
		}
		// The whole set again has the same effect.
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, assignPath(p.kind, p.id), map[string]any{"assignments": all}, nil); err != nil {
			return err
		}
	}
	if !slices.Equal(named, p.marker.Targets) {
		m := p.marker
		m.Targets = named
		return c.mark(ctx, p, m)
	}
	return nil
}

// assignments reads who a profile is for.
func (c *Client) assignments(ctx context.Context, p *profile) ([]assignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, assignmentsPath(p.kind, p.id))
	if err != nil {
		return nil, err
	}
	out := make([]assignment, 0, len(raws))
	for _, raw := range raws {
		var a assignment
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		for _, readOnly := range []string{"id", "sourceId"} {
			delete(fields, readOnly)
		}
		if a.Raw, err = json.Marshal(fields); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// split tells packmill's assignments, which the marker names, from others.
func split(m Marker, present []assignment) (ours, foreign []assignment) {
	for _, a := range present {
		if slices.Contains(m.Targets, a.key()) {
			ours = append(ours, a)
		} else {
			foreign = append(foreign, a)
		}
	}
	return ours, foreign
}

func same(a, b []assignment) bool {
	keys := func(list []assignment) []string {
		out := make([]string, len(list))
		for i, x := range list {
			out[i] = x.key()
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(keys(a), keys(b))
}

// asTarget is an assignment as the vocabulary tells it.
func (a assignment) asTarget() fleet.Target {
	t := fleet.Target{Intent: "required", Group: a.Target.GroupID, Exclude: a.Target.ODataType == odataExclusion}
	if a.Target.ODataType == odataAllDevices {
		t.Group = allDevices
	}
	return t
}
