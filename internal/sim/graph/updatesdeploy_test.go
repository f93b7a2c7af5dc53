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

const day = fleet.Duration(24 * time.Hour)

// entryOf is the catalog entry that a name begins with.
func (w *world) entryOf(name string) string {
	w.t.Helper()
	for _, e := range w.get("/beta/admin/windows/updates/catalog/entries")["value"].([]any) {
		if e := e.(map[string]any); strings.HasPrefix(e["displayName"].(string), name) {
			return e["id"].(string)
		}
	}
	w.t.Fatalf("the catalog has no %s", name)
	return ""
}

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

// TestGradualRollout offers a feature update to two devices a day, and ends there
// when it is paused.
func TestGradualRollout(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	audience := must[string](t)(c.NewAudience(t.Context()))
	ok(t, c.SetAudience(t.Context(), audience, updates.Audience{Members: all, Exclusions: all[:2]}))
	d := updates.Deployment{Audience: audience, Entry: w.entryOf("Windows 11, version 24H2"), Feature: true, Start: w.clock.Now().Add(24 * time.Hour), PerOffer: 2, Every: day}
	if s := must[updates.DeploymentState](t)(c.Deploy(t.Context(), d)); s.Effective != "scheduled" {
		t.Errorf("%+v", s)
	}
	counts := []int{}
	for range 6 {
		w.pass(24 * time.Hour)
		counts = append(counts, builds(t, apps, all)["10.0.26100.1742"])
	}
	if counts[0] != 0 || !slices.IsSorted(counts) || counts[2] > 4 || counts[5] < 6 || counts[5] > 8 {
		t.Errorf("devices day by day: %v", counts)
	}
	if got := builds(t, apps, all[:2]); got["10.0.22631"] != 2 {
		t.Errorf("left out: %v", got)
	}
	if s := must[updates.DeploymentState](t)(c.Deploy(t.Context(), d)); s.Effective != "offering" || w.count("deploy") != 1 || w.count("deployment.none") != 0 {
		t.Errorf("the same again: %+v", s)
	}
	ok(t, c.SetState(t.Context(), audience, updates.StatePaused))
	if list := must[[]updates.DeploymentState](t)(c.Deployments(t.Context(), audience)); len(list) != 1 || list[0].Effective != "paused" || list[0].Reasons[0] != "pausedByRequest" {
		t.Errorf("%+v", list)
	}
	ok(t, c.SetState(t.Context(), audience, updates.StateNone))
	w.pass(10 * 24 * time.Hour)
	if got := builds(t, apps, all[2:])["10.0.26100.1742"]; got != 8 {
		t.Errorf("at the end %d devices", got)
	}
	got := must[updates.Audience](t)(c.Audience(t.Context(), audience))
	if len(got.Members) != 10 || len(got.Exclusions) != 2 {
		t.Errorf("audience %+v", got)
	}
	ok(t, c.RemoveAudience(t.Context(), audience))
}

// TestMonitoringRule has the service stop what makes devices go back.
func TestMonitoringRule(t *testing.T) {
	w := patchWorld(t, func(o *graph.Options) {
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(40)}}
		o.Updates.Rollback = func(string) float64 { return 0.5 }
	})
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	audience := must[string](t)(c.NewAudience(t.Context()))
	ok(t, c.SetAudience(t.Context(), audience, updates.Audience{Members: all}))
	must[updates.DeploymentState](t)(c.Deploy(t.Context(), updates.Deployment{
		Audience: audience, Entry: w.entryOf("Windows 11, version 24H2"), Feature: true, PerOffer: 4, Every: day,
		Rules: []updates.Rule{{Signal: "rollback", Threshold: 10, Action: "pauseDeployment"}},
	}))
	w.pass(30 * 24 * time.Hour)
	list := must[[]updates.DeploymentState](t)(c.Deployments(t.Context(), audience))
	if len(list) != 1 || list[0].Effective != "paused" || !slices.Equal(list[0].Reasons, []string{"pausedByMonitoring"}) {
		t.Fatalf("%+v", list)
	}
	if got := builds(t, apps, all)["10.0.26100.1742"]; got == 0 || got > 15 {
		t.Errorf("%d of 40 devices have it", got)
	}
}

// TestExpeditedDeployment replaces what is deployed to an audience.
func TestExpeditedDeployment(t *testing.T) {
	w := patchWorld(t, nil)
	apps, c := w.client(nordic), w.updates(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	audience := must[string](t)(c.NewAudience(t.Context()))
	ok(t, c.SetAudience(t.Context(), audience, updates.Audience{Members: all[:3]}))
	must[updates.DeploymentState](t)(c.Deploy(t.Context(), updates.Deployment{Audience: audience, Entry: w.entryOf("Windows 11"), Feature: true, Start: w.clock.Now().Add(100 * time.Hour)}))
	d := updates.Deployment{Audience: audience, Entry: w.entryOf("2026.11"), Expedite: true, RebootDays: 1}
	must[updates.DeploymentState](t)(c.Deploy(t.Context(), d))
	list := must[[]updates.DeploymentState](t)(c.Deployments(t.Context(), audience))
	states := []string{}
	for _, s := range list {
		states = append(states, s.Effective)
	}
	slices.Sort(states)
	if !slices.Equal(states, []string{"archived", "offering"}) {
		t.Errorf("%v", states)
	}
	w.pass(12 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631.6199"] != 3 {
		t.Errorf("%v", got)
	}
	// Others' deployments stay theirs.
	foreign := must[string](t)(c.NewAudience(t.Context()))
	if list := must[[]updates.DeploymentState](t)(c.Deployments(t.Context(), foreign)); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	// Making an audience smaller takes those out who have not installed.
	ok(t, c.SetAudience(t.Context(), audience, updates.Audience{Members: all[1:2]}))
	if got := must[updates.Audience](t)(c.Audience(t.Context(), audience)); !slices.Equal(got.Members, all[1:2]) {
		t.Errorf("%+v", got)
	}
}

// TestContentApprovals approves drivers for an audience, and takes them back.
func TestContentApprovals(t *testing.T) {
	w := patchWorld(t, nil)
	c := w.updates(nordic)
	audience := must[string](t)(c.NewAudience(t.Context()))
	policy := must[string](t)(c.EnsurePolicy(t.Context(), audience))
	if again := must[string](t)(c.EnsurePolicy(t.Context(), audience)); again != policy {
		t.Errorf("policies %s, %s", policy, again)
	}
	group := must[string](t)(w.client(nordic).Group(t.Context(), "pilot", ids(must[[]fleet.Device](t)(w.client(nordic).Inventory(t.Context())))))
	key := updates.Key{Package: driverID, Part: fleet.Stable}
	must[string](t)(c.EnsureProfile(t.Context(), key, updates.Drivers{Name: "look"}))
	ok(t, c.AssignProfile(t.Context(), key, updates.Drivers{}, to(group)))
	w.pass(25 * time.Hour)
	entry := must[[]updates.Driver](t)(c.Drivers(t.Context(), key))[0].ID
	for range 2 {
		ok(t, c.ApproveContent(t.Context(), policy, entry, monday.AddDate(0, 0, 3)))
	}
	for range 2 {
		ok(t, c.RevokeContent(t.Context(), policy, entry))
	}
	list := must[[]updates.ContentApproval](t)(c.Approvals(t.Context(), policy))
	if len(list) != 1 || !list[0].Revoked || list[0].Entry != entry {
		t.Errorf("%+v", list)
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
