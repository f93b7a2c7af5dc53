package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func withGroup(h func(*request, *group) (reply, error)) handler {
	return func(r *request) (reply, error) {
		g := r.t.groups[r.PathValue("group")]
		if g == nil {
			return reply{}, notFound("group")
		}
		if g.Hidden > 0 {
			g.Hidden--
			if err := r.t.saveGroup(g); err != nil {
				return reply{}, err
			}
			return reply{}, notFound("group")
		}
		return h(r, g)
	}
}

func (g *group) resource() map[string]any {
	out := map[string]any{}
	for name, value := range g.Props {
		out[name] = value
	}
	out["id"], out["createdDateTime"], out["groupTypes"] = g.ID, g.Created.UTC().Format("2006-01-02T15:04:05Z"), []string{}
	return out
}

func listGroups(r *request) (reply, error) {
	groups := slices.SortedFunc(maps.Values(r.t.groups), func(a, b *group) int { return strings.Compare(a.ID, b.ID) })
	out := []map[string]any{}
	first := r.URL.Query().Get("$skiptoken") == ""
	for _, g := range groups {
		if g.Unseen > 0 {
			if first {
				g.Unseen--
				if err := r.t.saveGroup(g); err != nil {
					return reply{}, err
				}
			}
			continue
		}
		res := g.resource()
		match, err := filter(r.URL.Query(), res)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, res))
		}
	}
	return page(r, out, 100, 999)
}

func createGroup(r *request) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	var flags struct{ MailEnabled, SecurityEnabled *bool }
	if json.Unmarshal(r.body, &flags) != nil || flags.MailEnabled == nil || flags.SecurityEnabled == nil {
		return reply{}, badRequest("mailEnabled and securityEnabled are required")
	}
	nick := text(props, "mailNickname")
	if text(props, "displayName") == "" || nick == "" || len(nick) > 64 || strings.ContainsAny(nick, "@()\\[]\";:<>, ") {
		return reply{}, badRequest("displayName and a valid mailNickname are required")
	}
	id := r.t.next("group")
	g := &group{ID: id, Created: r.t.s.o.Now(), Props: props, Hidden: r.t.s.upTo(r.t.s.o.Lag, id, "hidden"), Unseen: r.t.s.upTo(r.t.s.o.ListLag, id, "unlisted")}
	delete(g.Props, "id")
	r.t.groups[id] = g
	if err := r.t.saveGroup(g); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, g.resource(), "group", id)
}

func getGroup(r *request, g *group) (reply, error) { return ok(selected(r, g.resource())) }

func deleteGroup(r *request, g *group) (reply, error) {
	delete(r.t.groups, g.ID)
	if err := r.t.journal.add(change{Kind: "group", ID: g.ID, Counter: r.t.counter}); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "delete", g.ID)
}

func listMembers(r *request, g *group) (reply, error) {
	out := []map[string]any{}
	for _, id := range g.members() {
		if o := r.t.directoryObject(id); o != nil {
			out = append(out, selected(r, o))
		}
	}
	return page(r, out, 100, 999)
}

// listTransitive lists members, members of groups among them, and so on, each
// once.
func listTransitive(r *request, g *group) (reply, error) {
	seen := map[string]bool{}
	var walk func(g *group)
	walk = func(g *group) {
		for _, id := range g.members() {
			if seen[id] {
				continue
			}
			seen[id] = true
			if inner := r.t.groups[id]; inner != nil {
				walk(inner)
			}
		}
	}
	walk(g)
	out := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if o := r.t.directoryObject(id); o != nil {
			out = append(out, selected(r, o))
		}
	}
	return page(r, out, 100, 999)
}

// directoryObject is a device, a user or a group as a member, nil for what is gone.
func (t *tenant) directoryObject(id string) map[string]any {
	if d := t.objects[id]; d != nil && d.enrolled(t.s.o.Now()) {
		return d.directoryObject()
	}
	if name := t.users[id]; name != "" {
		return userObject(id, name)
	}
	if g := t.groups[id]; g != nil {
		out := g.resource()
		out["@odata.type"] = "#microsoft.graph.group"
		return out
	}
	return nil
}

// within reports whether an object was a member of a group at an instant, or of
// a group in it.
func (t *tenant) within(g *group, object string, at time.Time, seen map[string]bool) bool {
	if seen[g.ID] {
		return false
	}
	seen[g.ID] = true
	if g.holds(object, at) {
		return true
	}
	for _, m := range g.Log {
		if inner := t.groups[m.Object]; inner != nil && g.holds(m.Object, at) && t.within(inner, object, at, seen) {
			return true
		}
	}
	return false
}

// addMember adds one reference; one that is there already is an error, with the
// directory's own words.
func addMember(r *request, g *group) (reply, error) {
	var body struct {
		Ref string `json:"@odata.id"`
	}
	if json.Unmarshal(r.body, &body) != nil {
		return reply{}, badRequest("@odata.id is required")
	}
	id := body.Ref[strings.LastIndexByte(body.Ref, '/')+1:]
	if !strings.Contains(body.Ref, "/directoryObjects/") || r.t.directoryObject(id) == nil {
		return reply{}, fail(http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
	}
	if err := r.t.mayAdd(id); err != nil {
		return reply{}, err
	}
	now := r.t.s.o.Now()
	if slices.Contains(g.members(), id) {
		return reply{}, fail(http.StatusBadRequest, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'.")
	}
	if err := r.t.saveMember(g, membership{At: now, Object: id}); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "member", g.ID)
}

func removeMember(r *request, g *group) (reply, error) {
	id := r.PathValue("object")
	if !slices.Contains(g.members(), id) {
		return reply{}, fail(http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+"' does not exist.")
	}
	if err := r.t.saveMember(g, membership{At: r.t.s.o.Now(), Object: id, Out: true}); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "member", g.ID)
}
