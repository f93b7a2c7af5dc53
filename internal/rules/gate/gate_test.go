package gate

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const hour = fleet.Duration(time.Hour)

// tolerating is a gate that lets the given percentage fail.
func tolerating(percent, confidence float64) fleet.Gate {
	return fleet.Gate{Success: 100 - percent, Error: percent, Confidence: confidence, MinReports: 1, Silent: "excluded", Looks: []fleet.Duration{hour}}
}

func judge(g fleet.Gate, c fleet.Counts, look fleet.Duration, last bool) Answer {
	return Judge(g, Sample{Counts: c, Look: look, Last: last})
}

func judged(g fleet.Gate, n, failed int) string {
	return judge(g, fleet.Counts{Succeeded: n - failed, Failed: failed}, hour, true).Decision
}

// TestSmallestPass is the table of how many devices prove a failure rate: one
// device fewer proves nothing.
func TestSmallestPass(t *testing.T) {
	for _, row := range []struct {
		percent, confidence float64
		n                   [4]int // with 0, 1, 2, 3 failures
	}{
		{2, 0.80, [4]int{80, 149, 213, 275}}, {2, 0.90, [4]int{114, 194, 265, 333}}, {2, 0.95, [4]int{149, 236, 313, 386}},
		{5, 0.80, [4]int{32, 59, 85, 110}}, {5, 0.90, [4]int{45, 77, 105, 132}}, {5, 0.95, [4]int{59, 93, 124, 153}},
		{10, 0.80, [4]int{16, 29, 42, 54}}, {10, 0.90, [4]int{22, 38, 52, 65}}, {10, 0.95, [4]int{29, 46, 61, 76}},
	} {
		g := tolerating(row.percent, row.confidence)
		for failed, n := range row.n {
			if got := judged(g, n, failed); got != Pass {
				t.Errorf("%v %% at %v: %d failures of %d: %s, want pass", row.percent, row.confidence, failed, n, got)
			}
			if got := judged(g, n-1, failed); got != Inconclusive {
				t.Errorf("%v %% at %v: %d failures of %d: %s, want inconclusive", row.percent, row.confidence, failed, n-1, got)
			}
		}
	}
}

// TestFewestFailures is the table of how many failures show a rate above the
// tolerance: one fewer does not.
func TestFewestFailures(t *testing.T) {
	sizes := []int{5, 10, 20, 50, 100, 200, 500}
	for percent, failures := range map[float64][]int{2: {2, 2, 3, 4, 6, 8, 16}, 5: {2, 3, 4, 6, 10, 16, 34}} {
		g := tolerating(percent, 0.95)
		for i, n := range sizes {
			if got := judged(g, n, failures[i]); got != Fail {
				t.Errorf("%v %%: %d failures of %d: %s, want fail", percent, failures[i], n, got)
			}
			if got := judged(g, n, failures[i]-1); got == Fail {
				t.Errorf("%v %%: %d failures of %d already fail", percent, failures[i]-1, n)
			}
		}
	}
}

// TestPower is how often a release of a true failure rate passes or fails.
func TestPower(t *testing.T) {
	g := tolerating(2, 0.95)
	answers := map[int][]string{} // by number of devices, then of failures
	for _, n := range []int{150, 500, 1000} {
		for k := range n + 1 {
			answer := Fail
			if k < 100 { // far beyond, where nothing but a fail can be
				answer = judged(g, n, k)
			}
			answers[n] = append(answers[n], answer)
		}
	}
	for _, c := range []struct {
		n        int
		rate     float64
		decision string
		want     float64
	}{
		{150, 0.001, Pass, 0.86}, {150, 0.01, Pass, 0.22}, {500, 0.001, Pass, 1.00}, {500, 0.01, Pass, 0.44},
		{1000, 0.001, Pass, 1.00}, {1000, 0.01, Pass, 0.79},
		{150, 0.05, Pass, 0}, {150, 0.05, Fail, 0.63}, {500, 0.05, Fail, 0.98}, {1000, 0.05, Fail, 1.00},
		{500, 0.02, Fail, 0.047}, // at the tolerance itself: never above 1-confidence
	} {
		probability := 0.0
		for k, answer := range answers[c.n] {
			if answer == c.decision {
				probability += binomial(c.n, k, c.rate)
			}
		}
		if math.Abs(probability-c.want) > 0.005 {
			t.Errorf("n=%d, rate %v: %s with %.3f, want %.2f", c.n, c.rate, c.decision, probability, c.want)
		}
	}
}

