package updates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A profile is one object of Intune's, as it was last read.
type profile struct {
	kind        kind
	id          string
	description string
	created     time.Time
	marker      Marker
	props       map[string]json.RawMessage
}

// listWait is how long a list is given to show what was made a moment ago.
const listWait = 3 * time.Second

// own are packmill's profiles of some kinds that bear a key, oldest first of each
// kind: every run chooses alike. They are listed anew each time, since there are
// few and another run may have made one. The first time that one is missing, the
// lists are read again after a while: another run may have been killed just after
// it made the profile, and a withdrawal must find that.
//
// Where a list fails, what the others have comes with the error.
func (c *Client) own(ctx context.Context, key Key, kinds ...kind) ([]*profile, error) {
	for {
		var found []*profile
		var failures []error
		for _, k := range kinds {
			list, err := c.list(ctx, k, key)
			failures = append(failures, err)
			found = append(found, list...)
		}
		if err := errors.Join(failures...); err != nil || len(found) > 0 || c.believe(kinds) {
			return found, err
		}
		if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
			return nil, err
		}
	}
}

// believe reports whether the lists of some kinds have been read long enough after
// each other that what they lack is not there; from now on they have.
func (c *Client) believe(kinds []kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := true
	for _, k := range kinds {
		all = all && c.believed[k]
		c.believed[k] = true
	}
	return all
}

// list are the profiles of a kind that bear a key, those that this client made
// among them, whether the service lists them yet or not.
func (c *Client) list(ctx context.Context, k kind, key Key) ([]*profile, error) {
	all, err := c.listed(ctx, k)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(p *profile) bool { return p.marker.Key != key })
	c.mu.Lock()
	for id, p := range c.made {
		if p.kind == k && p.marker.Key == key && !slices.ContainsFunc(out, func(o *profile) bool { return o.id == id }) {
			known := *p
			out = append(out, &known)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(out, byAge)
	return out, nil
}

// read makes a profile of an object's properties. Somebody else's has no marker;
// one that people made as a copy of packmill's is theirs.
func read(k kind, props map[string]json.RawMessage) *profile {
	p := &profile{kind: k, id: text(props["id"]), description: text(props["description"]), props: props}
	p.created, _ = time.Parse(time.RFC3339, text(props["createdDateTime"]))
	if m, ok := ParseMarker(p.description); ok && (m.ID == "" || m.ID == p.id) {
		p.marker = m
	}
	return p
}

// text is a JSON string, "" of anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// spare removes all profiles of one kind and key but the first. Others with its
// marker, which a lost answer or a delayed list left behind, go: they would go on
// letting devices have what this one no longer does.
func (c *Client) spare(ctx context.Context, key Key, found []*profile) error {
	for _, spare := range found[1:] {
		// What it deploys would go on, and nothing would lead there any more.
		if g, used := spare.marker.Gradual, found[0].marker.Gradual; g != nil && (used == nil || g.Audience != used.Audience) {
			if err := c.dissolve(ctx, spare); err != nil {
				return err
			}
		}
		if theirs, err := c.shared(ctx, spare); err != nil || theirs {
			if err != nil {
				return err
			}
			continue
		}
		c.api.Log().WarnContext(ctx, "several profiles bear one marker; the oldest is used, the others are removed",
			"tenant", c.api.Directory(), "key", key.String(), "used", found[0].id, "spare", spare.id)
		if err := c.remove(ctx, spare); err != nil {
			return err
		}
	}
	return nil
}

// shared reports whether people of the tenant have assigned a profile.
func (c *Client) shared(ctx context.Context, p *profile) (bool, error) {
	present, err := assign.Settled(ctx, c.api, p.marker.Key.String(), func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, p) })
	if err != nil {
		return false, err
	}
	_, foreign, err := assign.Split(ctx, nil, p.marker.Targets, present)
	return len(foreign) > 0, err
}

// remove deletes a profile.
func (c *Client) remove(ctx context.Context, p *profile) error {
	err := c.drop(ctx, profilePath(p.kind, p.id))
	if err == nil {
		c.mu.Lock()
		delete(c.made, p.id)
		c.mu.Unlock()
	}
	return err
}

