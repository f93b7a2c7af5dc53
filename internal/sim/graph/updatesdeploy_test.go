package graph_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestCatalog reads what a patch fixes.
func TestCatalog(t *testing.T) {
	w := patchWorld(t, func(o *graph.Options) { o.PageSize = 1 })
	list := must[[]updates.Update](t)(w.updates(nordic).Updates(t.Context(), monday.AddDate(0, 0, -20)))
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	u := list[0]
	if u.Short != "2026.11 B" || u.Severity != "critical" || u.Score != 9.8 || !slices.Equal(u.Exploited, []string{"CVE-2026-0001", "CVE-2026-0002"}) || !u.Expeditable {
		t.Errorf("%+v", u)
	}
	if want := (updates.Build{Product: "Windows 11", Version: "24H2", Build: "26100.7171", KB: "KB5068861"}); len(u.Builds) != 2 || u.Builds[1] != want {
		t.Errorf("builds %+v", u.Builds)
	}
	if all := must[[]updates.Update](t)(w.updates(nordic).Updates(t.Context(), time.Time{})); len(all) != 2 || all[1].Severity != "" {
		t.Errorf("feature updates are no quality updates: %+v", all)
	}
	issues := must[[]updates.Issue](t)(w.updates(nordic).Issues(t.Context(), monday.AddDate(0, 0, -30)))
	if len(issues) != 1 || issues[0].ID != "WI1" || issues[0].KB != "KB5068861" {
		t.Errorf("issues %+v", issues)
	}
}

// TestProfiles ensures each kind of profile, changes it, and removes it.
func TestProfiles(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:2]))
	key := updates.Key{Part: "policy"}
	for name, tt := range map[string]struct{ first, then updates.Spec }{
		"qualityProfile": {updates.Expedite{Name: "fast", Release: november.Released, RebootDays: 1}, updates.Expedite{Name: "fast", Release: november.Released, RebootDays: 2}},
		"qualityPolicy": {updates.Quality{Name: "q", Hotpatch: true}, updates.Quality{Name: "q", Approvals: []updates.Approval{
			{Cadence: "monthly", Category: "security", Automatic: true, DeferDays: 3}, {Cadence: "outOfBand", Category: "all"}}}},
		"featureProfile": {updates.Feature{Name: "f", Version: "Windows 11, version 24H2"}, updates.Feature{Name: "f", Version: "Windows 11, version 24H2",
			Rollout: &updates.Rollout{Start: monday, End: monday.AddDate(0, 0, 9), EveryDays: 3}}},
		"driverProfile": {updates.Drivers{Name: "d", Automatic: true, DeferDays: 1}, updates.Drivers{Name: "d", Automatic: true, DeferDays: 7}},
	} {
		id := must[string](t)(c.EnsureProfile(t.Context(), key, tt.first))
		if again := must[string](t)(w.updates(nordic).EnsureProfile(t.Context(), key, tt.first)); again != id || w.count(name+".create") != 1 || w.count(name+".change") != 1 {
			t.Errorf("%s: %s, then %s", name, id, again)
		}
		ok(t, c.AssignProfile(t.Context(), key, tt.first, to(group)))
		state, found, err := c.ReadProfile(t.Context(), key, tt.first)
		if err != nil || !found || state.ID != id || len(state.Targets) != 1 || state.Targets[0].Group != group || state.Foreign != 0 {
			t.Errorf("%s: %+v, %v", name, state, err)
		}
		changes := w.count(name + ".change")
		if again := must[string](t)(c.EnsureProfile(t.Context(), key, tt.then)); again != id || w.count(name+".change") != changes+1 {
			t.Errorf("%s was not changed in place", name)
		}
		ok(t, c.AssignProfile(t.Context(), key, tt.then, nil))
		ok(t, c.RemoveProfile(t.Context(), key, tt.then))
		ok(t, c.RemoveProfile(t.Context(), key, tt.then))
		if _, found, err := c.ReadProfile(t.Context(), key, tt.then); found || err != nil {
			t.Errorf("%s is there after its removal: %v", name, err)
		}
		if w.count(name+".remove") != 1 {
			t.Errorf("%s was removed %d times", name, w.count(name+".remove"))
		}
	}
}

// TestAutomaticApproval has a policy approve by itself what it says, days after
// its release.
func TestAutomaticApproval(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:2]))
	key := updates.Key{Part: "monthly"}
	spec := updates.Quality{Name: "monthly", Approvals: []updates.Approval{{Cadence: "monthly", Category: "security", Automatic: true, DeferDays: 12}}}
	must[string](t)(c.EnsureProfile(t.Context(), key, spec))
	ok(t, c.AssignProfile(t.Context(), key, spec, to(group)))
	w.clock.Set(november.Released.AddDate(0, 0, 12))
	if got := builds(t, apps, all); got["10.0.22631"] != 10 {
		t.Errorf("before it was approved: %v", got)
	}
	w.pass(10 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631.6199"] != 2 {
		t.Errorf("approved: %v", got)
	}
}

// TestExpediteProfile has a group take a patch at once.
func TestExpediteProfile(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:2]))
	key, spec := updates.Key{Package: patchID, Part: fleet.Candidate}, updates.Expedite{Name: "fast", Release: november.Released}
	must[string](t)(c.EnsureProfile(t.Context(), key, spec))
	ok(t, c.AssignProfile(t.Context(), key, spec, to(group)))
	w.pass(12 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631.6199"] != 2 {
		t.Errorf("%v", got)
	}
	if _, err := c.EnsureProfile(t.Context(), updates.Key{Part: "x"}, updates.Expedite{Name: "fast", Release: monday}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a release that nobody has: %v", err)
	}
}

// TestUpdatesForbidden says which permission is lacking.
func TestUpdatesForbidden(t *testing.T) {
	w := patchWorld(t, func(o *graph.Options) {
		o.Fault = func(c graph.Call) graph.Fault {
			if c.Operation == "entry.list" {
				return graph.Fault{Status: http.StatusForbidden}
			}
			return graph.Fault{}
		}
	})
	_, err := w.updates(nordic).Updates(t.Context(), time.Time{})
	var known *fleet.Error
	if !errors.As(err, &known) || known.Kind != fleet.Refused || !strings.Contains(known.Hint, "WindowsUpdates.ReadWrite.All") {
		t.Errorf("%v", err)
	}
}
