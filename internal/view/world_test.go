package view

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// The world of these tests is a week of three packages on four tenants: 7-Zip
// goes through, Notepad++ breaks in the first wave and is revoked, Git's source
// goes backwards.

const (
	week    fleet.CycleID   = "2026-W47"
	zip     fleet.PackageID = "igor-pavlov/7-zip"
	notepad fleet.PackageID = "notepad-plus-plus/notepad-plus-plus"
	policy  fleet.PackageID = "example-msp/browser-policy"
	gitWin  fleet.PackageID = "git-for-windows/git"
)

func day(d, hour int) time.Time { return time.Date(2026, 11, d, hour, 0, 0, 0, time.UTC) }

func digit(n int) fleet.Digest { return fleet.Digest(fmt.Sprintf("sha256:%064x", n)) }

func application(id fleet.PackageID, name, rollback string, versions ...string) fleet.Package {
	p := fleet.Package{
		ID: id, Name: name, Kind: "application", Rollback: rollback, Tests: fleet.Tests{Matrix: []string{"wine", "windows-11"}},
		Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64", Type: "msi"}},
		Releases:   map[string]fleet.Release{},
	}
	for i, v := range versions {
		published := day(10+i, 8)
		p.Releases[v] = fleet.Release{Counter: i + 1, Change: "minor", Published: &published, Installers: map[string]fleet.Download{"x64": {
			URL: "https://downloads.example/" + string(id) + "/" + v + ".msi", Size: int64(1_900_000 + i*40_000), SHA256: digit(len(id)*100 + i),
			Signer: fleet.SignedBy{Subject: "CN=" + name}, MSI: &fleet.MSIFacts{ProductCode: "{A}", ProductVersion: v + ".0.0"},
		}}}
	}
	return p
}

func testRepo() *fleet.Repository {
	zipPkg := application(zip, "7-Zip", "previous", "24.08", "24.09")
	fixed := zipPkg.Releases["24.09"]
	fixed.Change, fixed.Fixes = "security", []string{"CVE-2024-11477"}
	zipPkg.Releases["24.09"] = fixed
	r := &fleet.Repository{
		Commit: "9c1e5d0f00000000000000000000000000000000",
		Packages: map[fleet.PackageID]fleet.Package{
			zip:     zipPkg,
			notepad: application(notepad, "Notepad++", "uninstall", "8.7", "8.7.1"),
			policy: {ID: policy, Name: "Browser policy", Kind: "configuration", Rollback: "previous", Releases: map[string]fleet.Release{
				"3": {Counter: 1, Change: "new", Files: map[string]fleet.Digest{"files/set.ps1": digit(71)}},
			}},
			gitWin: application(gitWin, "Git", "previous", "2.47.1"),
		},
		Publishers: map[string]fleet.Publisher{
			"igor-pavlov": {Name: "Igor Pavlov", Hosts: []string{"downloads.example"}, Unsigned: "accepted"},
		},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Opens: fleet.Opens{Step: "dogfood"}, Soak: fleet.Duration(24 * time.Hour), Advance: "merge",
				Gate: fleet.Gate{Success: 98, Error: 2, Confidence: 0.9, MinReports: 20, Silent: "excluded", Looks: []fleet.Duration{fleet.Duration(6 * time.Hour), fleet.Duration(28 * time.Hour)}}},
			{Name: "everyone", Order: 2, Opens: fleet.Opens{Step: "deploy"}, Soak: fleet.Duration(72 * time.Hour), Advance: "autoMerge",
				Gate: fleet.Gate{Success: 98, Error: 2, Confidence: 0.9, MinReports: 50, Silent: "failed", Looks: []fleet.Duration{fleet.Duration(24 * time.Hour), fleet.Duration(72 * time.Hour)}}},
		},
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"},
			"announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Operator: fleet.Operator{Name: "Example MSP"},
		Partners: map[string]fleet.Partner{"nordic": {Name: "Nordic IT"}, "example-msp": {Name: "Example MSP"}, "direct": {Name: "Direct"}},
		Tenants:  map[fleet.TenantID]fleet.Tenant{},
		Cycles: map[fleet.CycleID]fleet.Cycle{week: {CutOff: day(18, 14), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{
			zip: {Release: "24.09", Artifact: digit(901)}, notepad: {Release: "8.7.1", Artifact: digit(902)}, policy: {Release: "3", Artifact: digit(903)},
		}}},
	}
	for id, role := range map[fleet.TenantID]string{"example-msp/own": "own", "nordic/acme": "customer", "nordic/birch": "customer", "direct/cedar": "customer"} {
		r.Tenants[id] = fleet.Tenant{ID: id, Name: "Tenant " + string(id), Zone: "Europe/Helsinki", Labels: map[string]string{"role": role},
			Packages: map[fleet.PackageID][]fleet.Assignment{zip: {{Group: "all devices"}}, notepad: {{Group: "all devices"}}, policy: {{Group: "all devices"}}}}
	}
	return r
}

