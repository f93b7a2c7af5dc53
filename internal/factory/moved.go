package factory

import (
	"context"
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// slotStates are the slots of one package on a tenant as an effect found and
// left them. Nobody else changes them while its lease lasts, so that each is read
// once.
type slotStates map[string]fleet.AppState

// left is what a receipt says of the slots: "" of one that was changed without
// having been read, so that what was known of it counts no longer.
func (s slotStates) left(blind map[string]bool) map[string]string {
	out := map[string]string{}
	for slot, state := range s {
		out[slot] = rollout.SlotText(state)
	}
	for slot := range blind {
		out[slot] = ""
	}
	return out
}

// A movedSlotError says that somebody else changed packmill's own objects on a
// tenant since packmill last did. Nothing was changed.
type movedSlotError struct {
	slot, left, found string
}

func (e *movedSlotError) Error() string {
	return fmt.Sprintf("somebody has changed packmill's %s slot: it was left as %q, and is %q now", e.slot, e.left, e.found)
}

// unmoved refuses to go on where a slot is not what packmill left: people saw a
// plan of another tenant than this one. What stops a release and what takes one
// back are never kept waiting for that.
func (w onTenant) unmoved(ctx context.Context) error {
	left := w.c.history.Left(w.e.Slot(), w.e.Cycle)
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		was, known := left[slot]
		if !known {
			continue
		}
		state, err := w.console.Observe(ctx, w.e.Package, slot)
		if err != nil {
			return err
		}
		if found := rollout.SlotText(state); found != was {
			return &fleet.Error{Op: "factory.apply", Object: string(w.tenant.ID), Kind: fleet.Stalled, Err: &movedSlotError{slot, was, found},
				Hint: "put it back to go on with this cycle; the next cycle takes the tenant as it is"}
		}
	}
	return nil
}
