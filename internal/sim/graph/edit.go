package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Edit changes an object as a person in the portal does: past packmill, past its
// plans, and with nothing in packmill's own books. The collection is an object's
// in Graph, below deviceManagement or deviceAppManagement; properties that are
// nil go. It is for tests and demonstrations.
func (s *Server) Edit(directory, collection, id string, props map[string]any) error {
	t := s.tenants[directory]
	if t == nil {
		return fmt.Errorf("graph: there is no tenant %s", directory)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch collection {
	case "mobileApps":
		a := t.apps[id]
		if a == nil {
			return fmt.Errorf("graph: there is no app %s", id)
		}
		return edited(&a.Props, props, func() error {
			a.Modified = s.o.Now()
			a.record(a.Modified)
			return t.saveApp(a)
		})
	case "deviceHealthScripts":
		h := t.scripts[id]
		if h == nil {
			return fmt.Errorf("graph: there is no script %s", id)
		}
		return edited(&h.Props, props, func() error {
			h.Modified = s.o.Now()
			h.record(h.Modified)
			return t.saveScript(h)
		})
	}
	e := t.entities[collection][id]
	if e == nil {
		return fmt.Errorf("graph: %s has no %s", collection, id)
	}
	return edited(&e.Props, props, func() error {
		e.Modified = s.o.Now()
		if err := t.save(collection, e); err != nil {
			return err
		}
		return t.remember(collection, e)
	})
}

// Named are the ids of the objects of a collection whose name begins so, sorted.
func (s *Server) Named(directory, collection, name string) []string {
	t := s.tenants[directory]
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]map[string]json.RawMessage{}
	for id, e := range t.entities[collection] {
		all[id] = e.Props
	}
	for id, a := range t.apps {
		if collection == "mobileApps" {
			all[id] = a.Props
		}
	}
	for id, h := range t.scripts {
		if collection == "deviceHealthScripts" {
			all[id] = h.Props
		}
	}
	var out []string
	for id, props := range all {
		if strings.HasPrefix(cmp.Or(text(props, "displayName"), text(props, "name")), name) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// edited merges values into properties and stores the object.
func edited(have *map[string]json.RawMessage, props map[string]any, save func() error) error {
	merged := maps.Clone(*have)
	for name, value := range props {
		if value == nil {
			delete(merged, name)
			continue
		}
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		merged[name] = data
	}
	*have = merged
	return save()
}
