package proof

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// wednesday is noon of a Wednesday, before the cut-off.
var wednesday = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

func hour(n float64) fleet.Duration { return fleet.Duration(n * float64(time.Hour)) }

func ptr[T any](v T) *T { return &v }

// world is a repository whose lane for fixes takes 16 hours to the last wave:
// dogfood at 0, pilot at 4, everyone at 16 (pilot opens at 4 and bakes 12).
func world() *fleet.Repository {
	gate := fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 20, Silent: "excluded", Looks: []fleet.Duration{hour(6), hour(28)}, Inconclusive: "askHuman"}
	wave := func(name string, order int, after, bakes float64, s fleet.Select) fleet.Wave {
		return fleet.Wave{
			Name: name, Order: order, Select: s, MinDevices: 1, Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Soak: hour(24), Gate: gate, Advance: "merge",
			Lanes: map[string]fleet.LaneWave{"cve": {After: hour(after), Soak: hour(bakes), Looks: []fleet.Duration{hour(bakes)}}},
		}
	}
	r := &fleet.Repository{
		Waves: []fleet.Wave{
			wave("dogfood", 1, 0, 4, fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}),
			wave("pilot", 2, 4, 12, fleet.Select{Percent: ptr(5.0)}),
			wave("everyone", 3, 8, 12, fleet.Select{}),
		},
		Week: fleet.Week{Zone: "UTC", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Freezes: map[string]fleet.Freeze{},
		Tenants: map[fleet.TenantID]fleet.Tenant{},
	}
	for _, id := range []fleet.TenantID{"nordic/acme", "nordic/birch", "own/office"} {
		t := fleet.Tenant{ID: id, Zone: "UTC", Intune: &fleet.Intune{}, Policy: fleet.Policy{
			CriticalWithinHours: 72, Origins: map[string]fleet.Pos{"critical.withinHours": {File: "tenants/operator.cue", Line: 18, Col: 24}},
		}}
		if id == "own/office" {
			t.Labels = map[string]string{"role": "own"}
		}
		r.Tenants[id] = t
	}
	return r
}

func setTenant(r *fleet.Repository, id fleet.TenantID, edit func(t *fleet.Tenant)) {
	t := r.Tenants[id]
	edit(&t)
	r.Tenants[id] = t
}

func setWave(r *fleet.Repository, name string, edit func(w *fleet.Wave)) {
	for i := range r.Waves {
		if r.Waves[i].Name == name {
			edit(&r.Waves[i])
		}
	}
}

// only is the one finding that is expected.
func only(t *testing.T, found []Finding) Finding {
	t.Helper()
	if len(found) != 1 {
		t.Fatalf("%d findings: %+v", len(found), found)
	}
	return found[0]
}
