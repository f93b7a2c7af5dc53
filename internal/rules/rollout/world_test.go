package rollout_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// The week of the tests, 2026-W47, in UTC: Helsinki is two hours ahead.
var (
	detectAt   = on(18, 4, 0)
	cutOffAt   = on(18, 14, 0)
	dogfoodAt  = on(19, 7, 0)
	announceAt = on(23, 6, 0)
	deployAt   = on(23, 12, 0)
)

const (
	w47  = fleet.CycleID("2026-W47")
	own  = fleet.TenantID("us/own")
	aalt = fleet.TenantID("nordic/aalto")
	berg = fleet.TenantID("nordic/berg")
	tool = fleet.PackageID("acme/tool")
	pad  = fleet.PackageID("acme/pad")
)

// on is an instant of November 2026.
func on(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC)
}

// A world is the facts of a test, built up in the order in which a week makes
// them.
type world struct {
	repo       *fleet.Repository
	rec        *fleet.Record
	then       *fleet.Record // evidence as of the heads that the cycle's plans name
	unrecorded []string
	unplanned  bool // plans cannot be recomputed
}

// A fact changes a world.
type fact func(w *world)

// newWorld has two packages with a new release each, an operator's own tenant
// and two customers, and nothing in evidence.
func newWorld(facts ...fact) *world {
	w := &world{repo: baseRepo(), rec: &fleet.Record{Heads: map[string]string{"evidence/control": "h0"}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}}
	for _, f := range facts {
		f(w)
	}
	return w
}

func baseRepo() *fleet.Repository {
	hours := func(list ...int) []fleet.Duration {
		var out []fleet.Duration
		for _, h := range list {
			out = append(out, fleet.Duration(time.Duration(h)*time.Hour))
		}
		return out
	}
	gate := func(looks ...int) fleet.Gate {
		return fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 5, Silent: "excluded", Looks: hours(looks...), Inconclusive: "askHuman"}
	}
	r := &fleet.Repository{
		Commit: "c0",
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"},
			"announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}, MinDevices: 1,
				Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Arm: hours(3)[0], Soak: hours(24)[0], Gate: gate(6, 28),
				Lanes: map[string]fleet.LaneWave{"oob": {Soak: hours(2)[0], Looks: hours(1, 2)}}},
			{Name: "everyone", Order: 2, MinDevices: 1,
				Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Arm: hours(6)[0], Soak: hours(24)[0], Gate: gate(24),
				Lanes: map[string]fleet.LaneWave{"oob": {After: hours(6)[0], Soak: hours(2)[0], Looks: hours(2)}}},
		},
		Packages: map[fleet.PackageID]fleet.Package{}, Tenants: map[fleet.TenantID]fleet.Tenant{}, Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{},
		Cycles: map[fleet.CycleID]fleet.Cycle{}, Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{}, Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
		Operator: fleet.Operator{Trust: fleet.Trust{Approvals: 1}},
		Blobs:    map[string]string{"schedules/week.cue": "b1", "schedules/waves.cue": "b2", "tenants/operator.cue": "b3"},
	}
	for _, id := range []fleet.PackageID{tool, pad} {
		r.Packages[id] = fleet.Package{
			ID: id, Kind: "application", Rollback: "previous", Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}},
			Releases: map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor"}},
		}
		r.Blobs[id.Dir()+"/package.cue"], r.Blobs[id.Dir()+"/2.0.cue"] = "b4", "b5"
	}
	for _, id := range []fleet.TenantID{own, aalt, berg} {
		role := map[bool]string{true: "own", false: "customer"}[id == own]
		r.Tenants[id] = fleet.Tenant{ID: id, Zone: "Europe/Helsinki", Labels: map[string]string{"role": role}, Intune: &fleet.Intune{}, Packages: map[fleet.PackageID][]fleet.Assignment{
			tool: {{Intent: "required", Group: "all devices"}}, pad: {{Intent: "required", Group: "all devices"}},
		}}
		r.Blobs[id.Dir()+"/tenant.cue"] = "b6"
	}
	return r
}

