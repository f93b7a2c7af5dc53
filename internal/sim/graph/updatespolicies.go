package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A policyState is what a policy of the deployment service approves.
type policyState struct {
	Audience  string
	Approvals []contentApproval
}

type contentApproval struct {
	ID, Entry string
	Revoked   bool
}

func (e *entity) policy() policyState {
	var s policyState
	_ = json.Unmarshal(e.State, &s) // a policy is made with its state
	return s
}

func listPolicies(r *request) (reply, error) {
	out := []map[string]any{}
	all := r.t.entities[policySet().name]
	for _, id := range slices.Sorted(maps.Keys(all)) {
		out = append(out, policyResource(all[id], r.URL.Query().Get("$expand") == "audience"))
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func policyResource(e *entity, audience bool) map[string]any {
	out := map[string]any{"@odata.type": updatesNamespace + "updatePolicy", "id": e.ID, "createdDateTime": stamp(e.Created)}
	if audience {
		out["audience"] = map[string]any{"id": e.policy().Audience}
	}
	return out
}

func createPolicy(r *request) (reply, error) {
	var body struct {
		Audience *struct {
			ID string `json:"id"`
		} `json:"audience"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Audience == nil {
		return reply{}, badRequest("audience is required")
	}
	if r.t.entities[audienceSet().name][body.Audience.ID] == nil {
		return reply{}, notFound("deploymentAudience")
	}
	e := &entity{ID: r.t.next("updatePolicy"), Created: r.t.s.o.Now()}
	if err := e.keepState(policyState{Audience: body.Audience.ID}); err != nil {
		return reply{}, err
	}
	if err := r.t.save(policySet().name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, policyResource(e, true), "updatePolicy", e.ID)
}

func (t *tenant) approvalResource(a contentApproval) map[string]any {
	entry := map[string]any{"@odata.type": updatesNamespace + "driverUpdateCatalogEntry", "id": a.Entry}
	for _, u := range t.s.o.Updates.Drivers {
		if t.driverID(u) == a.Entry {
			entry["displayName"], entry["version"], entry["driverClass"], entry["manufacturer"] = u.Name, u.Version, u.Class, u.Manufacturer
		}
	}
	return map[string]any{
		"@odata.type": updatesNamespace + "contentApproval", "id": a.ID, "isRevoked": a.Revoked,
		"content": map[string]any{"@odata.type": updatesNamespace + "catalogContent", "catalogEntry": entry},
	}
}

func listUpdateApprovals(r *request, e *entity) (reply, error) {
	out := []map[string]any{}
	for _, a := range e.policy().Approvals {
		out = append(out, r.t.approvalResource(a))
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func createApproval(r *request, e *entity) (reply, error) {
	var body struct {
		Type    string `json:"@odata.type"`
		Content *struct {
			Entry *struct {
				ID string `json:"id"`
			} `json:"catalogEntry"`
		} `json:"content"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Type != updatesNamespace+"contentApproval" || body.Content == nil || body.Content.Entry == nil {
		return reply{}, badRequest("a contentApproval has content")
	}
	id := body.Content.Entry.ID
	if !slices.ContainsFunc(r.t.s.o.Updates.Drivers, func(u DriverUpdate) bool { return r.t.driverID(u) == id }) {
		return reply{}, badRequest("the catalog has no such driver")
	}
	s := e.policy()
	a := contentApproval{ID: r.t.next("approval"), Entry: id}
	s.Approvals = append(s.Approvals, a)
	return r.t.keepPolicy(e, s, a, http.StatusCreated)
}

// changeApproval revokes an approval, which is for good.
func changeApproval(r *request, e *entity) (reply, error) {
	var body struct {
		Revoked *bool `json:"isRevoked"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Revoked == nil || !*body.Revoked {
		return reply{}, badRequest("an approval can be revoked, and nothing else")
	}
	s := e.policy()
	i := slices.IndexFunc(s.Approvals, func(a contentApproval) bool { return strings.EqualFold(a.ID, r.PathValue("change")) })
	if i < 0 {
		return reply{}, notFound("complianceChange")
	}
	s.Approvals[i].Revoked = true
	return r.t.keepPolicy(e, s, s.Approvals[i], http.StatusOK)
}

func (t *tenant) keepPolicy(e *entity, s policyState, a contentApproval, status int) (reply, error) {
	if err := e.keepState(s); err != nil {
		return reply{}, err
	}
	if err := t.save(policySet().name, e); err != nil {
		return reply{}, err
	}
	return did(status, t.approvalResource(a), "contentApproval", a.ID)
}
