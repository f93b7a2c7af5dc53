package graph

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// auditSet is where events of the service's own audit are kept. They are no
// entities that a client makes; they lie there to outlive the process.
const auditSet = "auditEvents"

// auditPage is how many events the service puts on a page.
const auditPage = 100

// audited reports whether an operation changes something that Intune's audit
// tells of. Groups are the directory's, which has an audit of its own; a report
// and its export change nothing.
func audited(r *request, operation string) bool {
	if r.Method == http.MethodGet {
		return false
	}
	for _, prefix := range []string{"group.", "member.", "report", "export.", "blob."} {
		if strings.HasPrefix(operation, prefix) {
			return false
		}
	}
	return true
}

// note writes an event for a change that was made, as the service does: who, by
// which application, what, of which object.
func (t *tenant) note(r *request, operation string, rep reply) error {
	if !audited(r, operation) || rep.status >= 300 {
		return nil
	}
	noun, verb, _ := strings.Cut(operation, ".")
	id, name := r.objectOf(rep)
	who := t.s.callerOf(r.Request)
	words := map[string]string{"create": "Create", "patch": "Patch", "change": "Patch", "delete": "Delete", "remove": "Delete", "assign": "Assign", "commit": "Commit", "renew": "Renew"}
	kind := map[string]string{"app": "MobileApp", "script": "DeviceHealthScript", "content": "MobileAppContent", "file": "MobileAppContentFile"}
	what := cmp.Or(words[verb], verb) + " " + cmp.Or(kind[noun], strings.ToUpper(noun[:1])+noun[1:])
	made := map[string]any{
		"displayName": what, "activityType": what, "activity": what, "activityOperationType": map[string]string{"POST": "Create", "PATCH": "Patch", "PUT": "Patch", "DELETE": "Delete"}[r.Method],
		"activityResult": "Success", "category": categoryOf(r.URL.Path), "componentName": categoryOf(r.URL.Path), "activityDateTime": stamp(t.s.o.Now()),
		"actor":     who,
		"resources": []any{map[string]any{"displayName": name, "auditResourceType": cmp.Or(kind[noun], noun), "resourceId": id, "modifiedProperties": []any{}}},
	}
	n := strconv.Itoa(len(t.entities[auditSet]) + 1)
	made["correlationId"] = t.s.guid(t.Directory, "correlation", n)
	e := &entity{ID: t.s.guid(t.Directory, "audit event", n), Created: t.s.o.Now(), Modified: t.s.o.Now(), Props: map[string]json.RawMessage{}}
	for field, value := range made {
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		e.Props[field] = data
	}
	return t.save(auditSet, e)
}

func categoryOf(path string) string {
	if strings.Contains(path, "/deviceAppManagement/") {
		return "Application"
	}
	return "DeviceConfiguration"
}

// objectOf is the object a request is about: the one in its path, or the one it
// made.
func (r *request) objectOf(rep reply) (id, name string) {
	for _, part := range []string{"app", "script", "policy", "id"} {
		if id = r.PathValue(part); id != "" {
			break
		}
	}
	data, err := json.Marshal(rep.body)
	var made struct{ ID, DisplayName, Name string }
	if err == nil && json.Unmarshal(data, &made) == nil {
		name = cmp.Or(made.DisplayName, made.Name)
		id = cmp.Or(id, made.ID)
	}
	if a := r.t.apps[id]; a != nil {
		name = text(a.Props, "displayName")
	}
	return id, name
}

// callerOf is who a token stands for: an application by itself, or a person with
// the portal.
func (s *Server) callerOf(r *http.Request) map[string]any {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c := claimsOf(token)
	out := map[string]any{"applicationId": c.App, "auditActorType": "Application", "applicationDisplayName": "packmill", "userPermissions": []any{"*"}}
	if c.UPN != "" {
		out["auditActorType"], out["applicationDisplayName"] = "ItPro", "Microsoft Intune portal extension"
		out["userPrincipalName"], out["userId"], out["ipAddress"] = c.UPN, s.guid("user", c.UPN), "203.0.113.7"
	}
	return out
}

var auditTerm = regexp.MustCompile(`^activityDateTime (ge|gt|le|lt) (\S+)$`)

// listAuditEvents lists events, newest first, those that have come through.
func listAuditEvents(r *request) (reply, error) {
	now := r.t.s.o.Now()
	all := slices.SortedFunc(maps.Values(r.t.entities[auditSet]), func(a, b *entity) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	out := []map[string]any{}
	for _, e := range all {
		lag := time.Duration(r.t.s.upTo(int(r.t.s.o.AuditLag/time.Second), "audit lag", e.ID)) * time.Second
		if e.Created.Add(lag).After(now) {
			continue
		}
		match, err := inPeriod(r.URL.Query(), e.Created)
		if err != nil {
			return reply{}, err
		}
		if !match {
			continue
		}
		res := map[string]any{"id": e.ID}
		for name, value := range e.Props {
			res[name] = value
		}
		out = append(out, selected(r, res))
	}
	return page(r, out, auditPage, 1000)
}

// inPeriod evaluates the terms over instants that the list can be filtered by.
func inPeriod(q url.Values, at time.Time) (bool, error) {
	if q.Get("$filter") == "" {
		return true, nil
	}
	for term := range strings.SplitSeq(q.Get("$filter"), " and ") {
		m := auditTerm.FindStringSubmatch(strings.TrimSpace(term))
		if m == nil {
			return false, badRequest("Invalid filter clause: " + term)
		}
		bound, err := time.Parse(time.RFC3339, m[2])
		if err != nil {
			return false, badRequest("Invalid instant: " + m[2])
		}
		c := at.Compare(bound)
		if m[1] == "ge" && c < 0 || m[1] == "gt" && c <= 0 || m[1] == "le" && c > 0 || m[1] == "lt" && c >= 0 {
			return false, nil
		}
	}
	return true, nil
}
