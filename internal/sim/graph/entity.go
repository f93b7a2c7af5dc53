package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// An entity is an object of a set that devices do not compute from, or that
// keeps its history in a type beside it: what most of Graph's collections are.
type entity struct {
	ID          string
	Created     time.Time
	Modified    time.Time
	Props       map[string]json.RawMessage
	Assignments []assignment    `json:",omitempty"`
	Hidden      int             `json:",omitempty"` // reads that do not find it yet
	Unlisted    int             `json:",omitempty"` // listings that do not show it yet
	State       json.RawMessage `json:",omitempty"` // what its area keeps of it beside the properties
}

// A set is a collection of entities: what they are called, and what the service
// says of theirs.
type set struct {
	name     string                                                  // of the collection, unique
	noun     string                                                  // of one, for errors
	required []string                                                // texts that must not be empty
	owned    []string                                                // properties that only the service writes
	page     int                                                     // entities on a page; Options.PageSize when 0
	check    func(props map[string]json.RawMessage) error            // refuses what the service refuses; may be nil
	shape    func(e *entity, out map[string]any)                     // adds what only the service tells; may be nil
	patch    func(e *entity, props map[string]json.RawMessage) error // refuses a change; may be nil
}

// keep puts an entity into memory.
func (t *tenant) keep(set string, e *entity) {
	if t.entities[set] == nil {
		t.entities[set] = map[string]*entity{}
	}
	t.entities[set][e.ID] = e
}

// save stores an entity.
func (t *tenant) save(set string, e *entity) error {
	t.keep(set, e)
	return t.journal.add(change{Kind: "entity", ID: e.ID, Counter: t.counter, Set: set, Entity: e})
}

// drop removes an entity.
func (t *tenant) drop(set, id string) error {
	delete(t.entities[set], id)
	return t.journal.add(change{Kind: "entity", ID: id, Counter: t.counter, Set: set})
}

// resource is an entity as the service tells it.
func (s set) resource(e *entity) map[string]any {
	out := map[string]any{}
	for name, value := range e.Props {
		out[name] = value
	}
	out["id"], out["createdDateTime"], out["lastModifiedDateTime"] = e.ID, stamp(e.Created), stamp(e.Modified)
	if s.shape != nil {
		s.shape(e, out)
	}
	return out
}

// judge refuses properties that the service refuses.
func (s set) judge(props map[string]json.RawMessage) error {
	for _, name := range s.required {
		if text(props, name) == "" {
			return badRequest("property " + name + " is required")
		}
	}
	if s.check != nil {
		return s.check(props)
	}
	return nil
}

// bare removes what only the service writes.
func (s set) bare(props map[string]json.RawMessage) {
	for _, name := range append([]string{"id", "createdDateTime", "lastModifiedDateTime"}, s.owned...) {
		delete(props, name)
	}
}

// with finds the entity that the path names by {id}.
func (s set) with(h func(*request, *entity) (reply, error)) handler {
	return func(r *request) (reply, error) {
		e := r.t.entities[s.name][r.PathValue("id")]
		if e == nil {
			return reply{}, notFound(s.noun)
		}
		if e.Hidden > 0 {
			e.Hidden--
			if err := r.t.save(s.name, e); err != nil {
				return reply{}, err
			}
			return reply{}, notFound(s.noun)
		}
		return h(r, e)
	}
}

func (s set) list(r *request) (reply, error) {
	out := []map[string]any{}
	first := r.URL.Query().Get("$skiptoken") == ""
	for _, id := range slices.Sorted(maps.Keys(r.t.entities[s.name])) {
		e := r.t.entities[s.name][id]
		if e.Unlisted > 0 {
			if first {
				e.Unlisted--
				if err := r.t.save(s.name, e); err != nil {
					return reply{}, err
				}
			}
			continue
		}
		resource := s.resource(e)
		match, err := filter(r.URL.Query(), resource)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, resource))
		}
	}
	size := s.page
	if size == 0 {
		size = r.t.s.o.PageSize
	}
	return page(r, out, size, 1000)
}

func (s set) create(r *request) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	if err := s.judge(props); err != nil {
		return reply{}, err
	}
	s.bare(props)
	now, id := r.t.s.o.Now(), r.t.next(s.noun)
	e := &entity{
		ID: id, Created: now, Modified: now, Props: props,
		Hidden: r.t.s.upTo(r.t.s.o.Lag, id, "hidden"), Unlisted: r.t.s.upTo(r.t.s.o.ListLag, id, "unlisted"),
	}
	if err := r.t.save(s.name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, s.resource(e), s.noun+".create", id)
}

func (s set) get(r *request, e *entity) (reply, error) { return ok(selected(r, s.resource(e))) }

// change merges properties into an entity.
func (s set) change(r *request, e *entity) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	if s.patch != nil {
		if err := s.patch(e, props); err != nil {
			return reply{}, err
		}
	}
	merged := maps.Clone(e.Props)
	maps.Copy(merged, props)
	if err := s.judge(merged); err != nil {
		return reply{}, err
	}
	s.bare(merged)
	e.Props, e.Modified = merged, r.t.s.o.Now()
	if err := r.t.save(s.name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, s.resource(e), s.noun+".change", e.ID)
}

func (s set) remove(r *request, e *entity) (reply, error) {
	if err := r.t.drop(s.name, e.ID); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, s.noun+".remove", e.ID)
}

// assignments lists who an entity is for.
func (s set) assignments(r *request, e *entity) (reply, error) {
	out := []map[string]any{}
	for _, a := range e.Assignments {
		item := map[string]any{"id": a.ID}
		for name, value := range a.Body {
			item[name] = value
		}
		out = append(out, item)
	}
	return page(r, out, 100, 1000)
}

// assign replaces the whole set of an entity's assignments, which the body has
// under the given name.
func (s set) assign(name string, status int) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		var body map[string][]map[string]json.RawMessage
		if json.Unmarshal(r.body, &body) != nil || body[name] == nil {
			return reply{}, badRequest(name + " is required")
		}
		made := []assignment{}
		for _, b := range body[name] {
			delete(b, "id")
			made = append(made, assignment{ID: r.t.s.guid(e.ID, "assignment", string(b["target"])), Body: b})
		}
		e.Assignments, e.Modified = made, r.t.s.o.Now()
		if err := r.t.save(s.name, e); err != nil {
			return reply{}, err
		}
		rep, err := did(status, nil, s.noun+".assign", e.ID)
		if status == http.StatusOK {
			rep.body = map[string]any{"value": []any{}}
		}
		return rep, err
	}
}
