package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func rawSteps(t *testing.T, w *world, now time.Time) (out []string) {
	list, _, err := rollout.Step(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		out = append(out, string(a.Cycle)+" "+told(a))
	}
	return out
}

// TestHaltsDoNotWaitForTheForge: a merge that is not recorded yet keeps no failed
// release from being withdrawn.
func TestHaltsDoNotWaitForTheForge(t *testing.T) {
	w := newWorld(all(dogfooding, verdict("dogfood", tool, 6, "fail", dogfoodAt.Add(6*time.Hour))))
	w.unrecorded = []string{"abc"}
	actions, _ := w.step(t, dogfoodAt.Add(7*time.Hour))
	t.Logf("%q", actions)
	if !slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, "withdraw") }) {
		t.Error("a failed release is not withdrawn while a merge is not recorded")
	}
}

// TestARefusedReleaseTakesNobodysPlace: a newer release that people refused leaves
// the older one its waves.
func TestARefusedReleaseTakesNobodysPlace(t *testing.T) {
	w := newWorld(all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), next("minor", on(20, 13, 0)), func(w *world) {
		w.repo.Approvals[w48]["everyone"] = fleet.Approval{Cycle: w48, Gate: "everyone", Decision: "rejected", Because: "no"}
	}, start("everyone", announceAt)))
	actions, waits := stepsOf(t, w, announceAt.Add(time.Minute))
	t.Logf("%q\n%q", actions, waits)
	if !slices.Contains(actions, "W47 deploy everyone nordic/aalto pad tool") {
		t.Error("2.0 is superseded by 3.0, which people refused for everyone: nobody gets either")
	}
}

// TestOneArtifactInOneCycle: an artifact in two open cycles is assigned by one.
func TestOneArtifactInOneCycle(t *testing.T) {
	over := on(26, 4, 0)
	w := newWorld(all(dogfooding, next("minor", on(25, 15, 0)), started48(over), func(w *world) {
		c := w.repo.Cycles[w48]
		c.Entries[tool] = fleet.Entry{Release: "2.0", Artifact: artifact(tool, "2.0")}
		rows := w.rec.PlanRows[w.repo.Plans[w48]["dogfood"].Digest]
		for i := range rows {
			rows[i].To, rows[i].Artifact = "2.0", artifact(tool, "2.0")
		}
	}))
	for _, a := range rawSteps(t, w, over) {
		if strings.Contains(a, "W48 deploy") {
			t.Errorf("2.0 is open and unjudged in W47 on us/own: %s", a)
		}
	}
}

// TestFixesLeaveTheWeekAlone: a fix is proposed in its lane and not by the week too.
func TestFixesLeaveTheWeekAlone(t *testing.T) {
	w := newWorld(all(milled, security(tool)))
	for i := range w.repo.Waves {
		w.repo.Waves[i].Lanes["cve"] = w.repo.Waves[i].Lanes["oob"]
	}
	for i := range w.rec.Tests {
		w.rec.Tests[i].At = detectAt.Add(2 * time.Hour)
	}
	now := cutOffAt.Add(time.Minute)
	list, waits, err := rollout.Step(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range list {
		if a.Kind != rollout.OpenCycle {
			continue
		}
		c := rollout.NewCycle(w.repo, w.rec, a.Cycle, a.CutOff, a.Packages)
		t.Log(a.Cycle, c.Entries)
		if _, ok := c.Entries[tool]; ok {
			n++
		}
	}
	t.Log(waits)
	if n > 1 {
		t.Errorf("acme/tool is proposed in %d cycles at once", n)
	}
}

// TestAReopenedWaveKeepsNoOther: a wave that is open again, because a hold ended,
// keeps no later one from being looked at.
func TestAReopenedWaveKeepsNoOther(t *testing.T) {
	w := newWorld(all(dogfooding, verdict("dogfood", pad, 6, "pass", dogfoodAt.Add(6*time.Hour)), approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt),
		did("assign", "everyone", aalt, pad, announceAt), did("assign", "everyone", berg, pad, announceAt)))
	w.repo.Waves[0].Gate.Inconclusive, w.repo.Waves[0].Gate.MaxExtend = "extend", 20
	actions := rawSteps(t, w, deployAt.Add(24*time.Hour+time.Minute))
	t.Logf("%q", actions)
	ok := false
	for _, a := range actions {
		ok = ok || strings.Contains(a, "judge everyone")
	}
	if !ok {
		t.Error("wave everyone runs on the fleet and its look is not taken: wave dogfood has an entry (held until a moment ago) without its last word")
	}
}

