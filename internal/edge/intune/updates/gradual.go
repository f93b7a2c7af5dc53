package updates

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A version of Windows that is to go out in parts is deployed by the deployment
// service, to an audience of the devices of the wave's groups. The slot keeps its
// feature update profile, which is then assigned to nobody: its marker is where a
// later run finds the audience.

// A Gradual is what a marker knows of a deployment in parts.
type Gradual struct {
	fleet.Deploy
	Audience string   `json:"audience,omitempty"` // its id; nobody else has it
	Reach    []string `json:"reach,omitempty"`    // the groups whose devices are in it, by Target's key
	Paused   bool     `json:"paused,omitempty"`   // packmill paused it, or was about to, and has not had it go on yet
	Until    int64    `json:"until,omitempty"`    // when it reaches the last of them, seconds of Unix, where it says days
}

// after is what a deployment is to be like, g, where one was there before: nil ends
// it, which needs its audience.
func (g *Gradual) after(before *Gradual) *Gradual {
	if g == nil || before == nil {
		return g
	}
	out := *before
	out.Deploy = g.Deploy
	return &out
}

// deployment is what the marker says is deployed.
func (m Marker) deployment() deployment {
	g := m.Gradual
	d := deployment{audience: g.Audience, perOffer: g.DevicesPerOffer, everyDays: g.EveryDays}
	if len(m.Updates) > 0 {
		d.entry = m.Updates[0]
	}
	if g.Until > 0 {
		d.until = time.Unix(g.Until, 0)
	}
	if g.PauseOn != nil {
		d.rollbacks = g.PauseOn.Rollbacks
	}
	return d
}

// roll deploys what a slot is about to the devices of its targets. The audience is
// in the marker before it has members, and the targets are before it reaches them:
// a run that dies leaves nothing behind that the next one does not find.
//
// A deployment that the service or people stopped is an error of kind Stalled,
// before anything is changed.
func (c *Client) roll(ctx context.Context, p *profile, want []assignment) error {
	if err := c.goesOn(ctx, p); err != nil {
		return err
	}
	if err := c.replace(ctx, p, nil); err != nil { // from when it was not in parts
		return err
	}
	devices, err := c.reached(ctx, want)
	if err != nil {
		return err
	}
	if err := c.prepared(ctx, p, want); err != nil {
		return err
	}
	d := p.marker.deployment()
	if err := c.setAudience(ctx, d.audience, devices); err != nil {
		return errors.Join(err, c.forgetLost(ctx, p, err))
	}
	state, err := c.deploy(ctx, d)
	if err != nil {
		return err
	}
	if why := state.stopped(); why != "" {
		return halted(p, why)
	}
	if p.marker.Gradual.Paused {
		return c.markGradual(ctx, p, func(g *Gradual) { g.Paused = false })
	}
	return nil
}

// goesOn is an error of kind Stalled where the service stopped what a slot deploys,
// or people of the tenant paused it: packmill did so only where its marker says so.
// Nobody joins such a deployment, and packmill does not have it go on.
func (c *Client) goesOn(ctx context.Context, p *profile) error {
	d := p.marker.deployment()
	if d.audience == "" {
		return nil
	}
	present, err := c.deployments(ctx, d.audience)
	if err != nil {
		return err
	}
	for _, s := range present {
		if s.entry != d.entry {
			continue
		}
		if why := s.stopped(); why != "" {
			return halted(p, why)
		}
		if p.marker.pausedByPeople(s) {
			return halted(p, "the tenant's people paused the deployment")
		}
	}
	return nil
}

// pausedByPeople reports whether people of the tenant paused the deployment of what
// the slot is about: packmill names its own pauses before it makes them.
func (m Marker) pausedByPeople(s deploymentState) bool {
	return s.requested == statePaused && s.entry == m.deployment().entry && !m.Gradual.Paused
}

func halted(p *profile, why string) error {
	return &fleet.Error{Op: "intune.assign", Object: p.marker.Key.String(), Kind: fleet.Stalled, Err: errors.New(why),
		Hint: "look at what went wrong on the devices that went back; withdraw the release, or let the deployment go on in the tenant"}
}

// forgetLost has the marker name no audience any more where why says that
// something was not found, and that is the audience: somebody removed it, and the
// next try makes another. What was deployed to it ends first, since nothing leads
// there afterwards.
func (c *Client) forgetLost(ctx context.Context, p *profile, why error) error {
	id := p.marker.Gradual.Audience
	lost, err := c.lost(ctx, id, why)
	if err != nil || !lost {
		return err
	}
	if err := c.setState(ctx, id, stateArchived); err != nil {
		return err
	}
	return c.markGradual(ctx, p, func(g *Gradual) { g.Audience = "" })
}

