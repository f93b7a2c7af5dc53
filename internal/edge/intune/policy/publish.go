package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/transport"
)

// maxPayload is how large a part's payload may be.
const maxPayload = 8 << 20

// Publish makes the slot hold the configuration's parts, and returns its state.
// What an earlier run left unfinished is finished; where nothing differs nothing
// is written. Objects of settings that the release no longer has are removed.
//
// Kinds: Invalid when a part cannot be expressed, Refused when the slot has moved
// on (app.Generation, as for apps) or a payload is not the artifact's, Stalled
// when a person changed an object since it was last applied and app.Restore does
// not say that this is undone.
func (c *Client) Publish(ctx context.Context, app fleet.App) (fleet.AppState, error) {
	s := slot{app.Package, app.Slot}
	if err := checkSlot("policy.publish", s); err != nil {
		return fleet.AppState{}, err
	}
	p := &publication{c: c, slot: s, app: app, payloads: map[key][]byte{}}
	if err := p.open(); err != nil {
		return fleet.AppState{}, c.api.Fail("policy.publish", s.String(), err)
	}
	var state fleet.AppState
	err := c.api.Persist(ctx, func() (err error) {
		state, err = p.run(ctx)
		p.again = true
		return err
	})
	return state, c.api.Fail("policy.publish", s.String(), err)
}

// Unmoved fails with Stalled as Publish does, and writes nothing.
func (c *Client) Unmoved(ctx context.Context, app fleet.App) error {
	s := slot{app.Package, app.Slot}
	if err := checkSlot("policy.publish", s); err != nil {
		return err
	}
	p := &publication{c: c, slot: s, app: app, payloads: map[key][]byte{}}
	if err := p.open(); err != nil {
		return c.api.Fail("policy.publish", s.String(), err)
	}
	return c.api.Fail("policy.publish", s.String(), c.api.Persist(ctx, func() error {
		have, err := c.find(ctx, s, false, slices.Collect(maps.Keys(p.payloads))...)
		if err != nil {
			return err
		}
		return p.unmoved(ctx, have)
	}))
}

// A publication is one call of Publish.
type publication struct {
	c        *Client
	slot     slot
	app      fleet.App
	payloads map[key][]byte
	again    bool // an earlier try may have made what the cache does not know
}

// open reads the payloads, and makes sure that they are the artifact's.
func (p *publication) open() error {
	for _, part := range p.app.Parts {
		k := key{p.slot, part.Setting, part.Kind}
		if _, ok := collectionOf(part.Kind); !ok || part.Setting == "" || part.Open == nil {
			return fleet.Errorf(fleet.Invalid, "policy.publish", k.String(), "%q is no kind of configuration", part.Kind)
		}
		r, err := part.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(r, maxPayload+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if len(data) > maxPayload || fleet.DigestOf(data) != part.File.Digest {
			return fleet.Errorf(fleet.Refused, "policy.publish", k.String(), "the payload is not the one that was built: want %s", part.File.Digest)
		}
		p.payloads[k] = data
	}
	return nil
}

// run goes through the parts once.
func (p *publication) run(ctx context.Context) (fleet.AppState, error) {
	if p.again {
		if err := p.c.api.Clock().Sleep(ctx, listWait); err != nil {
			return fleet.AppState{}, err
		}
	}
	have, err := p.c.find(ctx, p.slot, p.again, slices.Collect(maps.Keys(p.payloads))...)
	if err != nil {
		return fleet.AppState{}, err
	}
	byKey := map[key]*object{}
	for _, o := range have {
		byKey[o.key] = o
		if p.app.Generation > 0 && o.marker.Generation > p.app.Generation {
			return fleet.AppState{}, &fleet.Error{Op: "policy.publish", Object: p.slot.String(), Kind: fleet.Refused,
				Err:  fmt.Errorf("the slot is at generation %d, the caller knows %d", o.marker.Generation, p.app.Generation),
				Hint: "another run has changed the slot: plan again"}
		}
	}
	if err := p.unmoved(ctx, have); err != nil {
		return fleet.AppState{}, err
	}
	for _, part := range p.app.Parts {
		k := key{p.slot, part.Setting, part.Kind}
		if err := p.bring(ctx, k, part, byKey[k]); err != nil {
			return fleet.AppState{}, err
		}
		delete(byKey, k)
	}
	for _, o := range byKey {
		if err := p.c.unshared(ctx, o); err != nil {
			return fleet.AppState{}, err
		}
		if err := p.c.remove(ctx, o.listing); err != nil {
			return fleet.AppState{}, err
		}
		p.c.remember(o.key, nil)
	}
	return p.c.Observe(ctx, p.app.Package, p.app.Slot)
}

// unmoved refuses to go on where a person changed one of the slot's objects. It
// is asked before the first write: a release is not brought by halves.
func (p *publication) unmoved(ctx context.Context, have []*object) error {
	if p.app.Restore {
		return nil
	}
	for _, o := range have {
		changes, err := p.moved(ctx, o)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			return &fleet.Error{Op: "policy.publish", Object: o.key.String(), Kind: fleet.Stalled,
				Err:  fleet.Theirs(fmt.Errorf("the tenant has changed it since %s was applied: %s", o.marker.Version, sketch(changes))),
				Hint: "packmill plan --drift shows what, and how to adopt or restore it"}
		}
	}
	return nil
}

// sketch names the first changes.
func sketch(changes []drift.Change) string {
	var out []string
	for i, c := range changes {
		if i == 3 {
			out = append(out, fmt.Sprintf("and %d more", len(changes)-i))
			break
		}
		out = append(out, c.Path)
	}
	return strings.Join(out, ", ")
}