// TestCarriedIsDeployed: a pass that a carried entry inherits does not keep the wave
// from those who lack it.
func TestCarriedIsDeployed(t *testing.T) {
	// W47 passed everywhere but aalto had deferred it; W48 carries it on to aalto.
	cut := cutOffAt.AddDate(0, 0, 7)
	w := newWorld(all(rolled))
	keepI, keepR := w.rec.Intents[:0:0], w.rec.Receipts[:0:0]
	drop := map[string]bool{}
	for _, i := range w.rec.Intents {
		if i.Tenant == aalt && i.Package == tool {
			drop[i.ID] = true
			continue
		}
		keepI = append(keepI, i)
	}
	for _, r := range w.rec.Receipts {
		if !drop[r.Intent] {
			keepR = append(keepR, r)
		}
	}
	w.rec.Intents, w.rec.Receipts = keepI, keepR
	approve(rollout.CloseGate, on(24, 13, 0))(w)
	cycle := rollout.NewCycle(w.repo, w.rec, w48, cut, nil)
	t.Log(cycle.Entries)
	w.repo.Cycles[w48] = cycle
	w.repo.Plans[w48] = map[string]fleet.PlanRecord{}
	then := *w.rec
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(w.repo, &then, w48, cycle, gate)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(gate, len(plan.Rows))
		w.repo.Plans[w48][gate] = fleet.PlanRecord{Digest: plan.Digest()}
		w.rec.PlanRows[plan.Digest()] = plan.Rows
	}
	for _, gate := range cycle.Waves {
		approval(w48, gate, cut.Add(time.Hour))(w)
		a := w.repo.Approvals[w48][gate]
		a.ValidUntil = on(30, 0, 0).AddDate(0, 0, 9)
		w.repo.Approvals[w48][gate] = a
		opens := dogfoodAt.AddDate(0, 0, 7)
		if gate == "everyone" {
			opens = deployAt.AddDate(0, 0, 7)
		}
		w.rec.Starts = append(w.rec.Starts, fleet.WaveStart{Cycle: w48, Wave: gate, Opens: opens, At: opens.Add(-3 * time.Hour), Plan: w.repo.Plans[w48][gate].Digest})
	}
	now := deployAt.AddDate(0, 0, 7).Add(5 * time.Minute)
	list, waits, err := rollout.Step(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	ok := false
	for _, a := range list {
		if a.Cycle == w48 {
			t.Log(told(a))
			ok = ok || a.Kind == rollout.Deploy
		}
	}
	t.Log(waits)
	if !ok {
		t.Error("five minutes late, and aalto's row of the carried release is dropped: the wave counts as judged by a pass of W47")
	}
}

// TestClosedBeforeTheLastLook: what people closed before its last look left it
// undecided is not made stable.
func TestClosedBeforeTheLastLook(t *testing.T) {
	w := newWorld(all(rolling, verdict("everyone", tool, 24, "inconclusive", deployAt.Add(24*time.Hour)), verdict("everyone", pad, 24, "inconclusive", deployAt.Add(24*time.Hour)), approve(rollout.CloseGate, deployAt.Add(23*time.Hour))))
	actions, _ := stepsOf(t, w, deployAt.Add(25*time.Hour))
	t.Logf("closed an hour before the undecided last look: %q", actions)
	for _, a := range actions {
		if a == "W47 promote everyone nordic/aalto tool 2.0" {
			t.Errorf("people closed the cycle before the last look, which left it undecided, and it is promoted: %s", a)
		}
	}
}
