package rollout

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
)

// An Outcome is one action that a run carried out, and what came of it.
type Outcome struct {
	Action
	Note string `json:"note"`            // for people, one line
	Err  string `json:"error,omitempty"` // empty when it succeeded
}

// Batch takes from the head of the actions those that can be done together:
// all of the first one's kind, cycle and wave. What was tried in this run, and
// what the run may not do, is left out; what is taken is noted as tried.
func Batch(actions []Action, tried map[string]bool, allowed func(Action) bool) []Action {
	var out []Action
	for _, a := range actions {
		if len(out) > 0 && (!together(a.Kind) || a.Kind != out[0].Kind || a.Cycle != out[0].Cycle || a.Wave != out[0].Wave) {
			continue
		}
		if tried[Key(a)] || !allowed(a) {
			continue
		}
		tried[Key(a)] = true
		out = append(out, a)
	}
	return out
}

// together reports whether actions of a kind are written to evidence together:
// by shard, and merges as one chain.
func together(kind string) bool {
	switch kind {
	case RecordMerge, Build, Test, TakeInventory, Deploy, Withdraw, RollBack, Promote, Uninstall, Reinstate, Remove, Restore:
		return true
	}
	return false
}

// Key names an action within a run: what two askings of the same facts have in
// common.
func Key(a Action) string {
	return fleet.DeriveID(a.Kind, string(a.Cycle), a.Wave, string(a.Tenant), a.Partner, fmt.Sprint(a.Packages), a.Version, a.Look.String(), a.Commit)
}
