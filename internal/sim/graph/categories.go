package graph

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

func categorySet() set {
	return set{name: "mobileAppCategories", noun: "mobileAppCategory", required: []string{"displayName"}, shape: func(_ *entity, out map[string]any) {
		delete(out, "createdDateTime")
	}}
}

func scopeTagSet() set {
	return set{name: "roleScopeTags", noun: "roleScopeTag", required: []string{"displayName"}, shape: func(_ *entity, out map[string]any) {
		delete(out, "createdDateTime")
		delete(out, "lastModifiedDateTime")
		out["isBuiltIn"] = false
	}}
}

// categoryRoutes are what apps are ordered by, and who sees them.
func categoryRoutes(r router) {
	const (
		app        = "/deviceAppManagement/mobileApps/{app}/categories"
		categories = "/deviceAppManagement/mobileAppCategories"
		tags       = "/deviceManagement/roleScopeTags"
	)
	r.both("GET", categories, "category.list", listCategories)
	r.both("POST", categories, "category.create", categorySet().create)
	r.both("GET", app, "app.categories", withApp(listAppCategories))
	r.both("POST", app+"/$ref", "app.categorize", withApp(addCategory))
	r.both("DELETE", app+"/{category}/$ref", "app.uncategorize", withApp(removeCategory))
	r.beta("GET", tags, "scopeTag.list", scopeTagSet().list)
	r.beta("POST", tags, "scopeTag.create", scopeTagSet().create)
}

func (t *tenant) category(e *entity) map[string]any {
	return map[string]any{"id": e.ID, "displayName": e.Props["displayName"], "lastModifiedDateTime": stamp(e.Modified)}
}

func (t *tenant) categories() []*entity {
	var out []*entity
	for _, e := range t.entities[categorySet().name] {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entity) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func listCategories(r *request) (reply, error) {
	out := []map[string]any{}
	for _, e := range r.t.categories() {
		out = append(out, r.t.category(e))
	}
	return page(r, out, 100, 1000)
}

func listAppCategories(r *request, a *app) (reply, error) {
	out := []map[string]any{}
	for _, e := range r.t.categories() {
		if slices.Contains(a.Categories, e.ID) {
			out = append(out, r.t.category(e))
		}
	}
	return page(r, out, 100, 1000)
}

func addCategory(r *request, a *app) (reply, error) {
	var body struct {
		ID string `json:"@odata.id"`
	}
	id := ""
	if json.Unmarshal(r.body, &body) == nil {
		id = body.ID[strings.LastIndexByte(body.ID, '/')+1:]
	}
	if r.t.entities[categorySet().name][id] == nil || !strings.Contains(body.ID, "/mobileAppCategories/") {
		return reply{}, badRequest("the reference names no category")
	}
	if !slices.Contains(a.Categories, id) {
		a.Categories = append(a.Categories, id)
	}
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "categorize", a.ID)
}

func removeCategory(r *request, a *app) (reply, error) {
	i := slices.Index(a.Categories, r.PathValue("category"))
	if i < 0 {
		return reply{}, notFound("category")
	}
	a.Categories = slices.Delete(a.Categories, i, i+1)
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "uncategorize", a.ID)
}
