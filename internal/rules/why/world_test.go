package why_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/why"
)

const (
	w47  = fleet.CycleID("2026-W47")
	aalt = fleet.TenantID("nordic/aalto")
	berg = fleet.TenantID("nordic/berg")
	tool = fleet.PackageID("acme/tool")
	pad  = fleet.PackageID("acme/pad")
)

// on is an instant of November 2026. The week's cut-off is on the 18th at 14:00,
// its waves open on the 19th at 7:00 and on the 23rd at 12:00.
func on(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC)
}

// A world is facts that a test changes.
type world struct{ rollout.Facts }

// newWorld has two packages with a new release each, the operator's tenant and
// two customers, everything built and tested, and no cycle.
func newWorld(change ...func(w *world)) *world {
	w := &world{rollout.Facts{Repo: baseRepo(), Record: &fleet.Record{PlanRows: map[fleet.Digest][]fleet.PlanRow{}, Heads: map[string]string{}}}}
	for _, t := range w.Repo.TenantIDs() {
		for n := range 10 {
			w.Record.Inventory = append(w.Record.Inventory, fleet.InventoryRow{Tenant: t, Device: fmt.Sprintf("%s-%02d", t.Slug(), n), Platform: "windows", LastSeen: "2026-11-17", At: on(18, 4, 0)})
		}
	}
	for _, id := range []fleet.PackageID{tool, pad} {
		for _, v := range []string{"1.0", "2.0"} {
			w.Record.Builds = append(w.Record.Builds, fleet.Built{Package: id, Version: v, Artifact: artifact(id, v), Files: []fleet.BuiltFile{{Installer: "x64"}}, At: on(18, 8, 0)})
			w.Record.Tests = append(w.Record.Tests, fleet.Tested{Package: id, Version: v, Artifact: artifact(id, v), Cell: "windows-11", Installer: "x64", Result: "passed", At: on(18, 8, 0)})
		}
	}
	w.Record.Heartbeats = []fleet.Heartbeat{{Command: "detect", At: on(18, 4, 0)}}
	for _, f := range change {
		f(w)
	}
	return w
}

func baseRepo() *fleet.Repository {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	gate := fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 5, Silent: "excluded", Looks: []fleet.Duration{hours(24)}, Inconclusive: "askHuman"}
	r := &fleet.Repository{
		Commit: "c0",
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}, MinDevices: 1, Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Arm: hours(3), Soak: hours(24), Gate: gate},
			{Name: "everyone", Order: 2, MinDevices: 1, Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Arm: hours(6), Soak: hours(24), Gate: gate},
		},
		Packages: map[fleet.PackageID]fleet.Package{}, Tenants: map[fleet.TenantID]fleet.Tenant{}, Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{},
		Cycles: map[fleet.CycleID]fleet.Cycle{}, Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{}, Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
		Operator: fleet.Operator{Trust: fleet.Trust{Approvals: 1}}, Blobs: map[string]string{},
	}
	published := on(16, 0, 0)
	for _, id := range []fleet.PackageID{tool, pad} {
		r.Packages[id] = fleet.Package{ID: id, Kind: "application", Rollback: "previous", Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64", Restart: "byExitCode"}},
			Releases: map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor", Published: &published}}}
	}
	for id, role := range map[fleet.TenantID]string{"us/own": "own", aalt: "customer", berg: "customer"} {
		r.Tenants[id] = fleet.Tenant{ID: id, Zone: "Europe/Helsinki", Labels: map[string]string{"role": role}, Intune: &fleet.Intune{}, Policy: fleet.Policy{Approval: "implicit", Reboot: "anytime"},
			Packages: map[fleet.PackageID][]fleet.Assignment{tool: {{Intent: "required", Group: "all devices"}}, pad: {{Intent: "required", Group: "all devices"}}}}
	}
	return r
}

func artifact(id fleet.PackageID, version string) fleet.Digest {
	return fleet.DigestOf([]byte(string(id) + "@" + version))
}

