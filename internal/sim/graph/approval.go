package graph

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
)

// approvalSet keeps the requests for approval of a tenant, and approvalLife is
// how long one may be acted on.
const (
	approvalSet      = "operationApprovalRequests"
	approvalLife     = 72 * time.Hour
	maxJustification = 1024
)

// callProp is the property of a request that the service keeps to itself: which
// call it is for.
const callProp = "call"

// gate holds a write back that one of the tenant's policies protects, as
// Multi Admin Approval does: it wants a justification, answers with the code of
// a request, and lets exactly the same write through once that is approved. It
// returns what to do when the write has been made.
func (t *tenant) gate(r *request, operation string) (made func() error, err error) {
	kind, write, _ := strings.Cut(operation, ".")
	if r.Method == http.MethodGet || !slices.Contains(t.Approvals, kind) || !slices.Contains([]string{"create", "patch", "delete", "assign"}, write) {
		return func() error { return nil }, nil
	}
	call := fleet.DeriveID(r.Method, r.URL.Path, string(r.body))
	if code := r.Header.Get("X-Msft-Approval-Code"); code != "" {
		e := t.entities[approvalSet][code]
		if e == nil || text(e.Props, callProp) != call || t.approvalStatus(e) != "approved" {
			return nil, badRequest("The approval code is not that of an approved request for this operation.")
		}
		return func() error { return t.setApproval(e, "completed", "") }, nil
	}
	data, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Msft-Approval-Justification"))
	switch {
	case len(data) == 0 && err == nil:
		return nil, badRequest("Header 'x-msft-approval-justification' is required to request approval")
	case err != nil:
		return nil, badRequest("Header 'x-msft-approval-justification' is not base64")
	case utf8.RuneCount(data) > maxJustification:
		return nil, badRequest("Decoded content of 'x-msft-approval-justification' header must be no greater than 1024 characters")
	}
	for _, e := range t.entities[approvalSet] {
		if s := t.approvalStatus(e); text(e.Props, "path") == r.URL.Path && r.Method != http.MethodPost && (s == "needsApproval" || s == "approved") {
			return nil, fail(http.StatusConflict, "Conflict", "An active Approval Request already exists")
		}
	}
	e, err := t.requestApproval(kind, call, r.URL.Path, string(data))
	if err != nil {
		return nil, err
	}
	f := fail(http.StatusPreconditionFailed, "BadRequest", "Approval Required. Request Approval using the request ID returned as part of the x-msft-approval-code response header. x-msft-approval-code: "+e.ID)
	f.approval = e.ID
	return nil, f
}

func (t *tenant) requestApproval(kind, call, path, justification string) (*entity, error) {
	now := t.s.o.Now()
	e := &entity{ID: t.next("approval"), Created: now, Modified: now, Props: map[string]json.RawMessage{}}
	for name, value := range map[string]any{
		"requestJustification": justification, "status": "needsApproval", "requiredOperationApprovalPolicyTypes": []string{kind},
		"requestDateTime": stamp(now), "expirationDateTime": stamp(now.Add(approvalLife)), callProp: call, "path": path,
	} {
		data, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		e.Props[name] = data
	}
	return e, t.save(approvalSet, e)
}

// approvalStatus is the status of a request now: one that nobody acted on in
// time has expired.
func (t *tenant) approvalStatus(e *entity) string {
	status := text(e.Props, "status")
	if (status == "needsApproval" || status == "approved") && t.s.o.Now().Sub(e.Created) >= approvalLife {
		return "expired"
	}
	return status
}

func (t *tenant) setApproval(e *entity, status, why string) error {
	e.Props = maps.Clone(e.Props)
	for name, value := range map[string]string{"status": status, "approvalJustification": why} {
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if value != "" {
			e.Props[name] = data
		}
	}
	e.Modified = t.s.o.Now()
	return t.save(approvalSet, e)
}

// Decide is an administrator's word on all requests of a tenant that wait:
// approved, rejected or cancelled. An application cannot say it, so there is no
// operation for it. It returns how many there were.
func (s *Server) Decide(directory, status, why string) (int, error) {
	t := s.tenants[directory]
	if t == nil {
		return 0, fmt.Errorf("graph: no tenant %q", directory)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, id := range slices.Sorted(maps.Keys(t.entities[approvalSet])) {
		e := t.entities[approvalSet][id]
		if t.approvalStatus(e) != "needsApproval" {
			continue
		}
		if err := t.setApproval(e, status, why); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func listApprovals(r *request) (reply, error) {
	out := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(r.t.entities[approvalSet])) {
		e := r.t.entities[approvalSet][id]
		resource := map[string]any{"id": e.ID, "lastModifiedDateTime": stamp(e.Modified)}
		for name, value := range e.Props {
			if name != callProp && name != "path" {
				resource[name] = value
			}
		}
		resource["status"] = r.t.approvalStatus(e)
		out = append(out, selected(r, resource))
	}
	return page(r, out, 25, 100)
}

func listApprovalPolicies(r *request) (reply, error) {
	out := []map[string]any{}
	for _, kind := range r.t.Approvals {
		out = append(out, map[string]any{
			"id": r.t.s.guid(r.t.Directory, "approval policy", kind), "displayName": "Second person for " + kind, "policyType": kind,
			"approverGroupIds": []string{r.t.s.guid(r.t.Directory, "approvers")},
		})
	}
	return page(r, out, 25, 100)
}