// facts are what Step is given; plans are recomputed as the factory does.
func (w *world) facts(t *testing.T) rollout.Facts {
	t.Helper()
	f := rollout.Facts{Repo: w.repo, Record: w.rec, Unrecorded: w.unrecorded, Plans: map[fleet.CycleID]map[string]fleet.Plan{}}
	for id, plans := range w.repo.Plans {
		f.Plans[id] = map[string]fleet.Plan{}
		for gate := range plans {
			if w.unplanned || slices.ContainsFunc(w.rec.Starts, func(s fleet.WaveStart) bool { return s.Cycle == id && s.Wave == gate }) {
				continue
			}
			plan, err := rollout.Plan(w.repo, w.then, id, w.repo.Cycles[id], gate)
			if err != nil {
				t.Fatal(err)
			}
			f.Plans[id][gate] = plan
		}
	}
	return f
}

// step asks Step and gives its actions and waits in a form to compare.
func (w *world) step(t *testing.T, now time.Time) (actions, waits []string) {
	t.Helper()
	list, wait, err := rollout.Step(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		actions = append(actions, told(a))
	}
	for _, x := range wait {
		waits = append(waits, strings.TrimSpace(x.Wave+" "+x.Why))
	}
	return actions, waits
}

// told is an action in one line: kind, wave, tenant, packages, version, look.
func told(a rollout.Action) string {
	parts := []string{a.Kind, a.Wave, a.Partner, string(a.Tenant), a.Commit}
	for _, p := range a.Packages {
		parts = append(parts, path.Base(string(p)))
	}
	parts = append(parts, a.Version)
	if a.Look != 0 {
		parts = append(parts, fmt.Sprintf("%gh", a.Look.Std().Hours()))
	}
	if a.Last {
		parts = append(parts, "last")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func artifact(id fleet.PackageID, version string) fleet.Digest {
	return fleet.DigestOf([]byte(string(id) + "@" + version))
}

func beat(command string, at time.Time) fact {
	return func(w *world) { w.rec.Heartbeats = append(w.rec.Heartbeats, fleet.Heartbeat{Command: command, At: at}) }
}

func built(id fleet.PackageID, version string) fact {
	return func(w *world) {
		w.rec.Builds = append(w.rec.Builds, fleet.Built{Package: id, Version: version, Artifact: artifact(id, version), Files: []fleet.BuiltFile{{Installer: "x64"}}})
	}
}

func tested(id fleet.PackageID, version, result string) fact {
	return func(w *world) {
		w.rec.Tests = append(w.rec.Tests, fleet.Tested{Package: id, Version: version, Artifact: artifact(id, version), Cell: "windows-11", Installer: "x64", Result: result})
	}
}

// inventory is ten devices on each tenant.
func inventory(at time.Time, tenants ...fleet.TenantID) fact {
	return func(w *world) {
		for _, t := range tenants {
			for i := range 10 {
				w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: t, Device: fmt.Sprintf("%s-%02d", t.Slug(), i), Platform: "windows", LastSeen: "2026-11-17", At: at})
			}
		}
	}
}

// merged is the merge that brought some releases.
func merged(at time.Time, releases ...string) fact {
	return func(w *world) { w.rec.Merges = append(w.rec.Merges, fleet.Merge{Releases: releases, At: at}) }
}

// milled is the week up to the cut-off: both new releases are ready.
func milled(w *world) {
	for _, f := range []fact{
		inventory(detectAt, own, aalt, berg), beat("detect", detectAt), merged(detectAt.Add(time.Hour), "acme/tool@2.0", "acme/pad@2.0"), built(tool, "1.0"), built(tool, "2.0"), built(pad, "1.0"), built(pad, "2.0"),
		tested(tool, "2.0", "passed"), tested(pad, "2.0", "passed"),
	} {
		f(w)
	}
}