// binomial is the probability of exactly k of n.
func binomial(n, k int, p float64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

// TestBounds holds the bounds against binomial sums in 200 bits.
func TestBounds(t *testing.T) {
	for _, n := range []int{1, 2, 5, 20, 49, 100} {
		for k := 0; k <= n; k += 1 + n/7 {
			for _, confidence := range []float64{0.8, 0.9, 0.95, 0.999} {
				if k < n {
					p := upperBound(k, n, confidence)
					if tail := atMost(k, n, p); math.Abs(tail-(1-confidence)) > 1e-9 {
						t.Errorf("upper bound of %d of %d at %v is %v, where the tail is %v", k, n, confidence, p, tail)
					}
				}
				if k > 0 {
					p := lowerBound(k, n, confidence)
					if tail := 1 - atMost(k-1, n, p); math.Abs(tail-(1-confidence)) > 1e-9 {
						t.Errorf("lower bound of %d of %d at %v is %v, where the tail is %v", k, n, confidence, p, tail)
					}
				}
			}
		}
	}
	// Far beyond where a sum is feasible, the bounds still hold the share.
	for _, n := range []int{100_000, 1_000_000} {
		low, high := lowerBound(n/50, n, 0.95), upperBound(n/50, n, 0.95)
		normal := 1.645 * math.Sqrt(0.02*0.98/float64(n))
		if math.Abs(0.02-low-normal) > normal/10 || math.Abs(high-0.02-normal) > normal/10 {
			t.Errorf("of %d: from %v to %v, expected about 0.02 ± %v", n, low, high, normal)
		}
	}
}

// atMost is P(X <= k) by adding up its terms.
func atMost(k, n int, p float64) float64 {
	float := func(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }
	rate := float(p)
	odds := new(big.Float).SetPrec(200).Quo(rate, float(0).Sub(float(1), rate))
	term := float(1) // (1-p)^n, then times the odds and the next coefficient
	for range n {
		term.Mul(term, float(0).Sub(float(1), rate))
	}
	sum := float(0)
	for i := range k + 1 {
		sum.Add(sum, term)
		term.Mul(term, odds)
		term.Mul(term, float(float64(n-i)))
		term.Quo(term, float(float64(i+1)))
	}
	out, _ := sum.Float64()
	return out
}

func TestJudge(t *testing.T) {
	g := fleet.Gate{Success: 98, Error: 2, Confidence: 0.9, MinReports: 20, Silent: "failed", Looks: []fleet.Duration{hour}}
	excluding := g
	excluding.Silent = "excluded"
	for name, c := range map[string]struct {
		gate   fleet.Gate
		counts fleet.Counts
		last   bool
		want   string
		rule   string
	}{
		"good":                       {g, fleet.Counts{Succeeded: 600}, true, Pass, "600 of 600 devices reported, 0 failed: at 90 % confidence at least 99.62 % succeed"},
		"bad":                        {g, fleet.Counts{Succeeded: 40, Failed: 10}, false, Fail, "10 failed: at 90 % confidence more than 12.82 % fail, above the 2 % allowed"},
		"between":                    {g, fleet.Counts{Succeeded: 100, Failed: 2}, true, Inconclusive, "the gate asks for 98 %"},
		"too few":                    {g, fleet.Counts{Succeeded: 19}, true, Inconclusive, "fewer than the 20 reports"},
		"too few, all broken":        {g, fleet.Counts{Failed: 6}, false, Fail, "6 failed"},
		"far too few to stop":        {g, fleet.Counts{Failed: 4}, false, Inconclusive, "fewer than"},
		"empty wave":                 {g, fleet.Counts{Excluded: 30}, true, Inconclusive, "no device is in the wave"},
		"silent at an early look":    {g, fleet.Counts{Succeeded: 500, Silent: 100}, false, Inconclusive, "100 silent ones count as failed against a pass"},
		"silent at the last look":    {g, fleet.Counts{Succeeded: 500, Silent: 100}, true, Inconclusive, "100 silent ones count as failed against a pass: at 90 % confidence between"},
		"good, with some silent":     {g, fleet.Counts{Succeeded: 970, Silent: 30}, true, Inconclusive, "the gate asks for 98 %; the gate looks no more"},
		"bad, with some silent":      {g, fleet.Counts{Succeeded: 870, Failed: 100, Silent: 30}, true, Fail, "100 failed"},
		"few silent":                 {g, fleet.Counts{Succeeded: 598, Silent: 2}, true, Pass, "598 of 600"},
		"silent excluded":            {excluding, fleet.Counts{Succeeded: 500, Silent: 100}, true, Pass, "500 of 600"},
		"only silence":               {g, fleet.Counts{Silent: 100}, true, Inconclusive, "0 of 100 devices reported"},
		"only silence, excluded":     {excluding, fleet.Counts{Silent: 100}, true, Inconclusive, "0 of 100 devices reported"},
		"breaks a fifth of dogfood":  {g, fleet.Counts{Succeeded: 24, Failed: 6}, true, Fail, "6 failed"},
		"a wait never stops a stop":  {g, fleet.Counts{Succeeded: 24, Failed: 6, Silent: 300}, false, Fail, "6 failed"},
		"a million devices":          {g, fleet.Counts{Succeeded: 990_000, Failed: 10_000}, true, Pass, "98.99 % succeed"},
		"excluded ones do not count": {g, fleet.Counts{Succeeded: 600, Excluded: 1000}, true, Pass, "600 of 600"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(c.gate, c.counts, hour, c.last)
			if got.Decision != c.want || !strings.Contains(got.Rule, c.rule) {
				t.Errorf("%s (%s), want %s (%s)", got.Decision, got.Rule, c.want, c.rule)
			}
			if got.Lower > got.Upper || got.Lower < 0 || got.Upper > 100 {
				t.Errorf("bounds %v to %v", got.Lower, got.Upper)
			}
		})
	}
}

