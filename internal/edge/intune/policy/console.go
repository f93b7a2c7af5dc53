package policy

import (
	"context"
	"errors"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
)

// A Console is a tenant's console for configurations. What devices install
// goes to its apps, everything else to its policies; a setting kept by scripts is
// both, an app that puts it in place and takes it back, and a remediation that
// looks again and again. The two answer as one slot.
type Console struct {
	*intune.Client
	Policies *Client
}

// Observe reads what a package's slot holds, in apps and policies together. They
// hold an artifact where both do.
func (c *Console) Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	app, err := c.Client.Observe(ctx, id, slot)
	if err != nil {
		return app, err
	}
	state, err := c.Policies.Observe(ctx, id, slot)
	if err != nil {
		return state, err
	}
	return together(app, state), nil
}

// Objects tells of the objects of configurations, packmill's and others'.
func (c *Console) Objects(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	return c.Policies.All(ctx)
}

func together(app, state fleet.AppState) fleet.AppState {
	switch {
	case state.ID == "":
		return app
	case app.ID == "" || app.Artifact != state.Artifact && len(app.Targets) == 0:
		return state // a release without an app leaves that of an older one behind, for nobody
	}
	out := app
	if app.Artifact != state.Artifact {
		out.Version, out.Artifact = "", ""
	}
	out.Generation = max(app.Generation, state.Generation)
	out.Duplicates = slices.Concat(app.Duplicates, state.Duplicates)
	for _, t := range state.Targets {
		same := func(o fleet.Target) bool { return o.Group == t.Group && o.Exclude == t.Exclude }
		if !slices.ContainsFunc(app.Targets, same) {
			out.Targets = append(out.Targets, t)
		}
	}
	return out
}

// Publish makes the slot hold the release: its app first, if it has one, then
// its policies. Nothing is written where a person changed one of them.
func (c *Console) Publish(ctx context.Context, app fleet.App, source fleet.Content) (fleet.AppState, error) {
	if len(app.Parts) > 0 {
		if err := c.Policies.Unmoved(ctx, app); err != nil {
			return fleet.AppState{}, err
		}
	}
	if app.File.Name != "" {
		if _, err := c.Client.Publish(ctx, app, source); err != nil {
			return fleet.AppState{}, err
		}
	} else if err := c.Client.Assign(ctx, app.Package, app.Slot, nil); err != nil {
		return fleet.AppState{}, err
	}
	if _, err := c.Policies.Publish(ctx, app); err != nil {
		return fleet.AppState{}, err
	}
	return c.Observe(ctx, app.Package, app.Slot)
}

// Assign replaces packmill's part of the slot's assignment set. What is offered
// is offered as an app, and looked after once it is required; a configuration
// without an app cannot be offered, which is an error of kind Refused. What is
// taken away, policies first, so that no remediation puts it back.
func (c *Console) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	app, err := c.Client.Observe(ctx, id, slot)
	if err != nil {
		return err
	}
	state, err := c.Policies.Observe(ctx, id, slot)
	if err != nil {
		return err
	}
	installs := app.ID != "" && (state.ID == "" || app.Artifact == state.Artifact || len(app.Targets) > 0)
	ruled := targets
	if installs {
		ruled = slices.DeleteFunc(slices.Clone(targets), func(t fleet.Target) bool { return t.Intent == "available" })
	}
	if state.ID != "" || !installs {
		if err := c.Policies.Assign(ctx, id, slot, ruled); err != nil {
			return err
		}
	}
	if !installs {
		targets = nil
	}
	return c.Client.Assign(ctx, id, slot, targets)
}

// Stop takes packmill's assignments of the slot away, policies first. What stops
// one must not be kept from stopping the other.
func (c *Console) Stop(ctx context.Context, id fleet.PackageID, slot string) error {
	return errors.Join(c.Policies.Assign(ctx, id, slot, nil), c.Client.Stop(ctx, id, slot))
}

// Statuses reads what devices reported for the slot. Where the release has an
// app, that says whether a device has it; a remediation that fails is a failure.
func (c *Console) Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error) {
	apps, err := c.Client.Statuses(ctx, id, slot)
	if err != nil {
		return nil, err
	}
	state, err := c.Policies.Observe(ctx, id, slot)
	if err != nil || state.ID == "" {
		return apps, err
	}
	policies, err := c.Policies.Statuses(ctx, id, slot)
	if err != nil {
		return nil, err
	}
	app, err := c.Client.Observe(ctx, id, slot)
	if err != nil || app.ID == "" || together(app, state).ID == state.ID {
		return policies, err
	}
	by := map[string]fleet.DeviceStatus{}
	for _, s := range policies {
		by[s.Device] = s
	}
	var out []fleet.DeviceStatus
	for _, s := range apps {
		p, told := by[s.Device]
		switch {
		case s.State == "failed":
		case told && p.State == "failed":
			s = p
		}
		out = append(out, s)
	}
	return out, nil
}