// opened is the week with the cycle on main, its first wave approved.
func opened(w *world) {
	milled(w)
	carrying(w47, tool, pad)(w)
}

// carrying puts a cycle with all waves on main, as its pull request does.
func carrying(id fleet.CycleID, packages ...fleet.PackageID) fact {
	return func(w *world) {
		cycle := fleet.Cycle{CutOff: cutOffAt, Entries: map[fleet.PackageID]fleet.Entry{}}
		for _, wave := range w.repo.Waves {
			cycle.Waves = append(cycle.Waves, wave.Name)
		}
		for _, p := range packages {
			cycle.Entries[p] = fleet.Entry{Release: "2.0", Artifact: artifact(p, "2.0")}
		}
		proposed(w, id, cycle)
		approval(id, "dogfood", cutOffAt.Add(30*time.Minute))(w)
	}
}

// approval is an approved gate with the merge that brought it.
func approval(id fleet.CycleID, gate string, at time.Time) fact {
	return func(w *world) {
		plan := w.repo.Plans[id][gate].Digest
		if w.repo.Approvals[id] == nil {
			w.repo.Approvals[id] = map[string]fleet.Approval{}
		}
		until := map[string]time.Time{"dogfood": dogfoodAt, "everyone": deployAt, rollout.CloseGate: on(30, 0, 0)}[gate].Add(24 * time.Hour)
		w.repo.Approvals[id][gate] = fleet.Approval{Cycle: id, Gate: gate, Decision: "approved", Plan: plan, ValidUntil: until}
		file, blob := fleet.ApprovalFile(id, gate), fmt.Sprint("approval-", len(w.rec.Merges))
		w.repo.Blobs[file] = blob
		w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "m-" + gate, Approves: string(id) + "/" + gate, Plan: plan, ApprovalBlobs: map[string]string{file: blob}, Approvers: []string{"ines"}, At: at})
	}
}

func approve(gate string, at time.Time) fact { return approval(w47, gate, at) }

// amend changes the approval of a gate of the week's cycle.
func amend(gate string, change func(a *fleet.Approval)) fact {
	return func(w *world) {
		a := w.repo.Approvals[w47][gate]
		change(&a)
		w.repo.Approvals[w47][gate] = a
	}
}

func start(gate string, at time.Time) fact {
	return func(w *world) {
		opens := map[string]time.Time{"dogfood": dogfoodAt, "everyone": deployAt}[gate]
		w.rec.Starts = append(w.rec.Starts, fleet.WaveStart{Cycle: w47, Wave: gate, Opens: opens, Plan: w.repo.Plans[w47][gate].Digest, At: at})
	}
}

// intent is an intent alone: nobody knows whether its call was made.
func intent(action, gate string, t fleet.TenantID, id fleet.PackageID, at time.Time) fact {
	return func(w *world) {
		generation := 1
		for _, i := range w.rec.Intents {
			if i.Tenant == t && i.Package == id {
				generation = max(generation, i.Generation+1)
			}
		}
		w.rec.Intents = append(w.rec.Intents, fleet.Intent{
			ID: fmt.Sprint("i", len(w.rec.Intents)), Cycle: w47, Wave: gate, Tenant: t, Package: id, Release: "2.0", Artifact: artifact(id, "2.0"), Action: action,
			Generation: generation, At: at, NotAfter: at.Add(rollout.Lease),
		})
	}
}

// receipt is the receipt of the newest intent.
func receipt(outcome string, at time.Time) fact {
	return func(w *world) {
		i := w.rec.Intents[len(w.rec.Intents)-1]
		w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{
			Intent: i.ID, Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Artifact: i.Artifact, Action: i.Action, Outcome: outcome, At: at,
		})
	}
}

// did is an action on a tenant with intent and receipt.
func did(action, gate string, t fleet.TenantID, id fleet.PackageID, at time.Time) fact {
	return all(intent(action, gate, t, id, at), receipt("done", at))
}

