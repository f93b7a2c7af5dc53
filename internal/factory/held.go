package factory

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// reasonOf tells people of a tenant why a change is made there: the plan that was
// approved, by its digest, and what of it.
func reasonOf(e rollout.Effect) string {
	text := fmt.Sprintf("%s %s %s, cycle %s", e.Action, e.Package, e.Entry.Release, e.Cycle)
	if e.Wave != "" {
		text += ", wave " + e.Wave
	}
	if e.Plan != "" {
		text += ", plan " + string(e.Plan)
	}
	return text
}

// A heldError is a change that people of the tenant must approve before it is
// made: it waits for them, and the next run makes it.
type heldError struct {
	effect rollout.Effect
	err    error
}

func (h *heldError) Error() string { return h.err.Error() }

func (h *heldError) Unwrap() error { return h.err }

// heldIn are the waits of changes that were held, of all errors joined in err.
func heldIn(err error) []rollout.Wait {
	switch e := err.(type) {
	case nil:
		return nil
	case *heldError:
		return []rollout.Wait{{
			Cycle: e.effect.Cycle, Wave: e.effect.Wave, Tenants: []fleet.TenantID{e.effect.Tenant}, Packages: []fleet.PackageID{e.effect.Package},
			Kind: fleet.Stalled, Why: e.Error(),
		}}
	case interface{ Unwrap() []error }:
		var out []rollout.Wait
		for _, inner := range e.Unwrap() {
			out = append(out, heldIn(inner)...)
		}
		return out
	case interface{ Unwrap() error }:
		return heldIn(e.Unwrap())
	}
	return nil
}
