package policy

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/fleet"
)

// Observe reads what a package's slot holds. A slot without objects is the zero
// state, and one whose objects are not all of one artifact holds none.
func (c *Client) Observe(ctx context.Context, id fleet.PackageID, name string) (fleet.AppState, error) {
	s := slot{id, name}
	if err := checkSlot("policy.observe", s); err != nil {
		return fleet.AppState{}, err
	}
	var state fleet.AppState
	err := c.api.Persist(ctx, func() (err error) {
		state, err = c.state(ctx, s)
		return err
	})
	return state, c.api.Fail("policy.observe", s.String(), err)
}

func (c *Client) state(ctx context.Context, s slot) (fleet.AppState, error) {
	objects, err := c.find(ctx, s, false)
	if err != nil || len(objects) == 0 {
		return fleet.AppState{}, err
	}
	first := objects[0].marker
	out := fleet.AppState{ID: objects[0].id, Version: first.Version, Artifact: first.Artifact}
	seen := map[string]bool{}
	for _, o := range objects {
		out.Generation = max(out.Generation, o.marker.Generation)
		if o.marker.Artifact != first.Artifact || len(objects) != o.marker.Parts {
			out.Version, out.Artifact = "", ""
		}
		for _, spare := range o.spare {
			out.Duplicates = append(out.Duplicates, spare.id)
		}
		targets, err := c.targets(ctx, o)
		if err != nil {
			return out, err
		}
		for _, t := range targets {
			if key := assign.TargetOf(t).Key(); !seen[key] {
				seen[key] = true
				out.Targets = append(out.Targets, t)
			}
		}
	}
	return out, nil
}

// targets are packmill's own in an object's assignment set.
func (c *Client) targets(ctx context.Context, o *object) ([]fleet.Target, error) {
	present, err := c.assignments(ctx, o)
	if err != nil {
		return nil, err
	}
	ours, _, err := c.split(ctx, o.marker, present)
	if err != nil {
		return nil, err
	}
	out := make([]fleet.Target, len(ours))
	for i, a := range ours {
		out[i] = a.asTarget()
	}
	return out, nil
}

// All reads the objects that are packmill's, with their content and whom each is
// assigned to, and tells of the others what they are called.
func (c *Client) All(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	fail := func(err error) ([]fleet.PartState, []fleet.PartState, error) {
		return nil, nil, c.api.Fail("policy.list", c.api.Directory(), err)
	}
	c.mu.Lock()
	err = c.list(ctx)
	slots := map[slot]bool{}
	for k := range c.listed {
		slots[k.slot] = true
	}
	for _, l := range c.foreign {
		foreign = append(foreign, fleet.PartState{ID: l.id, Name: l.name, Kind: l.path[strings.LastIndexByte(l.path, '/')+1:]})
	}
	c.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	sorted := slices.SortedFunc(maps.Keys(slots), func(a, b slot) int { return strings.Compare(a.String(), b.String()) })
	for _, s := range sorted {
		objects, err := c.find(ctx, s, false)
		if err != nil {
			return fail(err)
		}
		for _, o := range objects {
			content, err := json.Marshal(stated(o.key.kind, o.bare(o.raw, o.marker)))
			if err != nil {
				return fail(err)
			}
			targets, err := c.targets(ctx, o)
			if err != nil {
				return fail(err)
			}
			name, _ := o.raw[o.title].(string)
			ours = append(ours, fleet.PartState{
				ID: o.id, Package: s.pkg, Parts: o.marker.Parts, Setting: o.key.setting, Kind: o.key.kind, Name: name, Slot: s.name,
				Version: o.marker.Version, Artifact: o.marker.Artifact, File: o.marker.File, Content: content,
				Targets: targets, Named: o.marker.Targets,
			})
		}
	}
	return ours, foreign, nil
}
