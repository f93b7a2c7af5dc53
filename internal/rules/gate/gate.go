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

// A Sample is what a gate judges at one look.
type Sample struct {
	Counts  fleet.Counts  // the wave's frozen members
	Control fleet.Control // devices of waves that have not opened, in the same days
	Look    fleet.Duration
	Last    bool // the gate looks no more
}

// An Answer is a gate's answer at one look.
type Answer struct {
	Decision string
	Lower    float64 // success rate in percent, careful bound: at least this
	Upper    float64 // lenient bound: at most this
	Excused  int     // silent devices that the control group's silence explains
	Rule     string  // the sentence that decided
}

// Judge answers for a sample. It is pure: the same arguments give the same
// answer on every machine.
//
// Until the gate's report deadline, and after it where the gate says silent:
// failed, silent devices count as failures in the careful bound and nowhere
// else: silence can keep a release from passing, and never stops one, however
// often the gate has looked. After the deadline as many of them are excused as
// the control group is silent. Where the gate says excluded, they count in
// neither bound from the deadline on. Excluded devices never count.
func Judge(g fleet.Gate, s Sample) Answer {
	if why := unusable(g, s.Counts, s.Control, s.Look); why != "" {
		return Answer{Decision: Fail, Upper: 100, Rule: "the gate cannot judge and so stays shut: " + why}
	}
	c := s.Counts
	if c.Total() == 0 {
		return Answer{Decision: Inconclusive, Upper: 100, Rule: "no device is in the wave"}
	}
	reports := c.Succeeded + c.Failed
	var a Answer
	waits := 0 // silent devices that count against a pass
	switch {
	case s.Look < g.ReportDeadline:
		waits = c.Silent
	case g.Silent == "failed":
		a.Excused = excused(g, c, s.Control)
		waits = c.Silent - a.Excused
	}
	a.Lower = floor(100 * (1 - upperBound(c.Failed+waits, reports+waits, g.Confidence)))
	a.Upper = ceil(100 * (1 - lowerBound(c.Failed, reports, g.Confidence)))
	a.Decision, a.Rule = decide(g, s, a, told(c, waits, a.Excused))
	return a
}

// told is a wave's counts as a rule begins.
func told(c fleet.Counts, waits, excused int) string {
	text := fmt.Sprintf("%d of %d devices reported, %d failed", c.Succeeded+c.Failed, c.Total(), c.Failed)
	if waits > 0 {
		text += fmt.Sprintf(", %d silent ones count as failed against a pass", waits)
	}
	if excused > 0 {
		text += fmt.Sprintf(", %d silent ones are excused: the devices that have not got it are as silent", excused)
	}
	return text
}

// decide compares the bounds with the thresholds.
func decide(g fleet.Gate, s Sample, a Answer, told string) (decision, rule string) {
	c := s.Counts
	reports := c.Succeeded + c.Failed
	ending := ""
	if s.Last {
		ending = "; the gate looks no more"
	}
	sure := fmt.Sprintf("at %s %% confidence", number(100*g.Confidence))
	between := fmt.Sprintf("%s: %s between %s %% and %s %% succeed, the gate asks for %s %%", told, sure, number(a.Lower), number(a.Upper), number(g.Success))
	switch stop, why := stops(g, c.Failed, reports); {
	case stop && alike(g, c, s.Control):
		return Inconclusive, fmt.Sprintf("%s: %s; but of %d devices that have not got it %d failed too, so something else hits both%s", told, why, s.Control.N-s.Control.Silent, s.Control.Failed, ending)
	case stop:
		return Fail, told + ": " + why
	case reports < g.MinReports:
		return Inconclusive, fmt.Sprintf("%s: fewer than the %d reports the gate asks for%s", told, g.MinReports, ending)
	case a.Lower < g.Success:
		return Inconclusive, between + ending
	case !slices.Contains(Looks(g), s.Look):
		return Inconclusive, between + "; a wave passes only at the gate's looks, this one is for stopping"
	default:
		return Pass, fmt.Sprintf("%s: %s at least %s %% succeed, the gate asks for %s %%", told, sure, number(a.Lower), number(g.Success))
	}
}

// stops reports whether so many failures of so many reports stop a wave, and
// says why: by the gate's sequential test if it has one, else because even the
// lenient bound is above the tolerance.
func stops(g fleet.Gate, failed, reports int) (bool, string) {
	if g.Stop != nil {
		return sequential(*g.Stop, failed, reports) == tooBad,
			fmt.Sprintf("the sequential test takes a rate of %s %% for the likelier one than %s %%", number(g.Stop.Bad), number(g.Stop.Good))
	}
	least := 100 - ceil(100*(1-lowerBound(failed, reports, g.Confidence)))
	return reports >= fewest && least > g.Error,
		fmt.Sprintf("at %s %% confidence more than %s %% fail, above the %s %% allowed", number(100*g.Confidence), number(least), number(g.Error))
}

// unusable says why a gate cannot judge these counts. Comparisons are written
// so that NaN is unusable too.
func unusable(g fleet.Gate, c fleet.Counts, control fleet.Control, look fleet.Duration) string {
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
	case control.N < 0 || control.Failed < 0 || control.Silent < 0 || control.Failed > control.N-control.Silent:
		return fmt.Sprintf("the control group %+v is impossible", control)
	case g.Stop != nil && !usable(*g.Stop):
		return fmt.Sprintf("its sequential test %+v has no two rates in order, or no risks below one half", *g.Stop)
	case g.ReportDeadline < 0 || g.MaxExtend < 0 || g.SignOffs < 0:
		return "its report deadline, its number of further looks or of sign-offs is negative"
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
// the tenant's devices failed, and its failure rate is above what its policy
// allows (maxFailuresPercent) with the gate's confidence. How few reported does
// not matter: the exact bound knows how little few prove, and a tenant all of
// whose devices broke is small as often as not. A tenant whose limit is no
// percentage is guarded by zero.
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
		if c.Failed >= 2 && floor(100*lowerBound(c.Failed, reports, confidence)) > allowed {
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
