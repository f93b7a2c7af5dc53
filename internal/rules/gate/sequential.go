package gate

import (
	"math"

	"github.com/packmill/packmill/internal/fleet"
)

// What a sequential test says.
const (
	goodEnough = -1
	undecided  = 0
	tooBad     = 1
)

// sequential is the state of a sequential probability ratio test (Wald,
// "Sequential Tests of Statistical Hypotheses", 1945, 3.5 and 4.2) after so many
// failures of so many reports.
//
// It may be looked at after every report and still keeps its risks, which a
// bound at a fixed confidence does not: where the failure rate is that of the
// good release, the ratio ever reaches (1-beta)/alpha with a probability of at
// most alpha/(1-beta), even if the test goes on after it took the release for
// good enough. The order of reports does not matter, only how many there were.
func sequential(t fleet.Stop, failed, reports int) int {
	good, bad := t.Good/100, t.Bad/100
	ratio := float64(failed)*math.Log(bad/good) + float64(reports-failed)*(math.Log1p(-bad)-math.Log1p(-good))
	const dust = 1e-9 // logarithms differ in their last bits from machine to machine
	switch {
	case ratio >= math.Log((1-t.Beta)/t.Alpha)-dust:
		return tooBad
	case ratio <= math.Log(t.Beta/(1-t.Alpha))+dust:
		return goodEnough
	}
	return undecided
}

// usable reports whether a test has two rates in order and two risks. The
// comparisons are written so that NaN is unusable.
func usable(t fleet.Stop) bool {
	return t.Good > 0 && t.Good < t.Bad && t.Bad < 100 && t.Alpha > 0 && t.Alpha < 0.5 && t.Beta > 0 && t.Beta < 0.5
}
