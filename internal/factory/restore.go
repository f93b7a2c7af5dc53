package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// restore brings what both slots hold into them once more, over what people changed
// of it. Who they are assigned to stays as it is, and a slot that holds no release
// whole is the next release's.
func (w onTenant) restore(ctx context.Context) error {
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		state, err := w.console.Observe(ctx, w.e.Package, slot)
		if err != nil {
			return err
		}
		built := rollout.BuiltOf(w.facts.Record, w.e.Package, state.Version)
		if state.ID == "" || built == nil || built.Artifact != state.Artifact {
			continue
		}
		w.intent.Generation = state.Generation // it is the same release, put there then
		w.back = true                          // and takes the place of no more than it does
		if _, err := w.publish(ctx, slot, fleet.Entry{Release: state.Version, Artifact: state.Artifact}); err != nil {
			return err
		}
	}
	return nil
}
