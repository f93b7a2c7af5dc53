package gate

import (
	"math"

	"github.com/packmill/packmill/internal/fleet"
)

// excused is how many of a wave's silent devices the control group accounts
// for: the share that is silent there too, unless the wave is shown to be more
// silent. A control group that is smaller than the fewest reports the gate asks
// for accounts for nothing.
func excused(g fleet.Gate, c fleet.Counts, control fleet.Control) int {
	if control.N < g.MinReports || control.Silent == 0 || moreOften(c.Silent, c.Total(), control.Silent, control.N, g.Confidence) {
		return 0
	}
	share := float64(control.Silent) / float64(control.N)
	return min(c.Silent, int(math.Ceil(share*float64(c.Total())-1e-9)))
}

// alike reports whether the devices that have not got a release fail as well:
// the same rule that stops the wave would stop them, and the wave is not shown
// to fail more often. Too few of them, or a failure here and there, are no
// excuse: stopping may be wrong, going on may not.
func alike(g fleet.Gate, c fleet.Counts, control fleet.Control) bool {
	heard := control.N - control.Silent
	if heard < g.MinReports || control.Failed == 0 {
		return false
	}
	both, _ := stops(g, control.Failed, heard)
	return both && !moreOften(c.Failed, c.Succeeded+c.Failed, control.Failed, heard, g.Confidence)
}

// moreOften reports whether k of n is more often than control of m, by Fisher's
// exact test, one-sided, at a confidence: if both had the same rate, at least k
// of the k+control would fall on the n with a probability of at most
// 1-confidence. It has the same answer for every rate both might have.
func moreOften(k, n, control, m int, confidence float64) bool {
	if n == 0 || m == 0 || float64(k)*float64(m) <= float64(control)*float64(n) {
		return false
	}
	return hypergeometricTail(k, n, k+control, n+m) <= 1-confidence
}

// hypergeometricTail is the probability that at least k of n drawn are marked,
// where marked of all are, for k at or above the mean: terms only fall.
func hypergeometricTail(k, n, marked, all int) float64 {
	choose := func(a, b int) float64 {
		x, _ := math.Lgamma(float64(a + 1))
		y, _ := math.Lgamma(float64(b + 1))
		z, _ := math.Lgamma(float64(a - b + 1))
		return x - y - z
	}
	term := math.Exp(choose(marked, k) + choose(all-marked, n-k) - choose(all, n))
	sum := 0.0
	for i := k; i <= min(n, marked) && term > sum*1e-16; i++ {
		sum += term
		term *= float64(marked-i) * float64(n-i) / (float64(i+1) * float64(all-marked-n+i+1))
	}
	return min(sum, 1)
}
