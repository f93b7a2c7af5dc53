package factory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A replayWorld is a real repository with a real ledger, in which a week
// happens at random. Desired state is one file of JSON.
type replayWorld struct {
	*factory.Factory
	t      *testing.T
	rand   *rand.Rand
	clock  *fleet.ManualClock
	ledger *evidence.Ledger
	repo   *fleet.Repository
	main   string
}

const (
	replayCycle = fleet.CycleID("2026-W47")
	replayTool  = fleet.PackageID("acme/tool")
	replayPad   = fleet.PackageID("acme/pad")
)

func newReplayWorld(t *testing.T, seed uint64) *replayWorld {
	t.Helper()
	git, err := gitrepo.Init(filepath.Join(t.TempDir(), "repo"), true)
	if err != nil {
		t.Fatal(err)
	}
	key := signer(t)
	trust := fleet.Trust{Approvals: 1, Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{"evidence"}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseEvidence)
	if err != nil {
		t.Fatal(err)
	}
	author := fleet.Identity{Name: "packmill", Email: "packmill@operator.example"}
	w := &replayWorld{t: t, rand: rand.New(rand.NewPCG(seed, 47)), clock: fleet.NewManualClock(time.Date(2026, 11, 18, 4, 0, 0, 0, time.UTC)), repo: replayRepo(trust)}
	w.ledger = evidence.Open(git, key, verifier, w.clock, author)
	w.Factory = &factory.Factory{Git: git, Ledger: w.ledger, Clock: w.clock, Author: author}
	w.Desired = func(_ context.Context, rev string) (*fleet.Repository, error) {
		tree, err := git.Tree(rev)
		if err != nil {
			return nil, err
		}
		data, err := tree.Read("repo.json")
		if err != nil {
			return nil, err
		}
		repo := &fleet.Repository{}
		if err := json.Unmarshal(data, repo); err != nil {
			return nil, err
		}
		repo.Commit = tree.Commit()
		return repo, nil
	}
	w.commit()
	return w
}

func replayRepo(trust fleet.Trust) *fleet.Repository {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	gate := fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 1, Silent: "excluded", Looks: []fleet.Duration{hours(6), hours(28)}, Inconclusive: "askHuman"}
	r := &fleet.Repository{
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}, MinDevices: 1, Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Arm: hours(3), Soak: hours(24), Gate: gate},
			{Name: "everyone", Order: 2, MinDevices: 1, Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Arm: hours(6), Soak: hours(24), Gate: gate},
		},
		Packages: map[fleet.PackageID]fleet.Package{}, Tenants: map[fleet.TenantID]fleet.Tenant{}, Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{},
		Cycles: map[fleet.CycleID]fleet.Cycle{}, Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{}, Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
		Operator: fleet.Operator{Trust: trust}, Blobs: map[string]string{},
	}
	for _, id := range []fleet.PackageID{replayTool, replayPad} {
		r.Packages[id] = fleet.Package{ID: id, Kind: "application", Rollback: "previous", Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}},
			Releases: map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor"}}}
	}
	for _, id := range []fleet.TenantID{"us/own", "nordic/aalto"} {
		role := map[bool]string{true: "own", false: "customer"}[id == "us/own"]
		r.Tenants[id] = fleet.Tenant{ID: id, Zone: "Europe/Helsinki", Labels: map[string]string{"role": role}, Intune: &fleet.Intune{}, Packages: map[fleet.PackageID][]fleet.Assignment{
			replayTool: {{Intent: "required", Group: "all devices"}}, replayPad: {{Intent: "required", Group: "all devices"}}}}
	}
	return r
}

