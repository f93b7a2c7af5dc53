package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestBegun: an intent that two runners wrote began with the first of them; one
// that only borrows the id did not.
func TestBegun(t *testing.T) {
	i := fleet.Intent{ID: "x", Cycle: w47, Wave: "everyone", Tenant: berg, Package: tool, Artifact: artifact(tool, "2.0"), Action: "assign", Generation: 1, At: deployAt}
	twin, borrowed := i, i
	twin.At = deployAt.Add(-time.Second)
	borrowed.At, borrowed.Artifact = deployAt.Add(-time.Hour), artifact(tool, "1.0")
	for _, c := range []struct {
		list []fleet.Intent
		want time.Time
	}{
		{[]fleet.Intent{i}, deployAt},
		{[]fleet.Intent{twin, i}, twin.At},
		{[]fleet.Intent{i, twin}, twin.At},
		{[]fleet.Intent{borrowed, i}, deployAt},
	} {
		if got := rollout.HistoryOf(&fleet.Record{Intents: c.list}).Begun(i); !got.Equal(c.want) {
			t.Errorf("%+v: %s, want %s", c.list, got, c.want)
		}
	}
}
