package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Acknowledged is what a tenant's people said of a write that nothing explains, ""
// where they said nothing. What packmill's own application wrote is acknowledged by
// its event alone: whoever has the credential must not do so unseen for a while.
func Acknowledged(t fleet.Tenant, f fleet.ConsoleFinding) string {
	for _, name := range slices.Sorted(maps.Keys(t.Acknowledged)) {
		a := t.Acknowledged[name]
		within := f.Kind == fleet.WriteForeign && a.From != nil && a.Until != nil && !f.At.Before(*a.From) && !f.At.After(*a.Until)
		if f.Event != "" && slices.Contains(a.Events, f.Event) || within && f.Object != "" && slices.Contains(a.Objects, f.Object) {
			return fmt.Sprintf("%s: %s (%s)", name, a.Reason, a.By)
		}
	}
	return ""
}
