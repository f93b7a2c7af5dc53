package rollout

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// exposes is a plan of one wave: a row for each tenant.
func exposes(devices ...int) fleet.Plan {
	var p fleet.Plan
	for i, n := range devices {
		id := fleet.TenantID([]string{"a/a", "b/b", "c/c", "d/d"}[i])
		p.Rows = append(p.Rows, fleet.PlanRow{Tenant: id, Package: "p/one", Devices: n}, fleet.PlanRow{Tenant: id, Package: "p/two", Devices: n - 1})
	}
	return p
}

func TestApproversNeeded(t *testing.T) {
	limit := func(n int) *int { return &n }
	merge := func(devices, tenants *int, approvers int) *fleet.Exposure {
		return &fleet.Exposure{PerMerge: &fleet.Budget{Devices: devices, Tenants: tenants, Approvers: approvers}}
	}
	hour := func(devices, tenants *int, approvers int) *fleet.Exposure {
		return &fleet.Exposure{PerHour: &fleet.Budget{Devices: devices, Tenants: tenants, Approvers: approvers}}
	}
	both := merge(limit(10), nil, 2)
	both.PerHour = &fleet.Budget{Devices: limit(15), Approvers: 3}
	tests := []struct {
		name      string
		approvals int
		exposure  *fleet.Exposure
		plan      fleet.Plan
		recent    []fleet.Plan
		n         int
		why       string
	}{
		{"no budget", 1, nil, exposes(1_000_000), nil, 1, ""},
		{"nothing said of approvals", 0, nil, exposes(1), nil, 1, ""},
		{"at the limit of devices", 1, merge(limit(10), nil, 2), exposes(6, 4), nil, 1, ""},
		{"one device above", 1, merge(limit(10), nil, 2), exposes(6, 5), nil, 2, "this merge exposes 11 devices, more than 10"},
		{"at the limit of tenants", 1, merge(nil, limit(2), 2), exposes(600, 400), nil, 1, ""},
		{"one tenant above", 1, merge(nil, limit(2), 3), exposes(1, 1, 1), nil, 3, "this merge exposes 3 tenants, more than 2"},
		{"above both", 1, merge(limit(1), limit(1), 2), exposes(1, 1), nil, 2, "this merge exposes 2 devices, more than 1"},
		{"a limit of nothing", 1, merge(limit(0), nil, 2), exposes(1), nil, 2, "this merge exposes 1 devices, more than 0"},
		{"an empty plan", 1, merge(limit(0), limit(0), 2), fleet.Plan{}, nil, 1, ""},
		{"every merge takes more", 3, merge(limit(1), nil, 2), exposes(9), nil, 3, ""},
		{"alone in its hour", 1, hour(limit(10), nil, 2), exposes(10), nil, 1, ""},
		{"with another plan", 1, hour(limit(10), nil, 2), exposes(6), []fleet.Plan{exposes(5)}, 2, "what is merged within one hour exposes 11 devices, more than 10"},
		{"at the limit with another", 1, hour(limit(10), nil, 2), exposes(5), []fleet.Plan{exposes(5)}, 1, ""},
		{"the same tenant twice is one", 1, hour(nil, limit(2), 2), exposes(1, 1), []fleet.Plan{exposes(1)}, 1, ""},
		{"two plans of other tenants", 1, hour(nil, limit(2), 2), exposes(1), []fleet.Plan{exposes(1, 1, 1)}, 2, "what is merged within one hour exposes 3 tenants, more than 2"},
		{"the greater number wins", 1, both, exposes(11), []fleet.Plan{exposes(5)}, 3, "what is merged within one hour exposes 16 devices, more than 15"},
		{"the merge's number alone", 1, both, exposes(11), []fleet.Plan{exposes(4)}, 2, "this merge exposes 11 devices, more than 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var recent [][]fleet.PlanRow
			for _, p := range tt.recent {
				recent = append(recent, p.Rows)
			}
			n, why := ApproversNeeded(fleet.Trust{Approvals: tt.approvals, Exposure: tt.exposure}, tt.plan, recent)
			if n != tt.n || why != tt.why {
				t.Errorf("got %d, %q; want %d, %q", n, why, tt.n, tt.why)
			}
		})
	}
}

