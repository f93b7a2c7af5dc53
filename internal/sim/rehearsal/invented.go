package rehearsal

import (
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Size is how large an invented fleet is.
type Size struct {
	Tenants, Packages int
	Devices           int // together; spread evenly, the operator's own tenant has a tenth more
}

// Invented is a fleet from nothing, on the eve of a cut-off (Tuesday 17
// November 2026): a release of every package is merged, and nothing was built.
// The same size gives the same fleet. Measurements and tests of invariants
// start from it.
func Invented(size Size) Input {
	now := time.Date(2026, 11, 17, 12, 0, 0, 0, time.UTC)
	repo := inventedRepo()
	rec := &fleet.Record{Heads: map[string]string{"evidence/control": "h0"}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	assigned := map[fleet.PackageID][]fleet.Assignment{}
	for p := range size.Packages {
		id := fleet.PackageID(fmt.Sprintf("vendor%02d/app%03d", p%20, p))
		repo.Packages[id] = fleet.Package{
			ID: id, Name: fmt.Sprintf("App %03d", p), Kind: "application", Rollback: "previous",
			Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}},
			Releases:   map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor"}},
		}
		repo.Blobs[id.Dir()+"/package.cue"], repo.Blobs[id.Dir()+"/2.0.cue"] = fmt.Sprint("p", p), fmt.Sprint("r", p)
		assigned[id] = []fleet.Assignment{{Intent: "required", Group: "all devices"}}
	}
	for n := range size.Tenants {
		id, role := fleet.TenantID(fmt.Sprintf("partner%02d/tenant%04d", n%10, n)), "customer"
		if n == 0 {
			id, role = "direct/own", "own"
		}
		repo.Tenants[id] = fleet.Tenant{
			ID: id, Name: string(id), Zone: "Europe/Helsinki", Labels: map[string]string{"role": role}, Intune: &fleet.Intune{}, Packages: assigned,
			Policy: fleet.Policy{MaxFailuresPercent: 5},
		}
		repo.Blobs[id.Dir()+"/tenant.cue"] = fmt.Sprint("t", n)
		devices := size.Devices / size.Tenants
		if n == 0 {
			devices += devices/10 + size.Devices%size.Tenants
		}
		for d := range devices {
			rec.Inventory = append(rec.Inventory, fleet.InventoryRow{
				Tenant: id, Device: fmt.Sprintf("%06x%06x", n, d), Platform: "windows", OSBuild: "10.0.26100", LastSeen: now.Format(time.DateOnly), At: now,
			})
		}
	}
	return Input{
		Now: now, Facts: rollout.Facts{Repo: repo, Record: rec},
		Then: func(map[string]string) (*fleet.Record, error) { return rec, nil },
	}
}

func inventedRepo() *fleet.Repository {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	gate := func(looks ...fleet.Duration) fleet.Gate {
		return fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 5, Silent: "excluded", Looks: looks, Inconclusive: "askHuman"}
	}
	repo := &fleet.Repository{
		Commit: "c0",
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"},
			"announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}, MinDevices: 1,
				Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Arm: hours(3), Soak: hours(24), Gate: gate(hours(6), hours(28))},
			{Name: "everyone", Order: 2, MinDevices: 1,
				Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Arm: hours(6), Soak: hours(24), Gate: gate(hours(24))},
		},
		Packages: map[fleet.PackageID]fleet.Package{}, Tenants: map[fleet.TenantID]fleet.Tenant{}, Partners: map[string]fleet.Partner{},
		Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{}, Cycles: map[fleet.CycleID]fleet.Cycle{},
		Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{}, Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
		Operator: fleet.Operator{
			Trust:     fleet.Trust{Approvals: 1},
			Approvers: map[string][]fleet.Person{"releases": {{Login: "ada", Name: "Ada", From: "2026-01-01"}, {Login: "bo", Name: "Bo", From: "2026-01-01"}}},
		},
		Blobs: map[string]string{"schedules/week.cue": "b1", "schedules/waves.cue": "b2", "tenants/operator.cue": "b3"},
	}
	for n := range 10 {
		name := fmt.Sprintf("partner%02d", n)
		repo.Partners[name] = fleet.Partner{Name: name, Language: "en", Channels: map[string]fleet.Channel{"customers": {Kind: "mail", To: "x@example.com", Visibility: "shared"}}}
	}
	return repo
}