// TestFailsClosed takes every threshold away and out of range.
func TestFailsClosed(t *testing.T) {
	good := fleet.Gate{Success: 98, Error: 2, Confidence: 0.9, MinReports: 20, Silent: "failed", Looks: []fleet.Duration{hour}}
	perfect := fleet.Counts{Succeeded: 100_000}
	if got := judge(good, perfect, hour, true); got.Decision != Pass {
		t.Fatalf("the good gate does not pass: %+v", got)
	}
	for name, spoil := range map[string]func(*fleet.Gate){
		"empty":                func(g *fleet.Gate) { *g = fleet.Gate{} },
		"no success":           func(g *fleet.Gate) { g.Success = 0 },
		"success above":        func(g *fleet.Gate) { g.Success = 100.1 },
		"success NaN":          func(g *fleet.Gate) { g.Success = math.NaN() },
		"error below":          func(g *fleet.Gate) { g.Error = -1 },
		"error all":            func(g *fleet.Gate) { g.Error = 100 },
		"error NaN":            func(g *fleet.Gate) { g.Error = math.NaN() },
		"no confidence":        func(g *fleet.Gate) { g.Confidence = 0 },
		"certain":              func(g *fleet.Gate) { g.Confidence = 1 },
		"confidence infinite":  func(g *fleet.Gate) { g.Confidence = math.Inf(1) },
		"no reports":           func(g *fleet.Gate) { g.MinReports = 0 },
		"silent not said":      func(g *fleet.Gate) { g.Silent = "" },
		"silent said wrongly":  func(g *fleet.Gate) { g.Silent = "ignored" },
		"no looks":             func(g *fleet.Gate) { g.Looks = nil },
		"success is too small": func(g *fleet.Gate) { g.Success = -98 },
	} {
		g := good
		spoil(&g)
		if got := judge(g, perfect, hour, true); got.Decision != Fail || got.Lower != 0 || !strings.Contains(got.Rule, "stays shut") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, c := range []fleet.Counts{{Succeeded: -1}, {Succeeded: 100, Failed: -2}, {Succeeded: 100, Silent: -1}, {Succeeded: math.MaxInt, Failed: 1}} {
		if got := judge(good, c, hour, true); got.Decision != Fail {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	if got := judge(good, perfect, 0, true); got.Decision != Fail {
		t.Errorf("no look: %+v", got)
	}
}

// TestMonotone: one more failure in place of a success never helps.
func TestMonotone(t *testing.T) {
	order := map[string]int{Fail: 0, Inconclusive: 1, Pass: 2}
	if err := quick.Check(func(ok, failed, silent uint8, tight, last bool) bool {
		g := tolerating(5, 0.9)
		g.Silent = "excluded"
		if tight {
			g.Silent = "failed"
		}
		c := fleet.Counts{Succeeded: int(ok) + 1, Failed: int(failed), Silent: int(silent)}
		worse := fleet.Counts{Succeeded: c.Succeeded - 1, Failed: c.Failed + 1, Silent: c.Silent}
		a, b := judge(g, c, hour, last), judge(g, worse, hour, last)
		return order[b.Decision] <= order[a.Decision] && b.Lower <= a.Lower && b.Upper <= a.Upper
	}, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestSilenceNeverStops: silence turns no answer into a fail, and none into a
// pass.
func TestSilenceNeverStops(t *testing.T) {
	if err := quick.Check(func(ok uint16, failed, silent, more uint8, tight, last bool) bool {
		g := tolerating(5, 0.9)
		if tight {
			g.Silent = "failed"
		}
		c := fleet.Counts{Succeeded: int(ok), Failed: int(failed)}
		quiet, quieter := c, c
		quiet.Silent, quieter.Silent = int(silent), int(silent)+int(more)
		spoken, a, b := judge(g, c, hour, last).Decision, judge(g, quiet, hour, last).Decision, judge(g, quieter, hour, last).Decision
		return (spoken == Fail) == (a == Fail) && (a == Fail) == (b == Fail) && (b != Pass || a == Pass) && (a != Pass || spoken == Pass)
	}, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestPoolAndGuard(t *testing.T) {
	counts := map[fleet.TenantID]fleet.Counts{}
	for i := range 30 {
		counts[fleet.TenantID(fmt.Sprintf("p/t%02d", i))] = fleet.Counts{Succeeded: 20}
	}
	counts["p/hit"] = fleet.Counts{Succeeded: 16, Failed: 4}
	counts["p/unlucky"] = fleet.Counts{Succeeded: 19, Failed: 1}
	counts["p/tiny"] = fleet.Counts{Failed: 2}
	sum := Pool(counts)
	if want := (fleet.Counts{Succeeded: 635, Failed: 7}); sum != want {
		t.Errorf("pooled to %+v, want %+v", sum, want)
	}
	g := tolerating(2, 0.9)
	if got := judge(g, fleet.Counts{Succeeded: 20}, hour, true); got.Decision != Inconclusive {
		t.Errorf("one tenant alone: %+v", got)
	}
	if got := judge(g, sum, hour, true); got.Decision != Pass {
		t.Errorf("all tenants together: %+v", got)
	}
	limit := func(fleet.TenantID) float64 { return 2 }
	if got := Guard(g, counts, limit); !slices.Equal(got, []fleet.TenantID{"p/hit", "p/tiny"}) {
		t.Errorf("guarded %v", got)
	}
	if got := Guard(g, counts, func(fleet.TenantID) float64 { return 50 }); len(got) != 0 { // two of two prove 31 %
		t.Errorf("guarded %v under a wide limit", got)
	}
	if got := Guard(fleet.Gate{}, counts, func(fleet.TenantID) float64 { return math.NaN() }); !slices.Contains(got, "p/hit") {
		t.Errorf("an unusable limit guards nobody: %v", got)
	}
}

// TestGuardSmall: a pool does not hide that a tenant of few devices is broken.
func TestGuardSmall(t *testing.T) {
	g := tolerating(2, 0.95)
	g.Inconclusive = "pool"
	for _, c := range []struct {
		name  string
		small fleet.Counts
		limit float64
		want  string
	}{
		{"every one of four", fleet.Counts{Failed: 4}, 1, Inconclusive},
		{"both of two", fleet.Counts{Failed: 2}, 1, Inconclusive},
		{"two of four", fleet.Counts{Succeeded: 2, Failed: 2}, 1, Inconclusive},
		{"two of four, where the policy allows a tenth", fleet.Counts{Succeeded: 2, Failed: 2}, 10, Pass}, // at least 9.8 %
		{"the only one", fleet.Counts{Failed: 1}, 1, Pass},                                                // a coincidence, as in a large tenant
		{"none", fleet.Counts{Succeeded: 4}, 1, Pass},
	} {
		v := Decide(Inputs{
			Gate: g, Look: hour,
			Counts: map[fleet.TenantID]fleet.Counts{"p/small": c.small, "p/big": {Succeeded: 600}},
			Limits: map[fleet.TenantID]float64{"p/small": c.limit, "p/big": c.limit},
		})
		if v.Decision != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, v.Decision, c.want, v.Rule)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	g := tolerating(2, 0.95)
	for b.Loop() {
		judge(g, fleet.Counts{Succeeded: 490_000, Failed: 10_000}, hour, true)
	}
}
