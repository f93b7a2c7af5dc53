package rehearsal

import (
	"fmt"
	"math"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func aboutGates() []invariant {
	return []invariant{
		{13, "an empty wave is undecided and never passes", emptyNeverPasses, []guard{
			{"no failures are a pass", func(w *world) { w.judgedBy(noFailures) }},
		}},
		{14, "thresholds that are missing or no numbers fail closed", failsClosed, []guard{
			{"a threshold that is not above what was seen is met", func(w *world) { w.judgedBy(notBelow) }},
		}},
	}
}

// judgedBy replaces the gate, in rehearsals and alone.
func (w *world) judgedBy(decide func(gate.Inputs) fleet.Verdict) {
	w.decide = decide
	w.verdict = func(f rollout.Facts, a rollout.Action, id fleet.PackageID, reports []fleet.Report) (fleet.Verdict, error) {
		in, err := rollout.GateInputs(f, a, id, reports)
		return decide(in), err
	}
}

func noFailures(in gate.Inputs) fleet.Verdict {
	v := gate.Decide(in)
	if v.Decision = gate.Pass; v.Counts.Failed > 0 {
		v.Decision = gate.Fail
	}
	return v
}

func notBelow(in gate.Inputs) fleet.Verdict {
	v := gate.Decide(in)
	success := 100 * float64(v.Counts.Succeeded) / float64(v.Counts.Total())
	if v.Decision = gate.Pass; success < in.Gate.Success || 100-success > 5+in.Gate.Error {
		v.Decision = gate.Fail
	}
	return v
}

// emptyNeverPasses judges nobody at all, by every kind of gate, and then has a
// week whose first wave selects no tenant.
func emptyNeverPasses(w *world) error {
	judged := 0
	for _, silent := range []string{"failed", "excluded"} {
		for _, undecided := range []string{"wait", "extend", "pool", "askHuman"} {
			g := invented().Facts.Repo.Waves[0].Gate
			g.Silent, g.Inconclusive, g.MaxExtend = silent, undecided, 1
			for _, look := range gate.Looks(g) {
				judged++
				earlier := map[fleet.TenantID]fleet.Counts{"direct/own": {Succeeded: 1000}}
				v := w.decide(gate.Inputs{Gate: g, Look: look, Counts: map[fleet.TenantID]fleet.Counts{"direct/own": {Excluded: 3}}, Earlier: earlier})
				if v.Decision != gate.Inconclusive {
					return fmt.Errorf("nobody at %s by a gate that says %s and %s: %s", look, silent, undecided, v.Decision)
				}
			}
		}
	}
	in := invented()
	repo := cloned(in.Facts.Repo)
	repo.Waves[0].Select.Tenants = map[string]fleet.Values{"role": {"nobody"}}
	in.Facts.Repo = repo
	r, err := w.week(in, Builtin(), nil)
	if err != nil {
		return err
	}
	for _, v := range r.State.facts.Record.Verdicts {
		if v.Wave != "dogfood" {
			continue
		}
		judged++
		if v.Decision != gate.Inconclusive {
			return fmt.Errorf("wave dogfood has %d devices, and %s at %s: %s", v.Counts.Total(), v.Package, v.At, v.Decision)
		}
	}
	return enough(18, judged, "verdicts on nobody")
}

// failsClosed judges a thousand successes by gates that say nothing, or no
// number, and then has a week whose first gate has no threshold.
func failsClosed(w *world) error {
	sound := invented().Facts.Repo.Waves[0].Gate
	for n, edit := range []func(*fleet.Gate){
		func(g *fleet.Gate) { g.Success = 0 }, func(g *fleet.Gate) { g.Success = math.NaN() }, func(g *fleet.Gate) { g.Success = math.Inf(-1) }, func(g *fleet.Gate) { g.Success = -1 },
		func(g *fleet.Gate) { g.Error = math.NaN() }, func(g *fleet.Gate) { g.Error = 100 }, func(g *fleet.Gate) { g.Error = math.Inf(1) },
		func(g *fleet.Gate) { g.Confidence = 0 }, func(g *fleet.Gate) { g.Confidence = math.NaN() }, func(g *fleet.Gate) { g.Confidence = 1 },
		func(g *fleet.Gate) { g.MinReports = 0 }, func(g *fleet.Gate) { g.Silent = "" }, func(g *fleet.Gate) { g.Looks = nil },
		func(g *fleet.Gate) { g.Stop = &fleet.Stop{} }, func(g *fleet.Gate) { *g = fleet.Gate{} },
	} {
		g := sound
		edit(&g)
		v := w.decide(gate.Inputs{Gate: g, Look: sound.Looks[1], Counts: map[fleet.TenantID]fleet.Counts{"direct/own": {Succeeded: 1000}}, Limits: map[fleet.TenantID]float64{"direct/own": 5}})
		if v.Decision != gate.Fail {
			return fmt.Errorf("gate %d, %+v: %s", n, g, v.Decision)
		}
	}
	in := invented()
	repo := cloned(in.Facts.Repo)
	repo.Waves[0].Gate.Success = 0
	in.Facts.Repo = repo
	r, err := w.week(in, Builtin(), nil)
	if err != nil {
		return err
	}
	intents := 0
	for _, i := range r.State.facts.Record.Intents {
		if i.Wave != "dogfood" && i.Action == "assign" {
			return fmt.Errorf("a gate without a threshold lets %s into wave %s", i.Package, i.Wave)
		}
		intents++
	}
	return enough(3, intents, "intents")
}
