package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Who takes up an intent that has no receipt, and when.
func TestIntendClaims(t *testing.T) {
	begun := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		action, runner string
		after          time.Duration
		left, theirs   bool
	}{
		"its writer at once":            {"assign", "a", 0, true, false},
		"another waits":                 {"assign", "b", 0, true, true},
		"another waits to the end":      {"promote", "b", rollout.Claim - time.Second, true, true},
		"and takes over then":           {"assign", "b", rollout.Claim, true, false},
		"nobody does after the lease":   {"assign", "b", rollout.Lease + time.Second, false, false},
		"a way back is its writer's":    {"rollback", "b", time.Minute, true, true},
		"a withdrawal waits for nobody": {"withdraw", "b", 0, true, false},
		"one without a name is another": {"assign", "", 0, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := rollout.Effect{Action: c.action, Cycle: "2026-W47", Wave: "everyone", Tenant: "p/t", Package: "acme/hello",
				Entry: fleet.Entry{Release: "1", Artifact: "sha256:00"}}
			none := rollout.HistoryOf(&fleet.Record{})
			written, fresh, _ := none.Intend([]rollout.Effect{e}, "a", "main", begun)
			if len(fresh) != 1 || fresh[0].Runner != "a" || !written[0].First() {
				t.Fatalf("written: %+v", written)
			}
			h := rollout.HistoryOf(&fleet.Record{Intents: fresh})
			all, _, _ := h.Intend([]rollout.Effect{e}, c.runner, "main", begun.Add(c.after))
			if got := all[0]; got.Left != c.left || got.Theirs != c.theirs || (got.ID == fresh[0].ID) != c.left {
				t.Errorf("left %t, theirs %t, generation %d; want %t, %t", got.Left, got.Theirs, got.Generation, c.left, c.theirs)
			}
			if all[0].First() {
				t.Error("what was tried before is the first")
			}
		})
	}
}
