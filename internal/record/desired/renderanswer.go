package desired

import (
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// TenantApprovalFile is the file of a tenant's word on a cycle. It belongs at
// TenantApprovalPath.
func TenantApprovalFile(a fleet.TenantApproval) []byte {
	var b block
	b.text("cycle", string(a.Cycle))
	b.text("decision", a.Decision)
	plans := b.sub("plans")
	for _, gate := range slices.Sorted(maps.Keys(a.Plans)) {
		plans.text(gate, string(a.Plans[gate]))
	}
	b.text("validUntil", instant(a.ValidUntil))
	b.textIf("because", a.Because)
	var out strings.Builder
	out.WriteString("package tenants\n\nimport \"" + schema.ImportPath + "\"\n\n")
	b.write(&out, "", []string{"approvals", string(a.Cycle)}, "schema.#TenantApproval & ")
	return []byte(out.String())
}
