package fleet

import (
	"slices"
	"strings"
	"time"
)

// A TenantApproval is the word of a partner or a site on one cycle, for one
// tenant: beside the operator's approval of each gate, never instead of it.
type TenantApproval struct {
	Cycle      CycleID           `json:"cycle"`
	Decision   string            `json:"decision"` // approved, rejected
	Plans      map[string]Digest `json:"plans"`    // gate the tenant has rows in → digest of its plan
	ValidUntil time.Time         `json:"validUntil"`
	Because    string            `json:"because,omitempty"`
}

// TenantApprovalFile is the path of the file that holds a tenant's word on a
// cycle.
func TenantApprovalFile(t TenantID, id CycleID) string {
	return t.Dir() + "/approvals/" + string(id) + ".cue"
}

// TenantApprovalOf reads the tenant and the cycle from the path of a tenant's
// approval. It is not ok for any other path.
func TenantApprovalOf(path string) (t TenantID, id CycleID, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 5 || parts[0] != "tenants" || parts[3] != "approvals" {
		return "", "", false
	}
	t, id = TenantID(parts[1]+"/"+parts[2]), CycleID(strings.TrimSuffix(parts[4], ".cue"))
	if TenantApprovalFile(t, id) != path {
		return "", "", false
	}
	return t, id, true
}

// Whose word a policy asks for, beside the operator's.
const (
	ByPartner = "partner"
	BySite    = "site"
)

// TenantApprovers are the persons whose word counts for a tenant under this
// commit's policy: a site's own, where its policy asks for the site's and it
// names any, else the partner's. Direct customers have no partner but the
// operator, whose approvers stand in where tenants/direct/partner.cue names none.
func (r *Repository) TenantApprovers(id TenantID) []Person {
	t := r.Tenants[id]
	if t.Policy.Approval == BySite && len(t.Approvers) > 0 {
		return t.Approvers
	}
	if list := r.Partners[id.Partner()].Approvers; len(list) > 0 || id.Partner() != "direct" {
		return list
	}
	var out []Person
	for _, persons := range r.Operator.Approvers {
		out = append(out, persons...)
	}
	slices.SortFunc(out, func(a, b Person) int { return strings.Compare(a.Login, b.Login) })
	return out
}

// A Rejection is a merged "no": to a gate of a cycle, or of a tenant to the
// cycle.
type Rejection struct {
	Cycle   CycleID  `json:"cycle"`
	Gate    string   `json:"gate,omitempty"`
	Tenant  TenantID `json:"tenant,omitempty"`
	Because string   `json:"because,omitempty"`
}
