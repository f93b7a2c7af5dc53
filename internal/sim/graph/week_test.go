package graph_test

import (
	"maps"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestWeek drives a tenant through a rollout: stable everywhere, a candidate
// for one wave, then the candidate's release in stable.
func TestWeek(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	inventory := must[[]fleet.Device](t)(c.Inventory(t.Context()))
	if len(inventory) != 10 || inventory[0].Platform != "windows" || inventory[0].Attributes["department"] != "Finance" {
		t.Fatalf("inventory %+v", inventory)
	}
	state := publish(t, c, fleet.Stable, "24.08")
	if state.Version != "24.08" || state.Artifact != fleet.DigestOf([]byte("manifest 24.08")) {
		t.Fatalf("published %+v", state)
	}
	everyone := fleet.Target{Intent: "required", Group: "all devices", Notify: "hideAll"}
	assign(t, c, fleet.Stable, everyone)
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.08": 10}; !maps.Equal(got, want) {
		t.Fatalf("stable: %v, want %v", got, want)
	}

	// The candidate is armed on Sunday for Monday 14:00.
	group := must[string](t)(c.Group(t.Context(), "dogfood", ids(inventory[:4])))
	publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: group, Opens: monday, Deadline: monday.Add(24 * time.Hour), Notify: "showReboot"})
	assign(t, c, fleet.Stable, everyone, fleet.Target{Intent: "required", Group: group, Exclude: true})
	w.clock.Set(monday.Add(-time.Second))
	if got, want := states(t, c, fleet.Candidate), map[string]int{"pending 24.09": 4}; !maps.Equal(got, want) {
		t.Fatalf("armed: %v, want %v", got, want)
	}
	w.clock.Set(monday.Add(time.Hour))
	if got, want := states(t, c, fleet.Candidate), map[string]int{"installed 24.09": 4}; !maps.Equal(got, want) {
		t.Fatalf("candidate: %v, want %v", got, want)
	}
	// The four are excluded from it now; what they last said stays.
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.08": 10}; !maps.Equal(got, want) {
		t.Fatalf("stable beside it: %v, want %v", got, want)
	}

	// The last wave has passed: stable takes the release in place.
	before := state.ID
	if state = publish(t, c, fleet.Stable, "24.09"); state.ID != before || len(state.Targets) != 2 {
		t.Fatalf("stable is another object, or lost assignments: %+v", state)
	}
	assign(t, c, fleet.Stable, everyone)
	assign(t, c, fleet.Candidate)
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.09": 10}; !maps.Equal(got, want) {
		t.Fatalf("stable at the end: %v, want %v", got, want)
	}

	// The candidate's object is used again a week later. Until a device meets
	// the new release there, its row is last week's, in version and instant.
	unassigned := w.clock.Now().Add(-2 * time.Hour)
	w.clock.Set(monday.AddDate(0, 0, 7))
	publish(t, c, fleet.Candidate, "24.10")
	for _, s := range must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, fleet.Candidate)) {
		if s.State != "installed" || s.Version != "24.09" || s.At.After(unassigned) {
			t.Errorf("a row of last week: %+v", s)
		}
	}
	group = must[string](t)(c.Group(t.Context(), "dogfood", ids(inventory[3:5])))
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: group})
	assign(t, c, fleet.Stable, everyone, fleet.Target{Intent: "required", Group: group, Exclude: true})
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, c, fleet.Candidate), map[string]int{"installed 24.09": 3, "installed 24.10": 2}; !maps.Equal(got, want) {
		t.Fatalf("candidate a week later: %v, want %v", got, want)
	}
}