// moved are the changes that a person made of an object since it was applied.
// What is as the release wants it is none, whoever made it so: the actions of a
// compliance policy change before the rest.
func (p *publication) moved(ctx context.Context, o *object) ([]drift.Change, error) {
	want, known := p.payloads[o.key]
	before := want
	if !known || fleet.DigestOf(want) != o.marker.File {
		if p.app.Before == nil {
			return nil, fleet.Errorf(fleet.Invalid, "policy.publish", o.key.String(), "nobody can say what was last applied")
		}
		var err error
		if before, err = p.app.Before(ctx, o.marker.Artifact, o.key.setting, o.key.kind); err != nil {
			return nil, fmt.Errorf("what was last applied cannot be read: %w", err)
		}
	}
	if !known {
		want = before
	}
	var docs [2]map[string]any
	for i, payload := range [][]byte{before, want} {
		doc, err := Document(p.app, fleet.Part{Setting: o.key.setting, Kind: o.key.kind}, payload)
		if err != nil {
			return nil, err
		}
		docs[i] = stated(o.key.kind, doc)
	}
	return drift.Moved(drift.Compare(docs[0], docs[1], o.bare(o.raw, o.marker))), nil
}

// Comparable is a part as All tells of one whose payload was just applied.
func Comparable(app fleet.App, part fleet.Part, payload []byte) (map[string]any, error) {
	doc, err := Document(app, part, payload)
	return stated(part.Kind, doc), err
}

// stated is a document without what people may call as they like: names of
// objects and texts are for people, and a profile's come from the package.
func stated(kind string, doc map[string]any) map[string]any {
	if kind != fleet.PartProfile {
		return doc
	}
	out := maps.Clone(doc)
	for _, name := range []string{"displayName", "description", "payloadName"} {
		delete(out, name)
	}
	return out
}

// bring makes one object hold a part, creating it if need be.
func (p *publication) bring(ctx context.Context, k key, part fleet.Part, o *object) error {
	col, _ := collectionOf(part.Kind)
	doc, err := Document(p.app, part, p.payloads[k])
	if err != nil {
		return err
	}
	m := Marker{
		Package: k.pkg, Slot: k.name, Setting: k.setting, Kind: k.kind, Version: p.app.Version, Artifact: p.app.Artifact,
		File: part.File.Digest, Every: part.Every, Parts: len(p.app.Parts), Generation: p.app.Generation, At: p.c.api.Clock().Now().Unix(),
	}
	if col.write() == http.MethodPatch {
		m.Names = slices.Sorted(maps.Keys(doc))
	}
	if o == nil {
		return p.create(ctx, k, col, doc, m)
	}
	if err := p.c.clear(ctx, o); err != nil {
		return err
	}
	m.ID, m.Targets = o.id, o.marker.Targets
	if m.File == o.marker.File {
		m.At = o.marker.At
	}
	if !p.app.Restore && m.line() == o.marker.line() {
		return nil
	}
	if m.File == o.marker.File && !p.app.Restore {
		return p.c.mark(ctx, o, m)
	}
	return p.replace(ctx, o, doc, m)
}

// create makes the object, and has it name itself afterwards: only then a
// person's copy of it can be told from it.
func (p *publication) create(ctx context.Context, k key, col collection, doc map[string]any, m Marker) error {
	var made struct {
		ID string `json:"id"`
	}
	body := col.dressed(doc, m)
	if err := p.c.api.Call(ctx, msgraph.Final, http.MethodPost, col.path, body, &made); err != nil {
		return err
	}
	if made.ID == "" {
		return errors.New("the service created a configuration without telling its id")
	}
	m.ID = made.ID
	l := listing{collection: col, id: made.ID, marker: m}
	p.c.remember(k, &l)
	return p.c.mark(ctx, &object{listing: l, key: k, raw: body}, m)
}

// replace writes content and marker in one call, while nobody else has changed the
// object.
func (p *publication) replace(ctx context.Context, o *object, doc map[string]any, m Marker) error {
	body := o.dressed(doc, m)
	written, _ := body["description"].(string)
	asked := ctx
	ctx = p.c.standing(ctx, o, written, func(now *object) error { return p.unmoved(asked, []*object{now}) })
	if o.path == catalogPath {
		for _, name := range []string{"roleScopeTagIds", "templateReference"} {
			if have := o.raw[name]; body[name] == nil && have != nil {
				body[name] = have // a PUT would take them off
			}
		}
	} else {
		for _, name := range o.marker.Names {
			if _, stated := body[name]; !stated {
				body[name] = nil
			}
		}
	}
	if actions, ok := body[scheduled]; ok && o.path == compliancePath {
		delete(body, scheduled)
		if err := p.c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, actionsPath(o.id), map[string]any{"deviceComplianceScheduledActionForRules": actions}, nil); err != nil {
			return err
		}
	}
	// The same content again has the same effect.
	return p.c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, o.write(), o.one(o.id), body, nil)
}

// unshared refuses to remove an object that the tenant's people assigned as well.
func (c *Client) unshared(ctx context.Context, o *object) error {
	present, err := c.settled(ctx, o)
	if err != nil {
		return err
	}
	_, foreign, err := c.split(ctx, o.marker, present)
	if err != nil || len(foreign) == 0 {
		return err
	}
	return &fleet.Error{Op: "policy.publish", Object: o.key.String(), Kind: fleet.Stalled,
		Err:  fleet.Theirs(fmt.Errorf("the release no longer has %s, and people of the tenant have assigned it to others", o.id)),
		Hint: "take their assignments off it, or packmill's line out of its description to keep it as theirs"}
}

// remove deletes an object of packmill's; one that is gone is none.
func (c *Client) remove(ctx context.Context, l listing) error {
	err := c.api.Call(ctx, msgraph.Fresh, http.MethodDelete, l.one(l.id), nil, nil)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}