// testPlans are the plans of the two waves.
func testPlans() []fleet.Plan {
	rows := func(gate string, opens time.Time, tenants map[fleet.TenantID]int, order ...fleet.TenantID) fleet.Plan {
		p := fleet.Plan{Cycle: week, Gate: gate, CutOff: day(18, 14), Rows: []fleet.PlanRow{}, Skipped: []fleet.PlanSkip{}}
		for _, t := range order {
			for _, e := range []struct {
				id       fleet.PackageID
				from, to string
			}{{policy, "", "3"}, {zip, "24.08", "24.09"}, {notepad, "8.7", "8.7.1"}} {
				p.Rows = append(p.Rows, fleet.PlanRow{Tenant: t, Package: e.id, From: e.from, To: e.to, Wave: gate, Devices: tenants[t],
					NotBefore: opens, Deadline: opens.AddDate(0, 0, 3), Why: "required on all devices"})
			}
		}
		return p
	}
	return []fleet.Plan{
		rows("dogfood", day(19, 7), map[fleet.TenantID]int{"example-msp/own": 40}, "example-msp/own"),
		func() fleet.Plan {
			p := rows("everyone", day(23, 12), map[fleet.TenantID]int{"direct/cedar": 60, "nordic/acme": 120, "nordic/birch": 80}, "direct/cedar", "nordic/acme", "nordic/birch")
			p.Skipped = []fleet.PlanSkip{{Tenant: "nordic/birch", Package: zip, Why: "pinned to 24.08 until 2026-12-18: archive"}}
			return p
		}(),
	}
}

