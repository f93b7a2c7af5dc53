package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

const (
	dependencyType   = "#microsoft.graph.mobileAppDependency"
	supersedenceType = "#microsoft.graph.mobileAppSupersedence"
	// What the service takes at most ("Add Win32 apps to Microsoft Intune").
	maxDependencies = 100
	maxSuperseding  = 10
)

// A relation is an entry of an app's relationships as the client wrote it.
type relation struct {
	Type   string
	Target string
	Body   map[string]json.RawMessage
}

func relationRoutes(r router) {
	const app = "/deviceAppManagement/mobileApps/{app}"
	r.beta("GET", app+"/relationships", "relation.list", withApp(listRelations))
	r.beta("POST", app+"/updateRelationships", "app.relate", withApp(updateRelations))
}

// listRelations tells an app's own entries, and those of apps that name it, from
// the other side.
func listRelations(r *request, a *app) (reply, error) {
	out := []map[string]any{}
	tell := func(source *app, rel relation, other *app, side string) {
		item := map[string]any{}
		for name, value := range rel.Body {
			item[name] = value
		}
		item["id"] = source.ID + "_" + rel.Target
		item["sourceId"], item["targetId"], item["targetType"] = a.ID, other.ID, side
		item["targetDisplayName"], item["targetPublisher"] = text(other.Props, "displayName"), text(other.Props, "publisher")
		item["targetDisplayVersion"] = text(other.Props, "displayVersion")
		out = append(out, item)
	}
	for _, rel := range a.Relations {
		if other := r.t.apps[rel.Target]; other != nil {
			tell(a, rel, other, "child")
		}
	}
	for _, other := range r.t.sortedApps() {
		for _, rel := range other.Relations {
			if rel.Target == a.ID {
				tell(other, rel, other, "parent")
			}
		}
	}
	return page(r, out, 100, 1000)
}

// updateRelations replaces all of an app's own entries.
func updateRelations(r *request, a *app) (reply, error) {
	var body struct {
		Relationships []map[string]json.RawMessage `json:"relationships"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Relationships == nil {
		return reply{}, badRequest("relationships is required")
	}
	var set []relation
	for _, b := range body.Relationships {
		rel := relation{Type: text(b, "@odata.type"), Target: text(b, "targetId"), Body: b}
		if err := r.t.mayRelate(a, rel, set); err != nil {
			return reply{}, err
		}
		set = append(set, rel)
	}
	before, superseded := a.Relations, a.superseding()
	a.Relations = set
	if err := r.t.relationLimits(a); err != nil {
		a.Relations = before
		return reply{}, err
	}
	if !maps.Equal(superseded, a.superseding()) {
		a.record(r.t.s.o.Now())
	}
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "relate", a.ID)
}

func (t *tenant) mayRelate(a *app, rel relation, set []relation) error {
	target := t.apps[rel.Target]
	switch {
	case rel.Type != dependencyType && rel.Type != supersedenceType:
		return badRequest("a relationship is neither a dependency nor a supersedence")
	case target == nil || target == a:
		return badRequest("a relationship names no other app")
	case a.kind().odata != win32Type || target.kind().odata != win32Type:
		return badRequest("relationships are for Win32 apps")
	case rel.Type == dependencyType && !slices.Contains([]string{"detect", "autoInstall"}, text(rel.Body, "dependencyType")),
		rel.Type == supersedenceType && !slices.Contains([]string{"update", "replace"}, text(rel.Body, "supersedenceType")):
		return badRequest("a relationship has no type of its own")
	case slices.ContainsFunc(set, func(o relation) bool { return o.Target == rel.Target }):
		return badRequest("an app is related twice")
	case text(rel.Body, "targetType") == "parent":
		return badRequest("only relationships to children can be written")
	}
	return nil
}

// relationLimits refuses graphs that are too large, and circles.
func (t *tenant) relationLimits(a *app) error {
	if needs := t.reach(a, dependencyType, false); needs[a.ID] || len(needs) > maxDependencies {
		return badRequest("the app depends on itself, or on more than 100 apps")
	}
	if t.reach(a, supersedenceType, false)[a.ID] {
		return badRequest("the app supersedes itself by way of others")
	}
	if graph := t.reach(a, supersedenceType, true); len(graph) > maxSuperseding {
		return badRequest("a supersedence graph has at most 10 nodes")
	}
	return nil
}

// reach are the apps that can be reached from an app: along its relations, or in
// both directions, which counts the app itself.
func (t *tenant) reach(a *app, kind string, both bool) map[string]bool {
	seen := map[string]bool{}
	next := []string{a.ID}
	for first := true; len(next) > 0; first = false {
		id := next[0]
		next = next[1:]
		if seen[id] {
			continue
		}
		if !first || both {
			seen[id] = true
		}
		for _, other := range t.apps {
			for _, rel := range other.Relations {
				switch {
				case rel.Type != kind:
				case other.ID == id:
					next = append(next, rel.Target)
				case both && rel.Target == id:
					next = append(next, other.ID)
				}
			}
		}
	}
	return seen
}

// counts tells how many apps an app needs, supersedes and is superseded by,
// directly.
func (t *tenant) counts(a *app) (needs, supersedes, superseded int) {
	for _, rel := range a.Relations {
		if rel.Type == dependencyType {
			needs++
		} else {
			supersedes++
		}
	}
	for _, other := range t.apps {
		for _, rel := range other.Relations {
			if rel.Target == a.ID && rel.Type == supersedenceType {
				superseded++
			}
		}
	}
	return needs, supersedes, superseded
}

// named reports whether another app's relations name the app: then it cannot be
// deleted.
func (t *tenant) named(a *app) bool {
	for _, other := range t.apps {
		if slices.ContainsFunc(other.Relations, func(rel relation) bool { return rel.Target == a.ID }) {
			return true
		}
	}
	return false
}
