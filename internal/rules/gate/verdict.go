package gate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Inputs are everything that a verdict is made from, by name.
type Inputs struct {
	Cycle    fleet.CycleID
	Wave     string
	Package  fleet.PackageID
	Artifact fleet.Digest
	Gate     fleet.Gate
	Look     fleet.Duration
	Counts   map[fleet.TenantID]fleet.Counts // of the wave's frozen members
	Earlier  map[fleet.TenantID]fleet.Counts // of the waves before it on the same artifact
	Control  fleet.Control                   // of waves that have not opened, in the same days
	Limits   map[fleet.TenantID]float64      // maxFailuresPercent of a tenant's policy
	Deaf     int                             // tenants that could not be asked
	Stopped  map[fleet.TenantID]string       `json:",omitempty"` // tenants whose own service stopped the release, and why
	Words    []fleet.Word                    // people's, about this release in this wave
	From     map[string]string               // commit of main, heads of evidence
}

// Decide gives a gate's verdict, but for the instant it was given. It is pure:
// equal inputs give equal verdicts, and the verdict carries their digest.
//
// An undecided last look of a gate that pools is judged once more together with
// the waves before it on the same artifact. What passes as a whole does not pass
// while one tenant has more failures than its policy bears, while tenants could
// not be asked whether they have, while a person objects, or before as many
// persons signed off as the gate asks for. What a tenant's own service stopped, by a
// rule that its package gave it, fails: it has seen what no report tells.
func Decide(in Inputs) fleet.Verdict {
	v := fleet.Verdict{
		Cycle: in.Cycle, Wave: in.Wave, Package: in.Package, Artifact: in.Artifact, Look: in.Look,
		Counts: Pool(in.Counts), Inputs: in.From,
	}
	data, err := json.Marshal(in)
	if err != nil {
		v.Decision, v.Upper, v.Rule = Fail, 100, "the gate cannot judge and so stays shut: "+err.Error()
		return v
	}
	v.InputsDigest = fleet.DigestOf(data)
	if in.Control.N > 0 {
		control := in.Control
		v.Control = &control
	}
	last := Settled(in.Gate, &fleet.Verdict{Decision: Inconclusive, Look: in.Look, Counts: v.Counts})
	counts := in.Counts
	a := Judge(in.Gate, Sample{v.Counts, in.Control, in.Look, last})
	if pools(in, a) {
		counts = both(in.Counts, in.Earlier)
		sum := Pool(counts)
		v.Pooled = &sum
		a = Judge(in.Gate, Sample{sum, in.Control, in.Look, last})
		a.Rule = "together with the waves before it " + a.Rule
	}
	a = guarded(in, counts, a)
	a = stopped(in, worded(in, a))
	v.Decision, v.Lower, v.Upper, v.Excused, v.Rule = a.Decision, a.Lower, a.Upper, a.Excused, a.Rule
	return v
}

// pools reports whether the waves before are to help an undecided last look.
// They do not make up for a wave that is empty.
func pools(in Inputs, a Answer) bool {
	return in.Gate.Inconclusive == "pool" && a.Decision == Inconclusive && in.Look >= lastNamed(in.Gate) && Pool(in.Counts).Total() > 0 && Pool(in.Earlier).Total() > 0
}

// both are the counts of two waves, tenant by tenant.
func both(a, b map[fleet.TenantID]fleet.Counts) map[fleet.TenantID]fleet.Counts {
	out := make(map[fleet.TenantID]fleet.Counts, len(a)+len(b))
	for _, m := range []map[fleet.TenantID]fleet.Counts{a, b} {
		for t, c := range m {
			out[t] = out[t].Add(c)
		}
	}
	return out
}

// guarded is an answer with the tenants' own limits. Pooled counts do not water
// down what a tenant saw in this wave alone.
func guarded(in Inputs, counts map[fleet.TenantID]fleet.Counts, a Answer) Answer {
	if in.Deaf > 0 {
		a.Rule += fmt.Sprintf("; %d tenants could not be asked", in.Deaf)
	}
	if a.Decision != Pass {
		return a
	}
	if in.Deaf > 0 {
		a.Decision = Inconclusive
	}
	limit := func(t fleet.TenantID) float64 { return in.Limits[t] }
	over := Guard(in.Gate, in.Counts, limit)
	if len(over) == 0 {
		over = Guard(in.Gate, counts, limit)
	}
	if len(over) > 0 {
		a.Decision = Inconclusive
		a.Rule += fmt.Sprintf("; but more failures than the policy bears on %v", over)
	}
	return a
}

// stopped is an answer with what the tenants' own services stopped.
func stopped(in Inputs, a Answer) Answer {
	for _, t := range slices.Sorted(maps.Keys(in.Stopped)) {
		a.Decision = Fail
		a.Rule += fmt.Sprintf("; but in %s %s", t, in.Stopped[t])
	}
	return a
}

// worded is an answer with what people said. They can keep a release from
// passing; they cannot make one pass that its devices do not bear out, nor keep
// one going that fails.
func worded(in Inputs, a Answer) Answer {
	if a.Decision != Pass {
		return a
	}
	var told []string
	for _, w := range Open(in.Words) {
		why := w.By + " objects"
		if w.Reason != "" {
			why += ": " + w.Reason
		}
		told = append(told, why)
	}
	if signed := SignedOff(in.Words); len(signed) < in.Gate.SignOffs {
		told = append(told, fmt.Sprintf("%d of %d sign-offs are there%s", len(signed), in.Gate.SignOffs, by(signed)))
	}
	if len(told) > 0 {
		a.Decision = Inconclusive
		a.Rule += "; but " + strings.Join(told, "; ")
	}
	return a
}

func by(persons []string) string {
	if len(persons) == 0 {
		return ""
	}
	return ", by " + strings.Join(persons, " and ")
}