// testRecord is what evidence holds at the end of the week.
func testRecord() *fleet.Record {
	plans := testPlans()
	rec := &fleet.Record{Heads: map[string]string{"evidence/control": "aa11", "evidence/07": "bb22"}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	rec.Detections = []fleet.Detection{
		{Package: gitWin, Current: "2.47.1", Found: "2.46.2", State: fleet.StateHeld, Hold: fleet.HoldBackwards, Why: "2.46.2 is older than the released 2.47.1", At: day(18, 4)},
		{Package: zip, Current: "24.08", Found: "24.09", State: fleet.StateNew, At: day(18, 4)},
	}
	for id, e := range testRepo().Cycles[week].Entries {
		rec.Builds = append(rec.Builds, fleet.Built{Package: id, Version: e.Release, Artifact: e.Artifact, At: day(18, 9),
			Files: []fleet.BuiltFile{{Installer: "x64", Name: "x64.intunewin", MediaType: "application/octet-stream", Digest: digit(55), Size: 2_000_000}}})
		rec.Tests = append(rec.Tests, fleet.Tested{Package: id, Version: e.Release, Artifact: e.Artifact, Cell: "wine", Installer: "x64", Result: "passed", At: day(18, 10),
			Steps: []fleet.TestStep{{Name: "absent", Result: "passed"}, {Name: "install", Result: "passed"}, {Name: "launch", Result: "skipped", Detail: "the package starts nothing"}}})
	}
	rec.Merges = []fleet.Merge{
		{PR: 3, Title: "igor-pavlov/7-zip 24.08 → 24.09", Author: "packmill", Commit: "1111111111aaaa", Approvers: []string{"ann", "ben"}, At: day(18, 8)},
		{PR: 7, Title: "Open cycle 2026-W47", Author: "packmill", Commit: "2222222222bbbb", Approves: "2026-W47/dogfood", Plan: plans[0].Digest(), Approvers: []string{"ann", "ben"}, At: day(18, 15)},
		{PR: 8, Title: "Approve everyone of 2026-W47", Author: "packmill", Commit: "3333333333cccc", Approves: "2026-W47/everyone", Plan: plans[1].Digest(), Approvers: []string{"ann"}, At: day(20, 15)},
		{PR: 9, Title: "Revoke notepad-plus-plus/notepad-plus-plus 8.7.1", Author: "packmill", Commit: "4444444444dddd", Approvers: []string{"ben"}, At: day(19, 15)},
	}
	for i, p := range plans {
		rec.PlanRows[p.Digest()] = p.Rows
		rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: week, Wave: p.Gate, Opens: p.Rows[0].NotBefore, Devices: p.Summary().Devices, Plan: p.Digest(), At: p.Rows[0].NotBefore.Add(-time.Hour)})
		for _, row := range p.Rows {
			if i == 1 && row.Package == notepad {
				continue
			}
			id := fleet.DeriveID(p.Gate, string(row.Tenant), string(row.Package))
			rec.Intents = append(rec.Intents, fleet.Intent{ID: id, Cycle: week, Wave: p.Gate, Tenant: row.Tenant, Package: row.Package, Release: row.To,
				Artifact: testRepo().Cycles[week].Entries[row.Package].Artifact, Action: "assign", Opens: row.NotBefore, At: row.NotBefore.Add(-time.Hour)})
			rec.Receipts = append(rec.Receipts, fleet.Receipt{Intent: id, Cycle: week, Wave: p.Gate, Tenant: row.Tenant, Package: row.Package,
				Artifact: testRepo().Cycles[week].Entries[row.Package].Artifact, Action: "assign", Outcome: "done", At: row.NotBefore.Add(-time.Hour),
				Recovered: row.Tenant == "nordic/birch"})
			if row.Package == policy {
				rec.Members = append(rec.Members, fleet.Membership{Cycle: week, Wave: p.Gate, Tenant: row.Tenant, Devices: make([]string, row.Devices)})
			}
			counts := fleet.Counts{Succeeded: row.Devices - 1, Silent: 1}
			var errors []string
			if row.Package == notepad {
				counts, errors = fleet.Counts{Succeeded: 31, Failed: 8, Silent: 1}, []string{"0x80070643"}
			}
			rec.Reports = append(rec.Reports, fleet.Report{Cycle: week, Wave: p.Gate, Tenant: row.Tenant, Package: row.Package,
				Artifact: testRepo().Cycles[week].Entries[row.Package].Artifact, Look: fleet.Duration(6 * time.Hour), Counts: counts, Errors: errors, AsOf: row.NotBefore.Add(5 * time.Hour), At: row.NotBefore.Add(6 * time.Hour)})
		}
	}
	rec.Verdicts = []fleet.Verdict{
		verdict("dogfood", zip, "pass", fleet.Counts{Succeeded: 39, Silent: 1}, 94.3, 100, "39 of 39 reports succeeded", day(20, 11)),
		verdict("dogfood", policy, "pass", fleet.Counts{Succeeded: 39, Silent: 1}, 94.3, 100, "39 of 39 reports succeeded", day(20, 11)),
		verdict("dogfood", notepad, "fail", fleet.Counts{Succeeded: 31, Failed: 8, Silent: 1}, 66.9, 89.0, "error rate is above 2 % with 90 % confidence", day(19, 13)),
		verdict("everyone", zip, "pass", fleet.Counts{Succeeded: 257, Failed: 0, Silent: 3}, 97.4, 99.8, "259 of 260 succeeded", day(26, 12)),
	}
	withInsight(rec)
	rec.Notices = []fleet.Notice{{Key: "k", Cycle: week, Partner: "nordic", Channel: "mail", Template: "announcement", MessageID: "k@example", Sent: true, At: day(23, 6)}}
	for id := range testRepo().Tenants {
		rec.Inventory = append(rec.Inventory, fleet.InventoryRow{Tenant: id, Device: "d", Platform: "windows", LastSeen: "2026-11-17", At: day(18, 5)})
	}
	return rec
}