// TestRecentlyExposed looks one hour back, at other gates, and not at closings
// or refusals of the gate. A tenant that says no in the same merge takes nothing
// from what the merge exposes elsewhere.
func TestRecentlyExposed(t *testing.T) {
	at := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	rec := &fleet.Record{PlanRows: map[fleet.Digest][]fleet.PlanRow{"p1": exposes(1).Rows, "p2": exposes(2).Rows, "p3": exposes(3).Rows, "p4": exposes(4).Rows}}
	rec.Merges = []fleet.Merge{
		{Approves: "2026-W46/everyone", Plan: "p1", At: at.Add(-time.Hour)},           // an hour ago: over
		{Approves: "2026-W47-cve-01/dogfood", Plan: "p2", At: at.Add(-time.Hour + 1)}, // just within
		{Approves: "2026-W46/close", Plan: "p1", At: at.Add(-time.Minute)},            // exposes nothing
		{Approves: "2026-W47/dogfood", Plan: "p3", At: at.Add(-time.Minute)},          // the gate itself
		{Title: "a release", At: at.Add(-time.Minute)},                                // approves nothing
		{Approves: "2026-W47/everyone", Plan: "p3", At: at.Add(time.Second)},          // later
		{Approves: "2026-W48/pilot", Plan: "p3", At: at, Rejects: []fleet.Rejection{{Cycle: "2026-W48", Gate: "pilot", Because: "no"}}},
		{Approves: "2026-W48/dogfood", Plan: "p4", At: at, Rejects: []fleet.Rejection{{Cycle: "2026-W48", Tenant: "us/own", Because: "no"}}},
		{Approves: "2026-W47-oob-01/dogfood", Plan: "unknown", At: at.Add(-2 * time.Minute)}, // rows not recorded
	}
	got := RecentlyExposed(rec, "2026-W47", "dogfood", at)
	if len(got) != 2 || got[0][0].Devices != 2 || got[1][0].Devices != 4 {
		t.Errorf("got %+v", got)
	}
}

// TestExposureOf judges an approval by the hour in which it was merged, and one
// that is not merged by the last hour there is.
func TestExposureOf(t *testing.T) {
	at := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	limit := 5
	file := fleet.ApprovalFile("2026-W47", "dogfood")
	f := Facts{
		Repo: &fleet.Repository{
			Operator:  fleet.Operator{Trust: fleet.Trust{Approvals: 1, Exposure: &fleet.Exposure{PerHour: &fleet.Budget{Devices: &limit, Approvers: 2}}}},
			Approvals: map[fleet.CycleID]map[string]fleet.Approval{"2026-W47": {"dogfood": {Plan: "own"}}},
			Blobs:     map[string]string{file: "blob"},
		},
		Record: &fleet.Record{
			PlanRows: map[fleet.Digest][]fleet.PlanRow{"own": exposes(3).Rows, "other": exposes(3).Rows},
			Merges: []fleet.Merge{
				{Approves: "2026-W46/everyone", Plan: "other", At: at},
				{Approves: "2026-W47/dogfood", Plan: "own", ApprovalBlobs: map[string]string{file: "blob"}, At: at.Add(30 * time.Minute)},
			},
		},
	}
	if n, why := exposureOf(f, "2026-W47", "dogfood"); n != 2 || why != "what is merged within one hour exposes 6 devices, more than 5" {
		t.Errorf("within the hour: %d, %q", n, why)
	}
	f.Record.Merges[1].At = at.Add(time.Hour)
	if n, _ := exposureOf(f, "2026-W47", "dogfood"); n != 1 {
		t.Errorf("an hour later: %d", n)
	}
	f.Record.Merges = f.Record.Merges[:1]
	if n, _ := exposureOf(f, "2026-W47", "dogfood"); n != 2 {
		t.Errorf("not merged: %d", n)
	}
	f.Plans = map[fleet.CycleID]map[string]fleet.Plan{"2026-W47": {"dogfood": exposes(2)}}
	if n, _ := exposureOf(f, "2026-W47", "dogfood"); n != 1 {
		t.Errorf("by the plan as it is recomputed: %d", n)
	}
	if n, why := exposureOf(f, "2026-W47", CloseGate); n != 1 || why != "" {
		t.Errorf("closing: %d, %q", n, why)
	}
}
