package rollout

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TenantApproved reports whether a tenant takes a wave of a cycle as far as its partner
// or its site has a say in it, and if not, what its word is waited for or why it
// does not count.
func TenantApproved(f Facts, id fleet.CycleID, wave string, t fleet.TenantID, now time.Time) (ok bool, why string) {
	return tenantApproved(f, id, wave, t, now)
}
