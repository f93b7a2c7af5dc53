package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// phases is a cycle's state in one line: waves with their phases, then entries
// that are not simply under way.
func phases(c *rollout.CycleState) string {
	var parts []string
	for _, w := range c.Waves {
		parts = append(parts, w.Wave.Name+" "+w.Phase)
	}
	for i := range c.Entries {
		e := &c.Entries[i]
		name := strings.TrimPrefix(string(e.Package), "acme/")
		if e.Halted != nil {
			parts = append(parts, name+" halted")
		}
		if e.Held != nil {
			parts = append(parts, name+" "+e.Held.Kind)
		}
		if e.Done {
			parts = append(parts, name+" done")
		}
	}
	if c.Closed {
		parts = append(parts, "cycle closed")
	}
	return strings.Join(parts, ", ")
}

func TestDerivePhases(t *testing.T) {
	arm, look, end := dogfoodAt.Add(-3*time.Hour), dogfoodAt.Add(6*time.Hour), deployAt.Add(24*time.Hour)
	for _, c := range []struct {
		name  string
		facts fact
		now   time.Time
		want  string
	}{
		{"proposed is not approved", all(opened, func(w *world) { delete(w.repo.Approvals, w47) }), arm, "dogfood closed, everyone closed"},
		{"approved", opened, arm, "dogfood opening, everyone closed"},
		{"expired", opened, on(21, 0, 0), "dogfood closed, everyone closed"},
		{"started early", dogfooding, dogfoodAt.Add(-time.Second), "dogfood armed, everyone closed"},
		{"open", dogfooding, dogfoodAt, "dogfood baking, everyone closed"},
		{"a started wave keeps its approval", dogfooding, on(21, 0, 0), "dogfood baking, everyone closed"},
		{"a started wave keeps its instant", all(dogfooding, func(w *world) { w.repo.Week.Steps["dogfood"] = fleet.WeekStep{On: "Fri", At: "09:00"} }), dogfoodAt, "dogfood baking, everyone closed"},
		{"a late start opens it late", all(opened, start("dogfood", look)), look, "dogfood baking, everyone closed"},
		{"one word is not all", all(dogfooding, verdict("dogfood", pad, 6, "pass", look)), look, "dogfood baking, everyone closed"},
		{"judged by passes", dogfooded, look, "dogfood judged, everyone closed"},
		{"an undecided look is no last word", all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "inconclusive", look)), look, "dogfood baking, everyone closed"},
		{"unless it is the last look", all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 28, "inconclusive", on(20, 11, 0))), on(20, 11, 0), "dogfood judged, everyone closed"},
		{"nobody is in the wave: undecided, and judged at its last look", all(dogfooding, verdict("dogfood", pad, 28, "inconclusive", on(20, 11, 0)), verdict("dogfood", tool, 28, "inconclusive", on(20, 11, 0))), on(20, 11, 0),
			"dogfood judged, everyone closed"},
		{"a fail is a last word", all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "fail", look)), look, "dogfood judged, everyone closed, tool halted"},
		{"so is a hold", all(dogfooding, verdict("dogfood", pad, 6, "pass", look), hold("tool", "safeguardHold", tool)), look, "dogfood judged, everyone closed, tool safeguardHold"},
		{"a hold that is over is none", all(dogfooding, hold("tool", "hold", tool, look)), look, "dogfood baking, everyone closed"},
		{"a revocation stands before a hold", all(dogfooding, revoke(tool), hold("a", "hold", tool)), look, "dogfood baking, everyone closed, tool revocation"},
		{"rolling", rolling, deployAt, "dogfood judged, everyone baking"},
		{"promoted on one tenant is not done", all(rolled, did("promote", "everyone", own, tool, end)), end, "dogfood judged, everyone judged"},
		{"promoted everywhere is done", all(rolled, did("promote", "everyone", own, tool, end), did("promote", "everyone", aalt, tool, end), did("promote", "everyone", berg, tool, end)), end,
			"dogfood judged, everyone judged, tool done"},
		{"closed", all(rolled, approve(rollout.CloseGate, end)), end, "dogfood judged, everyone judged, cycle closed"},
		{"the closing of another plan", all(rolled, approve(rollout.CloseGate, end), lastMerge(func(m *fleet.Merge) { m.Plan = artifact(tool, "x") })), end, "dogfood judged, everyone judged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cycles, err := rollout.Derive(newWorld(c.facts).facts(t), c.now)
			if err != nil || len(cycles) != 1 {
				t.Fatal(len(cycles), err)
			}
			if got := phases(&cycles[0]); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDeriveHaltsAnArtifactEverywhere(t *testing.T) {
	look := dogfoodAt.Add(6 * time.Hour)
	w := newWorld(all(dogfooding, verdict("dogfood", tool, 6, "fail", look), carrying("2026-W47-oob-01", tool, pad)))
	cycles, err := rollout.Derive(w.facts(t), look)
	if err != nil || len(cycles) != 2 {
		t.Fatal(len(cycles), err)
	}
	if got := phases(&cycles[1]); cycles[1].ID != "2026-W47-oob-01" || !strings.HasSuffix(got, "tool halted") {
		t.Errorf("%s: %s", cycles[1].ID, got)
	}
	if cycles[1].Entry(pad).Stopped() || cycles[1].Entry("acme/none") != nil || cycles[1].Wave("none") != nil {
		t.Error("more was stopped than the artifact that failed")
	}
	// The revocation is proposed once, by the cycle in which it failed.
	actions, _ := w.step(t, look)
	if n := strings.Count(strings.Join(actions, "\n"), "propose-revoke"); n != 1 {
		t.Errorf("the revocation is proposed %d times: %q", n, actions)
	}
}

func TestDeriveTellsWhatIsWrong(t *testing.T) {
	for name, broken := range map[string]fact{
		"a wave that is gone":    func(w *world) { w.repo.Waves = w.repo.Waves[:1] },
		"a cycle with no name":   func(w *world) { w.repo.Cycles["yesterday"] = fleet.Cycle{} },
		"a week with no cut-off": func(w *world) { delete(w.repo.Week.Steps, "cutOff") },
	} {
		w := newWorld(opened)
		f := w.facts(t)
		broken(w)
		if _, err := rollout.Derive(f, dogfoodAt); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: Derive says %v", name, err)
		}
		// Step goes on: what stops must not wait for a file to be mended.
		_, waits, err := rollout.Step(f, dogfoodAt)
		if told := slices.ContainsFunc(waits, func(x rollout.Wait) bool {
			return x.Kind == fleet.Stalled && x.Cycle != "" && strings.HasPrefix(x.Why, "nothing of it goes on but what stops: ")
		}); err != nil || !told {
			t.Errorf("%s: Step says %+v, %v", name, waits, err)
		}
	}
}

