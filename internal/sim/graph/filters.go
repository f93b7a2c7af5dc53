package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pastFilters is the set of what assignment filters said before they were
// changed or deleted: devices are computed from history.
const pastFilters = "assignmentFilters, past"

// filterSet are the tenant's assignment filters.
func filterSet() set {
	return set{
		name: "assignmentFilters", noun: "assignmentFilter", required: []string{"displayName", "platform", "rule"}, page: 100,
		check: func(props map[string]json.RawMessage) error {
			if _, err := parseRule(text(props, "rule")); err != nil {
				return badRequest("the rule cannot be read: " + err.Error())
			}
			return nil
		},
		patch: func(e *entity, props map[string]json.RawMessage) error {
			if p := text(props, "platform"); p != "" && !strings.EqualFold(p, text(e.Props, "platform")) {
				return badRequest("the platform of an assignment filter cannot change")
			}
			return nil
		},
	}
}

func filterRoutes(r router) {
	const filters = "/deviceManagement/assignmentFilters"
	s := filterSet()
	r.beta("GET", filters, "filter.list", s.list)
	r.beta("POST", filters, "filter.create", s.create)
	r.beta("POST", filters+"/validateFilter", "filter.validate", validateFilter)
	r.beta("GET", filters+"/{id}", "filter.get", s.with(s.get))
	r.beta("PATCH", filters+"/{id}", "filter.patch", s.with(kept(s.change)))
	r.beta("DELETE", filters+"/{id}", "filter.delete", s.with(unassigned(kept(s.remove))))
}

// validateFilter says whether a rule can be read, without making a filter of it.
func validateFilter(r *request) (reply, error) {
	var body struct {
		Filter map[string]json.RawMessage `json:"deviceAndAppManagementAssignmentFilter"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Filter == nil {
		return reply{}, badRequest("deviceAndAppManagementAssignmentFilter is required")
	}
	_, err := parseRule(text(body.Filter, "rule"))
	return ok(map[string]any{"isValidRule": err == nil})
}

// kept notes what a filter said until now before it is changed or deleted.
func kept(h func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		past := *e
		past.ID, past.Modified = e.ID+"/"+strconv.Itoa(len(r.t.entities[pastFilters])), r.t.s.o.Now()
		rep, err := h(r, e)
		if err == nil {
			err = r.t.save(pastFilters, &past)
		}
		return rep, err
	}
}

// unassigned refuses to delete a filter that an assignment names.
func unassigned(h func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		for _, a := range r.t.apps {
			for _, as := range a.Assignments {
				if d, err := parseAssigned(as.Body); err == nil && d.Target.FilterID == e.ID {
					return reply{}, badRequest("An assignment filter is associated with existing assignments. Delete all the assignments for the filter and try again.")
				}
			}
		}
		return h(r, e)
	}
}

// filterPast are what a filter said before, in order of the instants until which
// it did.
func (t *tenant) filterPast(id string) []*entity {
	out := slices.DeleteFunc(slices.Collect(maps.Values(t.entities[pastFilters])), func(e *entity) bool { return !strings.HasPrefix(e.ID, id+"/") })
	slices.SortFunc(out, func(a, b *entity) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return len(a.ID) - len(b.ID)
	})
	return out
}

// passes reports whether a target's filter lets a device through at an instant.
func (t *tenant) passes(d *device, target target, at time.Time) bool {
	if target.FilterID == "" || target.FilterType == "none" || target.FilterType == "" {
		return true
	}
	e := t.entities[filterSet().name][target.FilterID]
	for _, past := range t.filterPast(target.FilterID) {
		if past.Modified.After(at) {
			e = past
			break
		}
	}
	if e == nil {
		return false
	}
	text := text(e.Props, "rule")
	if t.rules[text] == nil {
		rule, err := parseRule(text)
		if err != nil {
			return false // it was checked when it was made
		}
		t.rules[text] = rule
	}
	return t.rules[text](d) == (target.FilterType == "include")
}

// checkFilter refuses a target's filter as the service does for an app for a system.
func (t *tenant) checkFilter(os string, target target) error {
	switch target.FilterType {
	case "", "none":
		return nil
	case "include", "exclude":
	default:
		return badRequest("filter type " + target.FilterType + " is unknown")
	}
	e := t.entities[filterSet().name][target.FilterID]
	platforms := map[string]string{"Windows": "windows10AndLater", "macOS": "macOS"}
	switch {
	case target.Type == exclusionTarget:
		return badRequest("an exclusion takes no filter")
	case e == nil:
		return fail(http.StatusBadRequest, "BadRequest", "assignment filter "+target.FilterID+" was not found")
	case !strings.EqualFold(text(e.Props, "platform"), platforms[os]):
		return badRequest("the assignment filter is for another platform than the app")
	}
	return nil
}
