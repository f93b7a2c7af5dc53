package factory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const askedPlan, otherPlan = fleet.Digest("sha256:asked"), fleet.Digest("sha256:other")

// approvedFacts are two cycles with a started, approved wave each.
func approvedFacts() rollout.Facts {
	repo := &fleet.Repository{
		Week:  fleet.Week{Zone: "UTC", Steps: map[string]fleet.WeekStep{"cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}}},
		Waves: []fleet.Wave{{Name: "dogfood", Opens: fleet.Opens{Step: "dogfood"}}}, Cycles: map[fleet.CycleID]fleet.Cycle{}, Blobs: map[string]string{},
		Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
	}
	rec := &fleet.Record{}
	for id, plan := range map[fleet.CycleID]fleet.Digest{"2026-W46": otherPlan, "2026-W47": askedPlan} {
		file := fleet.ApprovalFile(id, "dogfood")
		repo.Cycles[id] = fleet.Cycle{Waves: []string{"dogfood"}}
		repo.Blobs[file] = "b1"
		repo.Approvals[id] = map[string]fleet.Approval{"dogfood": {Decision: "approved", Plan: plan}}
		rec.Merges = append(rec.Merges, fleet.Merge{Approves: string(id) + "/dogfood", Plan: plan, ApprovalBlobs: map[string]string{file: "b1"}, Approvers: []string{"ines"}})
		rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: id, Wave: "dogfood", Plan: plan})
	}
	return rollout.Facts{Repo: repo, Record: rec}
}

