package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestGroupName follows a wave through overlapping cycles: none moves the group of
// another that is in use, whichever of them is closed meanwhile.
func TestGroupName(t *testing.T) {
	const tenant = fleet.TenantID("nordic/aurora")
	at := func(day int) time.Time { return time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC) }
	repo := &fleet.Repository{Approvals: map[fleet.CycleID]map[string]fleet.Approval{}}
	rec := &fleet.Record{}
	start := func(id fleet.CycleID, day int, devices ...string) fleet.Membership {
		m := fleet.Membership{Cycle: id, Wave: "pilot", Tenant: tenant, Devices: devices}
		rec.Members = append(rec.Members, m, fleet.Membership{Cycle: id, Wave: "pilot", Tenant: "nordic/other", Devices: []string{string(id)}},
			fleet.Membership{Cycle: id, Wave: "broad", Tenant: tenant, Devices: []string{string(id)}})
		rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: id, Wave: "pilot", At: at(day)})
		return m
	}
	closing := func(id fleet.CycleID, day int, approved string) {
		repo.Approvals[id] = map[string]fleet.Approval{"close": {Decision: approved}}
		rec.Merges = append(rec.Merges, fleet.Merge{Approves: string(id) + "/close", At: at(day)})
	}
	alone := start("2026-W45", 2, "a", "b")
	closing("2026-W45", 5, "approved")
	first := start("2026-W46", 9, "a", "b")
	same := start("2026-W47", 16, "b", "a")
	other := start("2026-W48", 17, "a", "c")
	fix := start("2026-W48-security", 17, "a", "b")
	check := func(when string) {
		t.Helper()
		for _, tt := range []struct {
			m    fleet.Membership
			want string
		}{{alone, "pilot"}, {first, "pilot"}, {same, "pilot"}, {other, "pilot 2026-W48"}, {fix, "pilot 2026-W48-security"}} {
			if got := rollout.GroupName(repo, rec, tt.m); got != tt.want {
				t.Errorf("%s: %s is %q, want %q", when, tt.m.Cycle, got, tt.want)
			}
		}
	}
	check("all open")
	closing("2026-W46", 20, "approved")
	closing("2026-W47", 20, "approved")
	check("the first two closed")
	closing("2026-W48", 21, "rejected")
	closing("2026-W48-security", 21, "approved")
	check("one of the others closed")
	if got := rollout.GroupName(repo, rec, start("2026-W49", 23, "c", "d")); got != "pilot 2026-W49" {
		t.Errorf("a closing that was refused: %q", got)
	}
	repo.Approvals["2026-W48"]["close"] = fleet.Approval{Decision: "approved"}
	rec.Starts = rec.Starts[:len(rec.Starts)-1]
	rec.Members = rec.Members[:len(rec.Members)-3]
	if got := rollout.GroupName(repo, rec, start("2026-W49", 23, "c", "d")); got != "pilot" {
		t.Errorf("after all of them: %q", got)
	}
	if got := rollout.GroupName(repo, rec, fleet.Membership{Cycle: "2026-W50", Wave: "pilot", Tenant: tenant}); got != "pilot" {
		t.Errorf("not started: %q", got)
	}
}
