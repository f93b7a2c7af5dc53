package proof

import (
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
)

// Reachable proves of every lane that no way leads to its last wave without a
// merge that approves it and a verdict that means something on each wave
// before: a pass that only a release can earn which works on most devices, or
// the word of people who merged when the last look had left it undecided. A
// wave that packmill opens by itself must also have a gate that can fail. And it
// proves that a release which works gets there at all.
//
// It visits every state of a cycle with one release, in which people merge at
// any time and devices report anything; what follows from a state is asked of
// the rules that decide about real cycles.
func Reachable(repo *fleet.Repository) []Finding {
	var out []Finding
	for _, lane := range []string{fleet.LaneWeek, fleet.LaneSecurity, fleet.LaneOut, fleet.LaneNew} {
		if waves := fleet.WavesIn(repo.Waves, lane); len(waves) > 0 {
			out = append(out, machine{waves, lane, map[question]answer{}}.breaches()...)
		}
	}
	out = append(out, shortCuts(repo)...)
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(f Finding) bool { // a gate is told once, not once a lane
		key := f.Object + " " + f.File + " " + strings.Join(f.Keys, " ")
		was := seen[key]
		seen[key] = true
		return was
	})
}

// breaches searches the machine breadth first, so that each counterexample is
// a shortest one.
func (m machine) breaches() []Finding {
	last := len(m.waves) - 1
	var out []Finding
	told := map[string]bool{}
	arrives := false
	farthest := &state{facts: make([]fact, len(m.waves))}
	queue, known := []*state{farthest}, map[string]bool{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if known[s.key()] {
			continue
		}
		known[s.key()] = true
		if works(s) && lookedAt(s) > lookedAt(farthest) {
			farthest = s
		}
		i, field, why := m.breach(s)
		if why != "" {
			if key := m.waves[i].Name + field; !told[key] {
				told[key] = true
				out = append(out, m.finding(i, field, why, s))
			}
			continue // what follows from a breach is no news
		}
		if m.exposed(s, last) {
			arrives = arrives || works(s)
			continue
		}
		queue = append(queue, m.next(s)...)
	}
	if !arrives && len(out) == 0 {
		out = append(out, m.stuck(farthest))
	}
	return out
}

// lookedAt is the last wave that a gate has looked at, -1 for none.
func lookedAt(s *state) int {
	for i, f := range slices.Backward(s.facts) {
		if f.looks > 0 {
			return i
		}
	}
	return -1
}

// works reports whether every device succeeded at every look so far.
func works(s *state) bool {
	return !slices.ContainsFunc(s.facts, func(f fact) bool { return f.spoilt })
}

// breach says which wave's field lets a release go too far in a state, "" when
// none does.
func (m machine) breach(s *state) (wave int, field, why string) {
	last := len(m.waves) - 1
	for i, f := range s.facts {
		if i < last && m.waves[i].Advance == "autoMerge" && f.looks > 0 && m.judged(s, i) && f.ruin && f.verdict != gate.Fail {
			return i, "gate", "packmill goes on from it without asking people, and its gate cannot fail"
		}
	}
	if !m.exposed(s, last) {
		return 0, "", ""
	}
	if last == 0 {
		return 0, "", "it is the first wave and the last: every device gets a release that no verdict was ever given on"
	}
	for i := range last {
		switch before, now := s.facts[i], s.facts[i+1]; {
		case before.lets(now):
		case now.approval == unapproved:
			return i + 1, "", "it is reached without a merge that approves it"
		case before.verdict == gate.Pass:
			return i, "gate", "its gate passes what it must not"
		default:
			return i, "gate", "the next wave gets a release that it did not pass"
		}
	}
	return 0, "", ""
}

func (m machine) finding(i int, field, why string, s *state) Finding {
	f := Finding{
		File: wavesFile, Keys: []string{"waves", m.waves[i].Name}, Object: "wave " + m.waves[i].Name,
		Text: why + m.told(s), Hint: "raise the gate's success, lower its error, or leave the next wave to people (advance: \"merge\")",
	}
	if field != "" {
		f.Keys = append(f.Keys, field)
	}
	if field == "" {
		f.Hint = "let a wave of your own devices go first, with a gate of its own"
	}
	return f
}

// told is a counterexample as a sentence.
func (m machine) told(s *state) string {
	lane := ""
	if m.lane != fleet.LaneWeek {
		lane = " in the lane " + m.lane
	}
	steps := s.trace()
	if last := m.waves[len(m.waves)-1].Name; m.exposed(s, len(m.waves)-1) {
		steps = append(steps, "every device of wave "+last+" gets it")
	}
	return "; for example" + lane + ": " + strings.Join(steps, "; ")
}

// stuck is the finding that not even a release which works gets to the end.
func (m machine) stuck(s *state) Finding {
	i := max(lookedAt(s), 0)
	return Finding{
		File: wavesFile, Keys: []string{"waves", m.waves[i].Name, "gate"}, Object: "wave " + m.waves[i].Name,
		Text: "no release ever gets past it, whatever devices report" + m.told(s),
		Hint: "give the gate thresholds that a working release meets: success above 0, error below 100",
	}
}

// shortCuts are open cycles that go to the last wave of the week and leave out
// one before it: merging such a cycle, or the next approval, is all it takes to
// pass by that one's gate. A closing that was refused leaves a cycle open.
func shortCuts(repo *fleet.Repository) []Finding {
	var out []Finding
	waves := waveNames(fleet.WavesIn(repo.Waves, fleet.LaneWeek))
	for _, id := range repo.CycleIDs() {
		goes := repo.Cycles[id].Waves
		if id.Lane() != fleet.LaneWeek || repo.Closed(id) || len(waves) == 0 || !slices.Contains(goes, waves[len(waves)-1]) {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(waves), func(w string) bool { return slices.Contains(goes, w) })
		if len(left) == 0 {
			continue
		}
		last := waves[len(waves)-1]
		steps := []string{"a person merges the cycle, which approves wave " + goes[0], "wave " + goes[0] + " starts"}
		if goes[0] != last {
			steps = append(steps, "it passes, and so do those after it")
		}
		out = append(out, Finding{
			File: id.Dir() + "/cycle.cue", Keys: []string{"cycles", string(id), "waves"}, Object: "cycle " + string(id),
			Text: "it leaves out wave " + strings.Join(left, ", ") + "; for example: " + strings.Join(steps, "; ") + "; every device of wave " + last + " gets it, and no verdict was ever given on wave " + strings.Join(left, ", "),
			Hint: "let it go through wave " + left[0] + " first",
		})
	}
	return out
}

func waveNames(waves []fleet.Wave) []string {
	var out []string
	for _, w := range waves {
		out = append(out, w.Name)
	}
	return out
}
