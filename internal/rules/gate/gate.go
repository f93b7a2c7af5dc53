package gate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// The three decisions, as fleet.Verdict spells them.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive"
)

// fewest is how many devices must have reported before a wave can fail: with
// fewer, one broken device and one coincidence stop a release for everyone.
const fewest = 5

// An Answer is a gate's answer at one look.
type Answer struct {
	Decision string
	Lower    float64 // success rate in percent, careful bound: at least this
	Upper    float64 // lenient bound: at most this
	Rule     string  // the sentence that decided
}

// Judge answers for a wave with these counts, of its frozen members, at the
// age look; last says that it is the wave's last look. It is pure: the same
// arguments give the same answer on every machine.
//
// Where the gate says silent: failed, silent devices count as failures in the
// careful bound and nowhere else: silence can keep a release from passing, and
// never stops one, however often the gate has looked. Where it says excluded,
// they count in neither bound. Excluded devices never count.
func Judge(g fleet.Gate, counts fleet.Counts, look fleet.Duration, last bool) Answer {
	if why := unusable(g, counts, look); why != "" {
		return Answer{Fail, 0, 100, "the gate cannot judge and so stays shut: " + why}
	}
	if counts.Total() == 0 {
		return Answer{Inconclusive, 0, 100, "no device is in the wave"}
	}
	reports := counts.Succeeded + counts.Failed
	careful, n := counts.Failed, reports // failures in the careful bound, of so many devices
	if g.Silent == "failed" {
		careful, n = careful+counts.Silent, n+counts.Silent
	}
	a := Answer{Lower: floor(100 * (1 - upperBound(careful, n, g.Confidence))), Upper: ceil(100 * (1 - lowerBound(counts.Failed, reports, g.Confidence)))}
	a.Decision, a.Rule = decide(g, counts, a, last)
	return a
}

// decide compares the bounds with the thresholds.
func decide(g fleet.Gate, counts fleet.Counts, a Answer, last bool) (decision, rule string) {
	reports := counts.Succeeded + counts.Failed
	told := fmt.Sprintf("%d of %d devices reported, %d failed", reports, counts.Total(), counts.Failed)
	if counts.Silent > 0 && g.Silent == "failed" {
		told += fmt.Sprintf(", %d silent ones count as failed against a pass", counts.Silent)
	}
	ending := ""
	if last {
		ending = "; the gate looks no more"
	}
	sure := fmt.Sprintf("at %s %% confidence", number(100*g.Confidence))
	switch {
	case reports >= fewest && 100-a.Upper > g.Error:
		return Fail, fmt.Sprintf("%s: %s more than %s %% fail, above the %s %% allowed", told, sure, number(100-a.Upper), number(g.Error))
	case reports < g.MinReports:
		return Inconclusive, fmt.Sprintf("%s: fewer than the %d reports the gate asks for%s", told, g.MinReports, ending)
	case a.Lower >= g.Success:
		return Pass, fmt.Sprintf("%s: %s at least %s %% succeed, the gate asks for %s %%", told, sure, number(a.Lower), number(g.Success))
	default:
		return Inconclusive, fmt.Sprintf("%s: %s between %s %% and %s %% succeed, the gate asks for %s %%%s", told, sure, number(a.Lower), number(a.Upper), number(g.Success), ending)
	}
}

// unusable says why a gate cannot judge these counts. Comparisons are written
// so that NaN is unusable too.
func unusable(g fleet.Gate, c fleet.Counts, look fleet.Duration) string {
	switch {
	case !(g.Success > 0 && g.Success <= 100):
		return fmt.Sprintf("its success threshold is %v, not a percentage above 0", g.Success)
	case !(g.Error >= 0 && g.Error < 100):
		return fmt.Sprintf("its error threshold is %v, not a percentage below 100", g.Error)
	case !(g.Confidence >= 0.8 && g.Confidence < 1):
		return fmt.Sprintf("its confidence is %v, not from 0.8 to below 1", g.Confidence)
	case g.MinReports < 1:
		return fmt.Sprintf("it asks for %d reports", g.MinReports)
	case g.Silent != "failed" && g.Silent != "excluded":
		return fmt.Sprintf("it does not say what silent devices count as, but %q", g.Silent)
	case len(g.Looks) == 0 || look <= 0:
		return "it has no look at this age"
	case c.Succeeded < 0 || c.Failed < 0 || c.Silent < 0 || c.Excluded < 0 || c.Total() < 0:
		return fmt.Sprintf("the counts %+v are impossible", c)
	}
	return ""
}

// Pool is the counts of several tenants, or of several waves, as one: a wave
// of a small tenant alone can prove nothing.
func Pool(counts map[fleet.TenantID]fleet.Counts) fleet.Counts {
	var sum fleet.Counts
	for _, c := range counts {
		sum = sum.Add(c)
	}
	return sum
}

// Guard are the tenants, sorted, that a pooled pass would harm: at least two of
// the tenant's devices failed, at least a few reported, and its failure rate
// is above what its policy allows (maxFailuresPercent) with the gate's
// confidence. A tenant whose limit is no percentage is guarded by zero.
func Guard(g fleet.Gate, counts map[fleet.TenantID]fleet.Counts, limit func(fleet.TenantID) float64) []fleet.TenantID {
	var out []fleet.TenantID
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		c := counts[t]
		allowed := limit(t)
		if !(allowed >= 0 && allowed <= 100) {
			allowed = 0
		}
		confidence := g.Confidence
		if !(confidence >= 0.8 && confidence < 1) {
			confidence = 0.8
		}
		reports := c.Succeeded + c.Failed
		if c.Failed >= 2 && reports >= fewest && floor(100*lowerBound(c.Failed, reports, confidence)) > allowed {
			out = append(out, t)
		}
	}
	return out
}

// Bounds are rounded to four decimals of a percent, away from a decision: what
// is written in a verdict is what decided, on every machine.
func floor(percent float64) float64 { return math.Floor(percent*1e4) / 1e4 }
func ceil(percent float64) float64  { return math.Ceil(percent*1e4) / 1e4 }

// number is a percentage as people read it.
func number(percent float64) string { return fmt.Sprintf("%.4g", percent) }