// lost reports whether an audience is gone, after a call that has to do with it
// failed: its members, or a device, may be what was not found.
func (c *Client) lost(ctx context.Context, id string, why error) (bool, error) {
	if transport.StatusOf(why) != http.StatusNotFound {
		return false, nil
	}
	err := c.api.Call(ctx, msgraph.Fresh, http.MethodGet, audiencePath(id), nil, nil)
	if transport.StatusOf(err) == http.StatusNotFound {
		return true, nil
	}
	return false, err
}

// prepared has the marker name an audience, and what the deployment will reach.
func (c *Client) prepared(ctx context.Context, p *profile, want []assignment) error {
	if p.marker.Gradual.Audience == "" {
		id, err := c.newAudience(ctx)
		if err != nil {
			return err
		}
		if err := c.markGradual(ctx, p, func(g *Gradual) { g.Audience = id }); err != nil {
			return err
		}
	}
	var reach []string
	for _, a := range want {
		reach = append(reach, a.Key())
	}
	slices.Sort(reach)
	if slices.Equal(reach, p.marker.Gradual.Reach) {
		return nil
	}
	return c.markGradual(ctx, p, func(g *Gradual) {
		if g.Reach = reach; g.EndAfterDays > 0 {
			g.Until = c.api.Clock().Now().AddDate(0, 0, g.EndAfterDays).Unix()
		}
	})
}

func (c *Client) markGradual(ctx context.Context, p *profile, change func(*Gradual)) error {
	g := *p.marker.Gradual
	change(&g)
	m := p.marker
	m.Gradual = &g
	return c.mark(ctx, p, m)
}

// unroll pauses a deployment and takes its devices out of the audience. One must
// not keep the other from stopping it. Devices stay enrolled: others may have
// enrolled them too, and without a deployment they are offered nothing. A pause of
// people's stays theirs: whatever the slot is about next, they say when it goes on.
func (c *Client) unroll(ctx context.Context, p *profile) error {
	g := p.marker.Gradual
	if g == nil || g.Audience == "" {
		return nil
	}
	present, err := c.deployments(ctx, g.Audience)
	if err == nil && !g.Paused && !slices.ContainsFunc(present, p.marker.pausedByPeople) {
		err = c.markGradual(ctx, p, func(g *Gradual) { g.Paused = true })
	}
	err = errors.Join(err, c.setState(ctx, g.Audience, statePaused), c.emptied(ctx, g.Audience))
	if err != nil || len(g.Reach) == 0 {
		return err
	}
	return c.markGradual(ctx, p, func(g *Gradual) { g.Reach, g.Until = nil, 0 })
}

// emptied takes all devices out of an audience. One that is gone has none.
func (c *Client) emptied(ctx context.Context, id string) error {
	err := c.setAudience(ctx, id, audience{})
	if lost, look := c.lost(ctx, id, err); lost || look != nil {
		return look
	}
	return err
}

// dissolve ends a deployment for good and removes its audience.
func (c *Client) dissolve(ctx context.Context, p *profile) error {
	g := p.marker.Gradual
	if g == nil || g.Audience == "" {
		return nil
	}
	if err := errors.Join(c.setState(ctx, g.Audience, stateArchived), c.emptied(ctx, g.Audience)); err != nil {
		return err
	}
	if err := c.drop(ctx, audiencePath(g.Audience)); err != nil {
		return err
	}
	return c.markGradual(ctx, p, func(g *Gradual) { g.Audience, g.Reach, g.Until, g.Paused = "", nil, 0, false })
}

// rolled tells what a deployment reaches, and why the service stopped it.
func (c *Client) rolled(ctx context.Context, p *profile) (targets []fleet.Target, stopped string, err error) {
	g := p.marker.Gradual
	if g == nil || len(g.Reach) == 0 {
		return nil, "", nil
	}
	for _, key := range g.Reach {
		group, exclude := strings.CutPrefix(key, "-")
		targets = append(targets, fleet.Target{Intent: "required", Group: group, Exclude: exclude})
	}
	present, err := c.deployments(ctx, g.Audience)
	for _, s := range present {
		if stopped == "" {
			stopped = s.stopped()
		}
	}
	return targets, stopped, err
}
