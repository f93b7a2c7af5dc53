package fleets_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/fleets"
)

// small is a fleet that tests can afford, with everything in it.
func small() fleets.Size { return fleets.Size{Name: "XS", Tenants: 21, Packages: 20, Devices: 900} }

// facts are what Step is given of a fleet: the plans of waves that have not
// started are recomputed, as factory.Observe does.
func facts(t testing.TB, repo *fleet.Repository, rec *fleet.Record) rollout.Facts {
	t.Helper()
	then := *rec
	then.Heads = repo.Plans[fleets.SecondCycle]["everyone"].Inputs
	plan, err := rollout.Plan(repo, &then, fleets.SecondCycle, repo.Cycles[fleets.SecondCycle], "everyone")
	if err != nil {
		t.Fatal(err)
	}
	return rollout.Facts{Repo: repo, Record: rec, Plans: map[fleet.CycleID]map[string]fleet.Plan{fleets.SecondCycle: {"everyone": plan}}}
}

// TestNothingIsDue shows that a fleet is as far as it says: a run would find
// every gate passed, every effect receipted, and nothing to do.
func TestNothingIsDue(t *testing.T) {
	f, err := fleets.New(small())
	if err != nil {
		t.Fatal(err)
	}
	in := facts(t, f.Repo, f.Record)
	actions, waits, err := rollout.Step(in, f.Now)
	if err != nil || len(actions) > 0 || len(waits) == 0 {
		t.Errorf("actions %v, waits %v, %v", actions, waits, err)
	}
	cycles, err := rollout.Derive(in, f.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cycles {
		for _, w := range c.Waves {
			if w.Refusal != "" {
				t.Errorf("%s %s: %s", c.ID, w.Wave.Name, w.Refusal)
			}
		}
	}
	first, second := cycles[0], cycles[1]
	if !first.Closed || !first.Entries[0].Done || second.Wave("pilot").Phase != rollout.WaveJudged || second.Wave("everyone").Phase != rollout.WaveClosed {
		t.Errorf("%s closed %v; pilot of %s %s", first.ID, first.Closed, second.ID, second.Wave("pilot").Phase)
	}
	devices := 0
	for _, rows := range rollout.LatestInventory(f.Record, f.Now) {
		devices += len(rows)
	}
	plan := in.Plans[fleets.SecondCycle]["everyone"]
	if devices != f.Size.Devices || plan.Digest() != f.Repo.Plans[fleets.SecondCycle]["everyone"].Digest || len(plan.Rows) < f.Size.Tenants {
		t.Errorf("%d devices; plan of %d rows, %s", devices, len(plan.Rows), plan.Digest())
	}
	again, err := fleets.New(small())
	if err != nil || !reflect.DeepEqual(again, f) {
		t.Errorf("the same size gives another fleet: %v", err)
	}
}

// TestWrite shows that the repository on disk says what the fleet in memory
// says, read by the code that packmill reads with.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo.git")
	f, err := fleets.Write(t.Context(), dir, small())
	if err != nil {
		t.Fatal(err)
	}
	git, err := gitrepo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := git.Tree("main")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := desired.Load(t.Context(), tree.Desired(t.Context()), desired.Options{Evaluator: desired.InProcess{}, Now: f.Now})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signing.NewVerifier(repo.Operator.Trust, signing.UseEvidence)
	if err != nil {
		t.Fatal(err)
	}
	ledger := evidence.Open(git, nil, verifier, fleet.NewManualClock(f.Now), fleet.Identity{})
	rec, err := ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := ledger.Verify(t.Context(), rec.Heads); err != nil || len(found) > 0 {
		t.Errorf("the ledger is not whole: %v, %v", found, err)
	}
	if !reflect.DeepEqual(rec.Heads, f.Record.Heads) || len(rec.Merges) != len(f.Record.Merges) || len(rec.Unknown) > 0 {
		t.Errorf("heads %v, want %v; %d merges, unknown %v", rec.Heads, f.Record.Heads, len(rec.Merges), rec.Unknown)
	}
	in := facts(t, repo, rec)
	if actions, _, err := rollout.Step(in, f.Now); err != nil || len(actions) > 0 {
		t.Errorf("actions %v, %v", actions, err)
	}
	same(t, "plan", in.Plans, facts(t, f.Repo, f.Record).Plans)
	for id, want := range f.Repo.Tenants {
		got := repo.Tenants[id]
		got.Policy.Origins, want.Policy.Origins = nil, nil // the pattern's own
		same(t, string(id), got, want)
	}
	same(t, "packages", repo.Packages, f.Repo.Packages)
	same(t, "waves", repo.Waves, f.Repo.Waves)
	same(t, "cycles", repo.Cycles, f.Repo.Cycles)
	same(t, "plans", repo.Plans, f.Repo.Plans)
	same(t, "blobs", repo.Blobs, f.Repo.Blobs)
}

// same compares what two values look like in JSON.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	a, err1 := json.Marshal(got)
	b, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(a) != string(b) {
		t.Errorf("%s: %v %v\n%.2000s\nwant\n%.2000s", what, err1, err2, a, b)
	}
}
