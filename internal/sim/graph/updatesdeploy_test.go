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

// TestAutomaticApproval has a policy of the tenant's people approve by itself what it says, days after
// its release.
func TestAutomaticApproval(t *testing.T) {
	w := patchWorld(t, nil)
	apps := w.client(nordic)
	all := ids(must[[]fleet.Device](t)(apps.Inventory(t.Context())))
	group := must[string](t)(apps.Group(t.Context(), "pilot", all[:2]))
	const path = "/beta/deviceManagement/windowsQualityUpdatePolicies"
	policy := w.do(http.MethodPost, path, map[string]any{"displayName": "monthly", "hotpatchEnabled": false, "approvalSettings": []any{map[string]any{
		"windowsQualityUpdateCadence": "monthly", "windowsQualityUpdateCategory": "security", "approvalMethodType": "automatic", "deferredDeploymentInDay": 12,
	}}})
	w.assignTo(path+"/"+policy["id"].(string), group)
	w.clock.Set(november.Released.AddDate(0, 0, 12))
	if got := builds(t, apps, all); got["10.0.22631"] != 10 {
		t.Errorf("before it was approved: %v", got)
	}
	w.pass(10 * time.Hour)
	if got := builds(t, apps, all); got["10.0.22631.6199"] != 2 {
		t.Errorf("approved: %v", got)
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