// withInsight adds what consoles told beside the statuses.
func withInsight(rec *fleet.Record) {
	rec.Silences = []fleet.Silence{
		{Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Look: fleet.Duration(time.Hour), Silent: 90, Devices: []string{"00"}, At: day(23, 13)},
		{Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Look: fleet.Duration(6 * time.Hour), Silent: 5, Devices: []string{"0f3a9b1c2d4e5f60", "1f3a9b1c2d4e5f60", "2f3a9b1c2d4e5f60", "3f3a9b1c2d4e5f60"}, At: day(23, 18)},
		{Cycle: week, Wave: "everyone", Tenant: "nordic/birch", Look: fleet.Duration(time.Hour), Silent: 1, Devices: []string{"4f3a9b1c2d4e5f60"}, At: day(23, 13)},
	}
	for i, id := range []fleet.TenantID{"direct/cedar", "nordic/acme", "nordic/birch"} {
		rec.Apps = append(rec.Apps,
			fleet.AppRow{Tenant: id, Name: "7-Zip 24.08 (x64)", Publisher: "Igor Pavlov", Version: "24.08", Platform: "windows", Devices: 50, At: day(18, 5)},
			fleet.AppRow{Tenant: id, Name: "Contoso Ledger 3." + fmt.Sprint(i%2), Publisher: "Contoso", Version: "3." + fmt.Sprint(i%2), Platform: "windows", Devices: 20 + i, At: day(18, 5)},
			fleet.AppRow{Tenant: id, Rest: 300, Devices: 410, At: day(18, 5)})
	}
	rec.Reconciled = []fleet.Reconciliation{{Tenant: "nordic/acme", From: day(17, 0), Until: day(24, 0), Events: 40, Findings: []fleet.ConsoleFinding{
		{Event: "e-1", Kind: fleet.WriteForeign, At: day(23, 15), What: "Patch MobileApp", Result: "Success", Application: "portal", Person: true, Object: "app-1", Package: zip},
		{Event: "e-2", Kind: fleet.WriteUnexplained, At: day(23, 16), What: "Delete MobileApp", Result: "Success", Application: "mill", Object: "app-2"},
	}}}
}

func verdict(wave string, id fleet.PackageID, decision string, c fleet.Counts, lower, upper float64, rule string, at time.Time) fleet.Verdict {
	return fleet.Verdict{Cycle: week, Wave: wave, Package: id, Artifact: testRepo().Cycles[week].Entries[id].Artifact, Look: fleet.Duration(28 * time.Hour),
		Decision: decision, Counts: c, Lower: lower, Upper: upper, Rule: rule, At: at}
}

// bumped is the change that adds 7-Zip 24.09, edited.
func bumped(t *testing.T, edit func(base, head *fleet.Repository)) change.Change {
	t.Helper()
	base, head := testRepo(), testRepo()
	base.Commit = "a0b1c2d3e4f5"
	p := base.Packages[zip]
	p.Releases = maps.Clone(p.Releases)
	delete(p.Releases, "24.09")
	base.Packages[zip] = p
	base.Cycles, head.Cycles = nil, nil
	edit(base, head)
	return change.Compare(base, head, change.Options{
		Devices: map[fleet.TenantID]int{"nordic/acme": 120, "nordic/birch": 80, "direct/cedar": 60, "example-msp/own": 40},
		Now:     day(17, 9),
	})
}
