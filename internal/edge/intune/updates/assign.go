package updates

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// An assignment as it is read and sent.
type assignment struct {
	assign.Entry
}

// Key names a target in a Marker, in whichever case its group's id is written.
func (a assignment) Key() string {
	switch {
	case a.Target.ODataType == assign.TypeExclusion:
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
		a := assignment{assign.Entry{Target: assign.Target{ODataType: assign.TypeGroup, GroupID: t.Group}}}
		switch {
		case t.Group == "":
			return nil, fleet.Errorf(fleet.Invalid, "intune.updates", key.String(), "a target names no group")
		case t.Exclude:
			a.Target.ODataType = assign.TypeExclusion
		case t.Group == assign.AllDevices: // Windows Update works them out, and knows groups alone
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

// replace makes packmill's part of a profile's assignments equal to want.
func (c *Client) replace(ctx context.Context, p *profile, want []assignment) error {
	return assign.Object[assignment]{
		Name: p.marker.Key.String(), Marked: p.marker.Targets, Waits: c.api,
		Read:  func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, p) },
		Alike: func(_, _ assignment) bool { return true }, // all that it says is its target
		Mark: func(ctx context.Context, targets []string) error {
			m := p.marker
			m.Targets = targets
			return c.mark(ctx, p, m)
		},
		Send: func(ctx context.Context, set []json.RawMessage) error {
			// The whole set again has the same effect.
			return c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, assignPath(p.kind, p.id), map[string]any{"assignments": set}, nil)
		},
	}.Replace(ctx, want)
}

// assignments reads who a profile is for.
func (c *Client) assignments(ctx context.Context, p *profile) ([]assignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, assignmentsPath(p.kind, p.id))
	if err != nil {
		return nil, err
	}
	return assign.Parse[assignment](raws, "id", "sourceId")
}

// asTarget is an assignment as the vocabulary tells it.
func (a assignment) asTarget() fleet.Target {
	t := a.Target.Told()
	t.Intent = "required"
	return t
}