// commit puts the repository as it is now on main, at the clock's time, and
// gives the commit.
func (w *replayWorld) commit() string {
	w.t.Helper()
	data, err := json.Marshal(w.repo)
	if err != nil {
		w.t.Fatal(err)
	}
	spec := gitrepo.CommitSpec{Files: map[string][]byte{"repo.json": data, "n": []byte(fmt.Sprint(w.rand.Uint64()))}, Message: "x", Author: w.Author, When: w.clock.Now()}
	if w.main != "" {
		spec.Parents = []string{w.main}
	}
	id, err := w.Git.Commit(w.t.Context(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Git.SetBranch("main", w.main, id); err != nil {
		w.t.Fatal(err)
	}
	w.main = id
	return id
}

func (w *replayWorld) append(branch, dir string, rows any) {
	w.t.Helper()
	if err := w.ledger.Append(w.t.Context(), branch, dir, rows); err != nil {
		w.t.Fatal(err)
	}
}

// merge commits, and records the merge: at once, or some time after that has
// seen other things happen.
func (w *replayWorld) merge(m fleet.Merge) func() {
	m.Base, m.At = w.main, w.clock.Now()
	m.Commit = w.commit()
	m.Approvers, m.Reviews, m.Checks = []string{"ines"}, []fleet.Review{}, []fleet.Check{}
	return func() { w.append(evidence.Control, evidence.MergesDir, []fleet.Merge{m}) }
}

// open puts the cycle on main, made from evidence as it is.
func (w *replayWorld) open() {
	rows := []fleet.InventoryRow{}
	for _, t := range w.repo.TenantIDs() {
		rows = rows[:0]
		for n := range 10 {
			rows = append(rows, fleet.InventoryRow{Tenant: t, Device: fmt.Sprintf("%x", n), Platform: "windows", LastSeen: "2026-11-17", At: w.clock.Now()})
		}
		w.append(evidence.Shard(t), evidence.InventoryDir(t), rows)
	}
	rec, err := w.ledger.Read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	cycle := fleet.Cycle{CutOff: w.clock.Now(), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{}}
	for _, id := range []fleet.PackageID{replayTool, replayPad} {
		cycle.Entries[id] = fleet.Entry{Release: "2.0", Artifact: fleet.DigestOf([]byte(id))}
	}
	w.repo.Cycles[replayCycle], w.repo.Plans[replayCycle] = cycle, map[string]fleet.PlanRecord{}
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(w.repo, rec, replayCycle, cycle, gate)
		if err != nil {
			w.t.Fatal(err)
		}
		w.repo.Plans[replayCycle][gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence}
		w.append(evidence.Control, evidence.PlanDir(replayCycle, plan.Digest()), plan.Rows)
	}
	w.merge(fleet.Merge{})()
}

// happen lets one thing happen at random, and gives what is to be recorded of
// it later.
func (w *replayWorld) happen(n int) func() {
	now, wave := w.clock.Now(), []string{"dogfood", "everyone"}[w.rand.IntN(2)]
	pkg := []fleet.PackageID{replayTool, replayPad}[w.rand.IntN(2)]
	tenant := w.repo.TenantIDs()[w.rand.IntN(2)]
	entry := w.repo.Cycles[replayCycle].Entries[pkg]
	switch w.rand.IntN(8) {
	case 0, 1:
		gate := []string{"dogfood", "everyone", rollout.CloseGate}[min(w.rand.IntN(5), 2)]
		decision := []string{"approved", "approved", "rejected"}[w.rand.IntN(3)]
		plan := w.repo.Plans[replayCycle][gate].Digest
		if w.repo.Approvals[replayCycle] == nil {
			w.repo.Approvals[replayCycle] = map[string]fleet.Approval{}
		}
		w.repo.Approvals[replayCycle][gate] = fleet.Approval{Cycle: replayCycle, Gate: gate, Decision: decision, Plan: plan, ValidUntil: now.Add(72 * time.Hour)}
		file, blob := fleet.ApprovalFile(replayCycle, gate), fmt.Sprint("blob", n)
		w.repo.Blobs[file] = blob
		return w.merge(fleet.Merge{Approves: string(replayCycle) + "/" + gate, Plan: plan, ApprovalBlobs: map[string]string{file: blob}})
	case 2:
		w.append(evidence.Control, evidence.WavesDir(replayCycle), []fleet.WaveStart{{Cycle: replayCycle, Wave: wave, Opens: now.Add(time.Duration(w.rand.IntN(6)) * time.Hour), Plan: w.repo.Plans[replayCycle][wave].Digest, At: now}})
	case 3:
		id := fmt.Sprint("i", n)
		i := fleet.Intent{ID: id, Cycle: replayCycle, Wave: wave, Tenant: tenant, Package: pkg, Release: "2.0", Artifact: entry.Artifact, Action: []string{"assign", "promote", "rollback"}[w.rand.IntN(3)],
			Generation: n, Main: w.main, NotAfter: now.Add(rollout.Lease), At: now}
		w.append(evidence.Shard(tenant), evidence.IntentsDir(replayCycle, wave), []fleet.Intent{i})
		return func() {
			w.append(evidence.Shard(tenant), evidence.ReceiptsDir(replayCycle, wave), []fleet.Receipt{{Intent: id, Cycle: replayCycle, Wave: wave, Tenant: tenant, Package: pkg, Artifact: entry.Artifact, Action: i.Action, Outcome: "done", At: w.clock.Now()}})
		}
	case 4, 5:
		w.append(evidence.Control, evidence.VerdictsDir(replayCycle), []fleet.Verdict{{Cycle: replayCycle, Wave: wave, Package: pkg, Artifact: entry.Artifact, Look: fleet.Duration(time.Duration(6+22*w.rand.IntN(2)) * time.Hour),
			Decision: []string{"pass", "pass", "fail", "inconclusive"}[w.rand.IntN(4)], Rule: "a rule", Inputs: map[string]string{"main": w.main}, At: now}})
	case 6:
		until := now.Add(10 * time.Hour)
		w.repo.Holds[fmt.Sprint("h", n)] = fleet.Hold{Kind: []string{"hold", "hold", "revocation"}[w.rand.IntN(3)], Package: pkg, Release: "2.0", Reason: "a reason", Expires: &until}
		return w.merge(fleet.Merge{})
	default:
		if name := fmt.Sprint("h", w.rand.IntN(n+1)); w.rand.IntN(2) == 0 {
			delete(w.repo.Holds, name)
			return w.merge(fleet.Merge{})
		}
		w.append(evidence.Control, evidence.HeartbeatDir, []fleet.Heartbeat{{Command: fmt.Sprint("run ", n), Main: w.main, At: now}})
	}
	return nil
}

// A moment is what was derived at an instant, live.
type moment struct {
	at      time.Time
	main    string
	cycles  []rollout.CycleState
	actions []rollout.Action
	waits   []rollout.Wait
}

func derived(t *testing.T, facts rollout.Facts, err error, at time.Time) moment {
	t.Helper()
	if err != nil {
		t.Fatalf("at %s: %v", at, err)
	}
	m := moment{at: at, main: facts.Repo.Commit}
	if m.cycles, err = rollout.Derive(facts, at); err != nil {
		t.Fatal(err)
	}
	if m.actions, m.waits, err = rollout.Step(facts, at); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReplay lets weeks happen at random and derives, at many instants, phases,
// actions and waits. When the week is over, the same comes out for every one of
// these instants again: merges that were recorded late, approvals that were
// replaced, holds that were deleted included.
func TestReplay(t *testing.T) {
	phases := map[string]int{}
	for seed := range uint64(5) {
		w := newReplayWorld(t, seed)
		w.clock.Set(time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC))
		w.open()
		var lived []moment
		var later []func()
		look := func() {
			facts, err := w.Observe(t.Context())
			lived = append(lived, derived(t, facts, err, w.clock.Now()))
		}
		look()
		for n := range 40 {
			w.clock.Set(w.clock.Now().Add(time.Duration(1+w.rand.IntN(5*3600)) * time.Second))
			if record := w.happen(n); record != nil {
				later = append(later, record)
			}
			if w.rand.IntN(2) == 0 {
				for _, record := range later { // a run comes by and writes down what it finds
					record()
				}
				later = nil
			}
			look()
			w.clock.Set(w.clock.Now().Add(time.Duration(w.rand.IntN(3600)) * time.Second))
			look()
		}
		for _, m := range lived {
			facts, err := w.ObserveAsOf(t.Context(), w.ledger, m.at)
			if again := derived(t, facts, err, m.at); !reflect.DeepEqual(again, m) {
				t.Fatalf("seed %d: at %s it was\n%+v\nreplayed it is\n%+v", seed, m.at, m, again)
			}
			for _, c := range m.cycles {
				for _, x := range c.Waves {
					phases[x.Phase]++
				}
			}
		}
	}
	for _, phase := range []string{rollout.WaveClosed, rollout.WaveOpening, rollout.WaveArmed, rollout.WaveBaking, rollout.WaveJudged} {
		if phases[phase] == 0 {
			t.Errorf("no wave was ever %s: the weeks show too little (%v)", phase, maps.Clone(phases))
		}
	}
}

// TestReplayBefore asks for a time before main's first commit.
func TestReplayBefore(t *testing.T) {
	w := newReplayWorld(t, 1)
	if _, err := w.ObserveAsOf(t.Context(), w.ledger, w.clock.Now().Add(-time.Second)); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("%v", err)
	}
	facts, err := w.ObserveAsOf(t.Context(), w.ledger, w.clock.Now())
	if err != nil || facts.Repo.Commit != w.main {
		t.Errorf("%+v, %v", facts.Repo, err)
	}
}