func verdict(gate string, id fleet.PackageID, hours int, decision string, at time.Time) fact {
	return func(w *world) {
		w.rec.Verdicts = append(w.rec.Verdicts, fleet.Verdict{
			Cycle: w47, Wave: gate, Package: id, Artifact: artifact(id, "2.0"), Look: fleet.Duration(time.Duration(hours) * time.Hour), Decision: decision, Rule: "the rule", At: at,
		})
	}
}

func hold(name, kind string, id fleet.PackageID, expires ...time.Time) fact {
	return func(w *world) {
		h := fleet.Hold{Kind: kind, Package: id, Release: "2.0", Reason: "a reason"}
		if len(expires) > 0 {
			h.Expires = &expires[0]
		}
		w.repo.Holds[name] = h
	}
}

func revoke(id fleet.PackageID) fact { return hold("revoke-"+id.Slug(), "revocation", id) }

func freeze(scope string, from, until time.Time) fact {
	return func(w *world) { w.repo.Freezes["winter"] = fleet.Freeze{Scope: scope, From: from, Until: until} }
}

// edit changes a package, tenant edits a tenant.
func edit(id fleet.PackageID, change func(p *fleet.Package)) fact {
	return func(w *world) { p := w.repo.Packages[id]; change(&p); w.repo.Packages[id] = p }
}

func tenant(id fleet.TenantID, change func(t *fleet.Tenant)) fact {
	return func(w *world) { t := w.repo.Tenants[id]; change(&t); w.repo.Tenants[id] = t }
}

// security makes the new release of a package a fix.
func security(id fleet.PackageID) fact {
	return edit(id, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "security"}}
	})
}

func all(facts ...fact) fact {
	return func(w *world) {
		for _, f := range facts {
			f(w)
		}
	}
}

// dogfooding is the week with the first wave started and assigned.
func dogfooding(w *world) {
	at := dogfoodAt.Add(-3 * time.Hour)
	all(opened, start("dogfood", at), did("assign", "dogfood", own, pad, at), did("assign", "dogfood", own, tool, at))(w)
}

// dogfooded is the week with the first wave passed.
func dogfooded(w *world) {
	at := dogfoodAt.Add(6 * time.Hour)
	all(dogfooding, verdict("dogfood", pad, 6, "pass", at), verdict("dogfood", tool, 6, "pass", at))(w)
}

// rolling is the week with the last wave started and assigned.
func rolling(w *world) {
	at := announceAt
	all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", at), start("everyone", at))(w)
	for _, t := range []fleet.TenantID{aalt, berg} {
		all(did("assign", "everyone", t, pad, at), did("assign", "everyone", t, tool, at))(w)
	}
}

// rolled is the week with the last wave passed.
func rolled(w *world) {
	at := deployAt.Add(24 * time.Hour)
	all(rolling, verdict("everyone", pad, 24, "pass", at), verdict("everyone", tool, 24, "pass", at))(w)
}

// A situation is facts, an instant, and what Step says to them.
type situation struct {
	name  string
	facts fact
	now   time.Time
	want  []string // actions
	waits []string // the begin of each wait
}

// try compares what Step says with what is wanted, and asks it twice.
func try(t *testing.T, list []situation) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(c.facts)
			actions, waits := w.step(t, c.now)
			if !slices.Equal(actions, c.want) {
				t.Errorf("actions\n\t%s\nwant\n\t%s", strings.Join(actions, "\n\t"), strings.Join(c.want, "\n\t"))
			}
			if !slices.EqualFunc(waits, c.waits, strings.HasPrefix) {
				t.Errorf("waits\n\t%s\nwant\n\t%s", strings.Join(waits, "\n\t"), strings.Join(c.waits, "\n\t"))
			}
			again, waitsAgain := w.step(t, c.now)
			if !slices.Equal(again, actions) || !slices.Equal(waitsAgain, waits) {
				t.Error("asked twice about the same facts it says something else")
			}
		})
	}
}
