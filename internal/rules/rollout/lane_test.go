package rollout_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// urgent lets the waves take part in the lane of fixes, with a pilot.
func urgent(w *world) {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	lane := func(after int) map[string]fleet.LaneWave {
		return map[string]fleet.LaneWave{"cve": {After: hours(after), Soak: hours(2), Looks: []fleet.Duration{hours(2)}}}
	}
	pilot := w.repo.Waves[1]
	pilot.Name, pilot.LanesOnly, pilot.Lanes = "pilot", true, lane(4)
	pilot.Select.Percent = new(float64(10))
	w.repo.Waves[0].Lanes, w.repo.Waves[1].Lanes = lane(0), lane(12)
	w.repo.Waves[1].Order = 3
	w.repo.Waves = slices.Insert(w.repo.Waves, 1, pilot)
}

const cve = fleet.CycleID("2026-W47-cve-01")

// tested is when the fix is ready, before the week's cut-off.
var readyAt = on(17, 9, 30)

func fixReady(w *world) {
	all(urgent, security(tool), inventory(on(17, 8, 0), own, aalt, berg), beat("detect", on(11, 4, 0)), merged(on(17, 9, 0), "acme/tool@2.0"),
		built(tool, "1.0"), built(tool, "2.0"), built(pad, "1.0"), built(pad, "2.0"), tested(tool, "2.0", "passed"), tested(pad, "2.0", "passed"))(w)
	for i := range w.rec.Tests {
		w.rec.Tests[i].At = readyAt
	}
}

// TestStepOpensTheSecurityLane: a fix does not wait for Wednesday, what is no
// fix does, and every run proposes the same cycle.
func TestStepOpensTheSecurityLane(t *testing.T) {
	w := newWorld(fixReady)
	var cutOffs []time.Time
	for _, now := range []time.Time{readyAt.Add(time.Minute), readyAt.Add(3 * time.Hour)} {
		actions, _, err := rollout.Step(w.facts(t), now)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(actions, func(a rollout.Action) bool { return a.Kind == rollout.OpenCycle && a.Cycle == cve })
		if i < 0 || !slices.Equal(actions[i].Packages, []fleet.PackageID{tool}) {
			t.Fatalf("%+v", actions)
		}
		cutOffs = append(cutOffs, actions[i].CutOff)
		c := rollout.NewCycle(w.repo, w.rec, cve, actions[i].CutOff, actions[i].Packages)
		if got := slices.Collect(maps.Keys(c.Entries)); !slices.Equal(got, []fleet.PackageID{tool}) || !slices.Equal(c.Waves, []string{"dogfood", "pilot", "everyone"}) {
			t.Errorf("the cycle holds %v through %v", got, c.Waves)
		}
	}
	if !cutOffs[0].Equal(readyAt) || !cutOffs[1].Equal(cutOffs[0]) {
		t.Errorf("cut-offs %v", cutOffs)
	}
}

// TestLaneGoesItsOwnPace: in a lane a wave opens after the cut-off, and the
// gate looks at the lane's ages; the week's cycle leaves out waves for lanes.
func TestLaneGoesItsOwnPace(t *testing.T) {
	w := newWorld(fixReady)
	c := rollout.NewCycle(w.repo, w.rec, cve, readyAt, nil)
	for wave, want := range map[string]time.Time{"dogfood": readyAt, "pilot": readyAt.Add(4 * time.Hour), "everyone": readyAt.Add(12 * time.Hour)} {
		plan, err := rollout.Plan(w.repo, w.rec, cve, c, wave)
		if err != nil || len(plan.Rows) == 0 {
			t.Fatalf("%s: %+v, %v", wave, plan, err)
		}
		for _, row := range plan.Rows {
			if !row.NotBefore.Equal(want) || row.Package != tool {
				t.Errorf("%s: %+v, want it at %s", wave, row, want)
			}
		}
		in, err := rollout.WaveOf(w.repo, cve, wave)
		if err != nil || len(in.Gate.Looks) != 1 || in.Gate.Looks[0].Std() != 2*time.Hour || in.Soak.Std() != 2*time.Hour {
			t.Errorf("%s: %+v, %v", wave, in, err)
		}
	}
	if week := rollout.NewCycle(w.repo, w.rec, w47, cutOffAt, nil); !slices.Equal(week.Waves, []string{"dogfood", "everyone"}) {
		t.Errorf("the week goes through %v", week.Waves)
	}
	if _, err := rollout.WaveOf(w.repo, "2026-W47-new-01", "pilot"); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a wave in a lane it does not name: %v", err)
	}
}

// TestLaneOfNewPackages takes nothing but those.
func TestLaneOfNewPackages(t *testing.T) {
	w := newWorld(fixReady, edit(pad, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"2.0": {Counter: 1, Change: "new"}}
	}))
	got := rollout.NewCycle(w.repo, w.rec, "2026-W47-new-01", readyAt.Add(time.Hour), nil)
	if _, ok := got.Entries[pad]; !ok || len(got.Entries) != 1 {
		t.Errorf("%v", got.Entries)
	}
}

// TestOverrideOfAFreeze: a cycle goes on through the freezes it names, and
// through no other.
func TestOverrideOfAFreeze(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	override := func(names ...string) fact {
		return func(w *world) {
			c := w.repo.Cycles[w47]
			c.Overrides = &fleet.Overrides{Freezes: names, Reason: "exploited"}
			w.repo.Cycles[w47] = c
			lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })(w)
		}
	}
	frozen := all(opened, freeze("all", on(18, 0, 0), on(25, 0, 0)))
	try(t, []situation{
		{"none", frozen, arm, nil, []string{"dogfood frozen by winter"}},
		{"another", all(frozen, override("summer")), arm, nil, []string{"dogfood frozen by winter"}},
		{"this one", all(frozen, override("summer", "winter")), arm, []string{"start dogfood"}, nil},
	})
}