// open puts the week's cycle on main, with its plans.
func open(w *world) {
	cycle := fleet.Cycle{CutOff: on(18, 14, 0), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{}}
	for _, id := range []fleet.PackageID{tool, pad} {
		cycle.Entries[id] = fleet.Entry{Release: "2.0", Artifact: artifact(id, "2.0")}
	}
	w.Repo.Cycles[w47], w.Repo.Plans[w47] = cycle, map[string]fleet.PlanRecord{}
	w.Plans = map[fleet.CycleID]map[string]fleet.Plan{w47: {}}
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(w.Repo, w.Record, w47, cycle, gate)
		if err != nil {
			panic(err)
		}
		w.Plans[w47][gate], w.Repo.Plans[w47][gate], w.Record.PlanRows[plan.Digest()] = plan, fleet.PlanRecord{Digest: plan.Digest()}, plan.Rows
	}
}

// approve merges the approval of a gate.
func approve(gate, decision string, at time.Time) func(w *world) {
	return func(w *world) {
		plan := w.Repo.Plans[w47][gate].Digest
		if w.Repo.Approvals[w47] == nil {
			w.Repo.Approvals[w47] = map[string]fleet.Approval{}
		}
		w.Repo.Approvals[w47][gate] = fleet.Approval{Cycle: w47, Gate: gate, Decision: decision, Because: "a reason", Plan: plan, ValidUntil: at.AddDate(0, 0, 7)}
		file, blob := fleet.ApprovalFile(w47, gate), "blob-"+gate
		w.Repo.Blobs[file] = blob
		w.Record.Merges = append(w.Record.Merges, fleet.Merge{Commit: "merge-" + gate, PR: 7, Approves: string(w47) + "/" + gate, Plan: plan, ApprovalBlobs: map[string]string{file: blob}, Approvers: []string{"ines"}, At: at})
	}
}

func start(gate string, at time.Time) func(w *world) {
	return func(w *world) {
		opens := map[string]time.Time{"dogfood": on(19, 7, 0), "everyone": on(23, 12, 0)}[gate]
		w.Record.Starts = append(w.Record.Starts, fleet.WaveStart{Cycle: w47, Wave: gate, Opens: opens, Plan: w.Repo.Plans[w47][gate].Digest, At: at})
		delete(w.Plans[w47], gate)
	}
}

// call is an intent on the tool, and its receipt unless outcome is "".
func call(t fleet.TenantID, action, wave, outcome string, at time.Time) func(w *world) {
	return func(w *world) {
		i := fleet.Intent{ID: fmt.Sprint("i", len(w.Record.Intents)), Cycle: w47, Wave: wave, Tenant: t, Package: tool, Release: "2.0", Artifact: artifact(tool, "2.0"), Action: action,
			Generation: len(w.Record.Intents) + 1, Plan: w.Repo.Plans[w47][wave].Digest, At: at, NotAfter: at.Add(rollout.Lease), Reason: "the rule"}
		w.Record.Intents = append(w.Record.Intents, i)
		if outcome != "" {
			w.Record.Receipts = append(w.Record.Receipts, fleet.Receipt{Intent: i.ID, Cycle: w47, Wave: wave, Tenant: t, Package: tool, Artifact: i.Artifact, Action: action, Outcome: outcome, Detail: "the console was away", At: at})
		}
	}
}

func verdict(wave, decision string, at time.Time) func(w *world) {
	return func(w *world) {
		for _, id := range []fleet.PackageID{tool, pad} {
			w.Record.Verdicts = append(w.Record.Verdicts, fleet.Verdict{Cycle: w47, Wave: wave, Package: id, Artifact: artifact(id, "2.0"), Look: fleet.Duration(24 * time.Hour), Decision: decision, Rule: "the rule", At: at})
		}
	}
}

// tenant changes a tenant before anything is planned.
func tenant(change func(t *fleet.Tenant)) func(w *world) {
	return func(w *world) { t := w.Repo.Tenants[aalt]; change(&t); w.Repo.Tenants[aalt] = t }
}

func explain(t *testing.T, w *world, now time.Time) why.Explanation {
	t.Helper()
	e, err := why.Explain(w.Facts, aalt, tool, now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
