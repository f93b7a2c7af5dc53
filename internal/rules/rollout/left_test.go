package rollout_test

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestSlotTextTellsReach: a slot is another one once its filter or the time that a
// restart can be put off is another.
func TestSlotTextTellsReach(t *testing.T) {
	text := func(target fleet.Target) string {
		target.Intent, target.Group = "required", rollout.AllDevices
		return rollout.SlotText(fleet.AppState{Version: "1.0", Artifact: fleet.DigestOf([]byte("1.0")), Targets: []fleet.Target{target}})
	}
	seen := map[string]fleet.Target{}
	for _, target := range []fleet.Target{
		{}, {Filter: "kiosks"}, {Filter: "kiosks", Unfiltered: true}, {Filter: "others"},
		{Restart: fleet.Restart{Grace: 60, Countdown: 15}}, {Restart: fleet.Restart{Grace: 90, Countdown: 15}}, {Restart: fleet.Restart{Grace: 60, Countdown: 15, Snooze: 5}},
		{Filter: "kiosks", Restart: fleet.Restart{Grace: 60, Countdown: 15}},
	} {
		got := text(target)
		if other, known := seen[got]; known {
			t.Errorf("%+v is told like %+v: %s", target, other, got)
		}
		seen[got] = target
	}
	if a, b := text(fleet.Target{Notify: "hideAll"}), text(fleet.Target{}); a != b {
		t.Errorf("%q, and %q", a, b)
	}
}
