package gate

import (
	"math"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// The figures that the gate was designed by. All are exact: no chance is drawn,
// the probabilities of every number of failures are carried along.

// outcomes is what becomes of a rollout whose devices fail independently at a
// rate and report one after another: at every number of reports up to most, a
// rule may end it. It gives how likely each end is, and the mean number of
// reports until there is one.
func outcomes(rate float64, most int, rule func(failed, reports int) string) (ended map[string]float64, mean float64) {
	ended = map[string]float64{}
	alive := []float64{1} // by number of failures
	for n := 1; n <= most; n++ {
		next := make([]float64, n+1)
		for k, p := range alive {
			next[k] += p * (1 - rate)
			next[k+1] += p * rate
		}
		for k, p := range next {
			if p == 0 {
				continue
			}
			if end := rule(k, n); end != "" {
				ended[end] += p
				mean += p * float64(n)
				next[k] = 0
			}
		}
		alive = next
	}
	return ended, mean
}

// share is how likely a rule on the number of failures of n devices holds.
func share(n int, rate float64, holds func(failed int) bool) float64 {
	sum := 0.0
	for k := range n + 1 {
		if holds(k) {
			sum += binomial(n, k, rate)
		}
	}
	return sum
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %.4f, want %v", what, got, want)
	}
}

// TestNaiveRule is why a share is not compared with a threshold.
func TestNaiveRule(t *testing.T) {
	naive := func(n int) func(failed int) bool {
		return func(failed int) bool { return float64(n-failed)/float64(n) >= 0.98 }
	}
	near(t, "10 devices pass a release that breaks 5 %", share(10, 0.05, naive(10)), 0.60, 0.005)
	near(t, "10 devices pass a release that breaks 20 %", share(10, 0.20, naive(10)), 0.11, 0.005)
	near(t, "49 devices refuse a good release", 1-share(49, 0.01, naive(49)), 0.39, 0.005)
	near(t, "50 devices refuse a good release", 1-share(50, 0.01, naive(50)), 0.09, 0.005)
	// The gate does none of this: so few devices prove nothing either way.
	g := tolerating(2, 0.95)
	for _, n := range []int{10, 49, 50} {
		near(t, "the gate passes a broken one", share(n, 0.05, func(k int) bool { return judged(g, n, k) == Pass }), 0, 0)
		if wrong := share(n, 0.01, func(k int) bool { return judged(g, n, k) == Fail }); wrong > 0.05 {
			t.Errorf("the gate refuses a good release of %d devices with %.3f", n, wrong)
		}
	}
}

// TestEmptyPilot is why a wave has minDevices: a pilot of 1 % drawn device by
// device is empty more often than not in a small tenant.
func TestEmptyPilot(t *testing.T) {
	empty := func(k int) bool { return k == 0 }
	near(t, "a tenant of 100", share(100, 0.01, empty), 0.37, 0.005)
	near(t, "a tenant of 20", share(20, 0.01, empty), 0.82, 0.005)
	if a := judge(tolerating(2, 0.95), fleet.Counts{}, hour, true); a.Decision != Inconclusive {
		t.Errorf("an empty wave is %s", a.Decision)
	}
}

// TestHonestThreshold: no tenant of less than 149 devices can show a failure
// rate of at most 2 % at 95 %, nor one of less than 114 at 90 %.
func TestHonestThreshold(t *testing.T) {
	for confidence, n := range map[float64]int{0.95: 149, 0.90: 114} {
		g := tolerating(2, confidence)
		if judged(g, n, 0) != Pass || judged(g, n-1, 0) != Inconclusive {
			t.Errorf("at %v the first pass is not at %d devices", confidence, n)
		}
	}
}

// TestFalseHalts is why a gate has fixed looks: at a failure rate equal to the
// tolerance, 2 % of 500 devices, an exact bound at 95 % that is looked at after
// every report stops a fifth of all rollouts. The reference gives 5.4, 10.7 and
// 22.2 %: these are the exact values that it scattered about.
func TestFalseHalts(t *testing.T) {
	g := tolerating(2, 0.95)
	for what, c := range map[string]struct {
		looks func(n int) bool
		want  float64
	}{
		"judged once":                          {func(n int) bool { return n == 500 }, 0.0470},
		"at five looks":                        {func(n int) bool { return n%100 == 0 }, 0.0954},
		"after every report":                   {func(int) bool { return true }, 0.2148},
		"after every report from the fifth on": {func(n int) bool { return n >= fewest }, 0.1937},
	} {
		least := func(n int) int {
			k := 0
			for k <= n && lowerBound(k, n, g.Confidence) <= g.Error/100 {
				k++
			}
			return k
		}
		at, stops := 0, 0
		ended, _ := outcomes(0.02, 500, func(k, n int) string {
			if n != at {
				at, stops = n, least(n)
			}
			if c.looks(n) && k >= stops {
				return Fail
			}
			return ""
		})
		near(t, what, ended[Fail], c.want, 0.0001)
	}
}

// TestSequential is how many reports the sequential test takes, on average, and
// that it keeps its risks: it may be looked at after every report.
func TestSequential(t *testing.T) {
	test := fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: hour}
	end := func(k, n int) string {
		return map[int]string{tooBad: Fail, goodEnough: Pass}[sequential(test, k, n)]
	}
	for _, c := range []struct {
		rate         float64
		mean         float64
		fail, leeway float64
	}{
		{0.30, 7, 1, 0.001}, {0.10, 29, 1, 0.005}, {0.001, 57, 0, 0.001},
		{0.01, 85, 0.029, 0.001},  // a good release: below alpha
		{0.05, 71, 0.8994, 0.001}, // a bad one: above 1-beta, but for the last step over the edge
	} {
		ended, mean := outcomes(c.rate, 1000, end)
		near(t, "reports on average", mean, c.mean, 0.5)
		near(t, "stopped", ended[Fail], c.fail, c.leeway)
		near(t, "ended", ended[Fail]+ended[Pass], 1, 1e-6)
	}
	// A gate does not end a wave where the test takes it for good enough: it
	// goes on looking for reasons to stop. That costs little: Ville's bound.
	ended, _ := outcomes(test.Good/100, 800, func(k, n int) string {
		if sequential(test, k, n) == tooBad {
			return Fail
		}
		return ""
	})
	if bound := test.Alpha / (1 - test.Beta); ended[Fail] > bound || ended[Fail] < 0.029 {
		t.Errorf("a good release is stopped with %.4f, at most %.4f was promised", ended[Fail], bound)
	}
}