// drop removes an object. What is gone already is removed.
func (c *Client) drop(ctx context.Context, path string) error {
	// What was just created may not be found yet; what stays so is gone.
	err := c.api.Call(ctx, msgraph.Fresh, http.MethodDelete, path, nil, nil)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// ensure creates the profile of a marker's key, or brings the one that was found up
// to date. What the marker says of targets is kept.
func (c *Client) ensure(ctx context.Context, p *profile, want Marker, spec Spec) (*profile, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	body := spec.body()
	want.Spec = fingerprint(body)
	if p == nil {
		return c.create(ctx, want, spec, body)
	}
	want.Targets, want.ID = p.marker.Targets, p.id
	want.Gradual = want.Gradual.after(p.marker.Gradual)
	if p.marker.line() == want.line() {
		return p, nil
	}
	for _, name := range spec.fixed() {
		now, _ := json.Marshal(body[name])
		if have := p.props[name]; have != nil && string(have) != string(now) {
			return nil, &fleet.Error{Op: "intune.updates", Object: want.Key.String(), Kind: fleet.Stalled,
				Err:  fmt.Errorf("the %s has %s %s, which cannot be changed to %s", p.kind.noun(), name, have, now),
				Hint: "remove the profile by hand when nobody needs its approvals any more; the next run makes one anew"}
		}
		delete(body, name)
	}
	return p, c.write(ctx, p, want, body)
}

// create makes a profile, and has it name itself afterwards: only then a person's
// copy of it can be told from it. A try that failed may have made one all the
// same: the next one gives the list time to show it.
func (c *Client) create(ctx context.Context, want Marker, spec Spec, body map[string]any) (*profile, error) {
	description, err := withMarker("", want)
	if err != nil {
		return nil, err
	}
	body["description"] = description
	var made map[string]json.RawMessage
	if err := c.api.Call(ctx, msgraph.Final, http.MethodPost, string(spec.kind()), body, &made); err != nil {
		c.mu.Lock()
		c.believed[spec.kind()] = false
		c.mu.Unlock()
		return nil, err
	}
	p := read(spec.kind(), made)
	if p.id == "" {
		return nil, fmt.Errorf("the service created a %s without telling its id", spec.kind().noun())
	}
	p.description, p.marker = description, want
	c.remember(p)
	return p, c.mark(ctx, p, want)
}

// remember keeps what this client made, as it is now.
func (c *Client) remember(p *profile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *p
	c.made[p.id] = &known
}

// write changes properties of a profile, and its marker with them, while its
// description is what was read.
func (c *Client) write(ctx context.Context, p *profile, want Marker, body map[string]any) error {
	want.ID = p.id
	description, err := withMarker(p.description, want)
	if err != nil {
		return err
	}
	body["description"] = description
	unchanged := marker.Fenced(ctx, p.description, description, func(ctx context.Context) (string, error) {
		all, err := c.listed(ctx, p.kind)
		if i := slices.IndexFunc(all, func(o *profile) bool { return o.id == p.id }); i >= 0 {
			return all[i].description, err
		}
		return p.description, err // lists may not show it yet, and a change finds out whether it is there
	})
	// Properties again have the same effect.
	if err := c.api.Call(transport.Repeatable(unchanged), msgraph.Fresh, http.MethodPatch, profilePath(p.kind, p.id), body, nil); err != nil {
		return err
	}
	p.description, p.marker = description, want
	c.mu.Lock()
	_, ours := c.made[p.id]
	c.mu.Unlock()
	if ours {
		c.remember(p)
	}
	return nil
}

func (c *Client) mark(ctx context.Context, p *profile, m Marker) error {
	return c.write(ctx, p, m, map[string]any{})
}

// fingerprint identifies the properties that packmill writes. It is short: a
// description holds it.
func fingerprint(body map[string]any) string {
	data, err := json.Marshal(body)
	if err != nil {
		panic("updates: properties have no JSON form: " + err.Error())
	}
	return fleet.DeriveID("intune-update", string(data))[:16]
}

// permissions is what the application needs for what this package calls.
const permissions = "grant the application DeviceManagementConfiguration.ReadWrite.All in the tenant, for the deployment service WindowsUpdates.ReadWrite.All"

// fail gives an error its place and kind.
func (c *Client) fail(op string, key Key, err error) error {
	err = c.api.Fail(op, key.String(), err)
	var e *fleet.Error
	if errors.As(err, &e) && transport.StatusOf(err) == http.StatusForbidden {
		e.Hint = permissions
	}
	return err
}