func TestOnlyTheWavesOfThePlan(t *testing.T) {
	var actions []rollout.Action
	for _, id := range []fleet.CycleID{"2026-W46", "2026-W47"} {
		for _, kind := range []string{rollout.StartWave, rollout.Deploy, rollout.Promote, rollout.Withdraw, rollout.RollBack} {
			actions = append(actions, rollout.Action{Kind: kind, Cycle: id, Wave: "dogfood"})
		}
	}
	other := rollout.Action{Kind: rollout.Deploy, Cycle: "2026-W47", Wave: "everyone"}
	want := append([]rollout.Action{actions[3], actions[4]}, actions[5:]...)
	got, err := Only{Plan: askedPlan}.approved(approvedFacts(), append(slices.Clone(actions), other), time.Now())
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v (%v)", got, want, err)
	}
	if got, err := (Only{}).approved(approvedFacts(), actions, time.Now()); err != nil || len(got) != len(actions) {
		t.Errorf("without a plan: %v, %v", got, err)
	}
	for name, change := range map[string]func(f rollout.Facts){
		"no approval": func(f rollout.Facts) { delete(f.Repo.Approvals, "2026-W47") },
		"a rejection": func(f rollout.Facts) {
			f.Repo.Approvals["2026-W47"]["dogfood"] = fleet.Approval{Decision: "rejected", Plan: askedPlan}
		},
		"an unreviewed file":      func(f rollout.Facts) { f.Repo.Blobs[fleet.ApprovalFile("2026-W47", "dogfood")] = "b2" },
		"a wave of another start": func(f rollout.Facts) { f.Record.Starts[0].Plan, f.Record.Starts[1].Plan = "sha256:a", "sha256:b" },
		"nobody's word": func(f rollout.Facts) {
			f.Record.Merges[0].Approvers, f.Record.Merges[1].Approvers = nil, nil
		},
	} {
		facts := approvedFacts()
		change(facts)
		if got, err := (Only{Plan: askedPlan}).approved(facts, actions, time.Now()); fleet.KindOf(err) != fleet.Refused || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestKeysThatVouchForThemselves(t *testing.T) {
	mill, theirs := newKey(t), newKey(t)
	trusting := func(keys ...*signing.Key) *fleet.Repository {
		trust := fleet.Trust{Keys: map[string]fleet.TrustedKey{}}
		for _, k := range keys {
			trust.Keys[k.KeyID()[:8]] = fleet.TrustedKey{PEM: k.PublicPEM(), Uses: []string{signing.UseEvidence}, From: "2026-01-01"}
		}
		return &fleet.Repository{Operator: fleet.Operator{Trust: trust}}
	}
	commits := map[string]*fleet.Repository{"c0": trusting(mill), "c1": trusting(mill, theirs)}
	f := &Factory{Desired: func(_ context.Context, rev string) (*fleet.Repository, error) { return commits[rev], nil }}
	merge := func(base string, key *signing.Key) fleet.Merge { return fleet.Merge{Base: base, Key: key.KeyID()} }
	for _, c := range []struct {
		name   string
		merges []fleet.Merge
		faults string
	}{
		{"the mill's key", []fleet.Merge{merge("c0", mill), merge("c1", mill)}, "--"},
		{"a key that a merge before it brought", []fleet.Merge{merge("c0", mill), merge("c1", theirs)}, "--"},
		{"a key that the merge itself brings", []fleet.Merge{merge("c0", theirs), merge("c1", theirs)}, "x-"},
	} {
		if err := f.distrust(t.Context(), c.merges); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range c.merges {
			if strings.Contains(m.Fault, "does not trust") {
				got += "x"
			} else {
				got += "-"
			}
		}
		if got != c.faults {
			t.Errorf("%s: %s, want %s", c.name, got, c.faults)
		}
	}
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	private, _, err := signing.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.Parse(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestFrozenComparesRoots(t *testing.T) {
	row := func(devices ...string) fleet.Membership {
		return fleet.Membership{Cycle: "2026-W47", Wave: "dogfood", Tenant: "us/own", Devices: devices, Root: rollout.Root(devices)}
	}
	rec := &fleet.Record{Members: []fleet.Membership{row("a", "b")}}
	if !rollout.IsFrozen(rec, row("a", "b")) {
		t.Error("what a killed run wrote is written again")
	}
	if rollout.IsFrozen(rec, row("a")) {
		t.Error("another plan's membership stays under a new start")
	}
	rec.Members = append(rec.Members, row("a"))
	if rollout.IsFrozen(rec, row("a", "b")) {
		t.Error("a membership that was superseded counts")
	}
}

// TestDeployTakesWhatThePlanSays deploys in time, and late: what is late is
// shifted into the tenant's next window, or left.
func TestDeployTakesWhatThePlanSays(t *testing.T) {
	opens := time.Date(2026, 11, 19, 9, 0, 0, 0, time.UTC) // a Thursday
	mornings := map[string]fleet.Window{"w": {On: []string{"Thu", "Fri"}, From: "08:00", Until: "11:00", For: []string{"install"}}}
	deadline := opens.Add(28 * time.Hour)
	for name, c := range map[string]struct {
		windows     map[string]fleet.Window
		now         time.Time
		from, until time.Time // zero for nothing
	}{
		"in time":                     {nil, opens.Add(-3 * time.Hour), opens, deadline},
		"in time, in a window":        {mornings, opens, opens, deadline},
		"seven hours late":            {nil, opens.Add(7 * time.Hour), time.Time{}, time.Time{}},
		"seven hours late, windows":   {mornings, opens.Add(7 * time.Hour), time.Time{}, time.Time{}},
		"before the next one, pushed": {mornings, opens.Add(20 * time.Hour), opens.Add(23 * time.Hour), opens.Add(26 * time.Hour)},
		"in the next one":             {mornings, opens.Add(25 * time.Hour), opens.Add(23 * time.Hour), opens.Add(26 * time.Hour)},
		"when all are over":           {mornings, opens.Add(27 * time.Hour), time.Time{}, time.Time{}},
	} {
		facts := approvedFacts()
		facts.Repo.Waves[0].Arm = fleet.Duration(6 * time.Hour)
		facts.Repo.Tenants = map[fleet.TenantID]fleet.Tenant{"us/own": {ID: "us/own", Zone: "UTC", Windows: c.windows}}
		facts.Repo.Approvals["2026-W47"]["dogfood"] = fleet.Approval{Decision: "approved", Plan: askedPlan, ValidUntil: opens.Add(24 * time.Hour)}
		facts.Repo.Cycles["2026-W47"] = fleet.Cycle{Entries: map[fleet.PackageID]fleet.Entry{"acme/tool": {Release: "3.0", Artifact: "sha256:three"}}}
		facts.Record.PlanRows = map[fleet.Digest][]fleet.PlanRow{askedPlan: {{
			Tenant: "us/own", Package: "acme/tool", To: "2.0", Artifact: "sha256:two", Wave: "dogfood", NotBefore: opens, Deadline: deadline,
		}}}
		deploy := rollout.Action{Kind: rollout.Deploy, Cycle: "2026-W47", Wave: "dogfood", Tenant: "us/own", Packages: []fleet.PackageID{"acme/pad", "acme/tool"}}
		effects := rollout.Effects(facts, rollout.HistoryOf(facts.Record), []rollout.Action{deploy}, c.now)
		if c.from.IsZero() {
			if len(effects) != 0 {
				t.Errorf("%s: %+v", name, effects)
			}
			continue
		}
		if len(effects) != 1 || effects[0].Entry != (fleet.Entry{Release: "2.0", Artifact: "sha256:two"}) || effects[0].Plan != askedPlan {
			t.Errorf("%s: %+v", name, effects)
			continue
		}
		if e := effects[0]; !e.Opens.Equal(c.from) || !e.Deadline.Equal(c.until) {
			t.Errorf("%s: from %s until %s", name, e.Opens, e.Deadline)
		}
	}
}