// Evidence of a wave only adds: whatever more is recorded of what has ended,
// it stays ended.
func TestTerminalPhasesStay(t *testing.T) {
	look := dogfoodAt.Add(6 * time.Hour)
	failed := all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "fail", look))
	more := map[string]fact{
		"a later pass":          verdict("dogfood", tool, 28, "pass", on(20, 11, 0)),
		"an undecided look":     verdict("dogfood", tool, 28, "inconclusive", on(20, 11, 0)),
		"a verdict on pad":      verdict("dogfood", pad, 28, "inconclusive", on(20, 11, 0)),
		"a receipt":             did("assign", "dogfood", own, tool, on(20, 11, 0)),
		"a promotion":           did("promote", "everyone", own, tool, on(20, 11, 0)),
		"an approval":           approve("everyone", on(20, 11, 0)),
		"a second, later start": start("dogfood", on(20, 11, 0)),
	}
	for name, fact := range more {
		cycles, err := rollout.Derive(newWorld(all(failed, fact)).facts(t), on(20, 12, 0))
		if err != nil {
			t.Fatal(err)
		}
		if c := cycles[0]; !c.Entry(tool).Stopped() || c.Waves[0].Phase != rollout.WaveJudged {
			t.Errorf("%s: %s", name, fmt.Sprint(phases(&c)))
		}
	}
}
