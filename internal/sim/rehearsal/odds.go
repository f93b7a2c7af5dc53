package rehearsal

import (
	"math"
	"sort"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// The methods by which a probability to halt is found.
const (
	Binomial = "binomial" // in closed form, from the frozen waves
	Sampled  = "sampled"  // by rehearsing the cycle with other seeds
)

// Odds are how likely a cycle is halted.
type Odds struct {
	Method   string  `json:"method"`          // binomial, sampled
	Runs     int     `json:"runs,omitempty"`  // rehearsals, where sampled
	Any      float64 `json:"any"`             // that at least one release is halted, 0 … 1
	Error    float64 `json:"error,omitempty"` // half of the 95 % interval of Any, where sampled
	Releases []Odd   `json:"releases"`        // each on its own
	About    string  `json:"about"`           // what the figures rest on
}

// An Odd is how likely one release is halted.
type Odd struct {
	Package fleet.PackageID `json:"package"`
	Release string          `json:"release"`
	Failing float64         `json:"failing"` // share of devices the model lets it break on
	Halt    float64         `json:"halt"`
}

// ClosedForm is the probability by formula. In each wave the devices that
// report are a binomial number of its members, those that failed a binomial
// number of these, and the wave halts the release from the smallest number of
// failures on that its gate calls a fail. That holds where all devices that
// will report have done so by the gate's first look, which is every device that
// is on: a late start, an outage or a tenant's own window is not in it.
func (r *Result) ClosedForm(m *Model, id fleet.CycleID) Odds {
	f := r.State.Facts()
	out := Odds{Method: Binomial, Any: 1, About: "each wave's reports are binomial; late starts and outages are not in it"}
	known := map[halting]float64{}
	members := map[string]map[fleet.PackageID]int{} // wave → package → devices planned
	for _, s := range f.Record.Starts {
		if s.Cycle != id {
			continue
		}
		members[s.Wave] = map[fleet.PackageID]int{}
		for _, row := range f.Record.PlanRows[s.Plan] {
			members[s.Wave][row.Package] += row.Devices
		}
	}
	none := 1.0
	for _, pkg := range sortedEntries(f.Repo.Cycles[id]) {
		entry := f.Repo.Cycles[id].Entries[pkg]
		share := m.failing(pkg, entry.Release)
		goes := 1.0
		for _, name := range f.Repo.Cycles[id].Waves {
			n := members[name][pkg]
			wave, err := rollout.WaveOf(f.Repo, id, name)
			if err != nil {
				continue // whatever goes on there, no gate looks at it
			}
			if n == 0 {
				n = planned(f, id, name, pkg)
			}
			key := halting{name, n, share}
			p, done := known[key]
			if !done {
				p = halts(wave.Gate, n, share, m.Silent)
				known[key] = p
			}
			goes *= 1 - p
		}
		out.Releases = append(out.Releases, Odd{pkg, entry.Release, share, round(1 - goes)})
		none *= goes
	}
	out.Any = round(1 - none)
	return out
}

// planned are the devices of a wave that has not started, as its plan has them:
// a rehearsal that halted a release early never started the later ones.
func planned(f rollout.Facts, id fleet.CycleID, wave string, pkg fleet.PackageID) int {
	n := 0
	for _, row := range f.Plans[id][wave].Rows {
		if row.Package == pkg {
			n += row.Devices
		}
	}
	return n
}

type halting struct {
	wave  string
	n     int
	share float64
}

func sortedEntries(c fleet.Cycle) []fleet.PackageID {
	out := make([]fleet.PackageID, 0, len(c.Entries))
	for id := range c.Entries {
		out = append(out, id)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

func round(p float64) float64 { return math.Round(p*1e6) / 1e6 }

// halts is the probability that a gate fails a wave of n devices of which a
// share breaks and a share is silent.
func halts(g fleet.Gate, n int, share, silent float64) float64 {
	if n == 0 || share <= 0 || len(g.Looks) == 0 {
		return 0
	}
	total := 0.0
	from, to := spread(n, 1-silent)
	worst := 0 // fewest failures, of one report fewer
	for reports := from; reports <= to; reports++ {
		weight := binomial(reports, n, 1-silent)
		if reports < 20 {
			worst = 0 // with very few reports a gate never fails; from there on the number never falls
		}
		worst = fewest(g, n, reports, worst)
		total += weight * atLeast(worst, reports, share)
	}
	return min(total, 1)
}

// fewest is the smallest number of failures, from a number on, by which a gate
// fails a wave of n devices of which some reported; one more than that if none
// does.
//
// It is near the number it is looked for from, which is that of one report
// fewer: so it is fenced in by growing steps before it is halved.
func fewest(g fleet.Gate, n, reports, from int) int {
	fails := func(k int) bool {
		c := fleet.Counts{Succeeded: reports - k, Failed: k, Silent: n - reports}
		return gate.Judge(g, gate.Sample{Counts: c, Look: g.Looks[0]}).Decision == gate.Fail
	}
	low, high := from, from // nothing below low fails
	for step := 1; high <= reports && !fails(high); step *= 2 {
		low, high = high+1, min(high+step, reports+1)
	}
	return low + sort.Search(max(high-low, 0), func(i int) bool { return fails(low + i) })
}

// spread are the numbers of n that are worth looking at: the mean and eight
// deviations to either side.
func spread(n int, p float64) (from, to int) {
	mean, width := float64(n)*p, 8*math.Sqrt(float64(n)*p*(1-p))+1
	return max(0, int(mean-width)), min(n, int(mean+width)+1)
}

// binomial is the probability of k of n.
func binomial(k, n int, p float64) float64 {
	switch {
	case p >= 1:
		return map[bool]float64{true: 1}[k == n]
	case p <= 0:
		return map[bool]float64{true: 1}[k == 0]
	}
	return math.Exp(choose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

// choose is the logarithm of the number of ways to take k of n.
func choose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// atLeast is the probability of k or more of n.
func atLeast(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	sum := 0.0
	_, to := spread(n, p)
	for i := k; i <= n && (i <= to || i < k+50); i++ {
		sum += binomial(i, n, p)
	}
	return min(sum, 1)
}

// Sample is the probability as found by rehearsing the cycle with as many other
// seeds, the model's own the first of them.
func Sample(in Input, m Model, o Options, runs int) (Odds, error) {
	out := Odds{Method: Sampled, Runs: runs, About: "the share of rehearsals, each with another seed, that halted something"}
	halted, any := map[fleet.PackageID]int{}, 0
	var cycle fleet.Cycle
	for n := range runs {
		model := m
		model.Seed = m.Seed + int64(n)
		r, err := Rehearse(in, model, o)
		if err != nil {
			return out, err
		}
		stops := r.Stops(o.Cycle)
		for _, s := range stops {
			halted[s.Package]++
		}
		if len(stops) > 0 {
			any++
		}
		cycle = r.State.facts.Repo.Cycles[o.Cycle]
	}
	part := func(n int) float64 { return round(float64(n) / float64(max(runs, 1))) }
	for _, pkg := range sortedEntries(cycle) {
		release := cycle.Entries[pkg].Release
		out.Releases = append(out.Releases, Odd{pkg, release, m.failing(pkg, release), part(halted[pkg])})
	}
	out.Any = part(any)
	out.Error = round(1.96 * math.Sqrt(out.Any*(1-out.Any)/float64(max(runs, 1))))
	return out, nil
}
