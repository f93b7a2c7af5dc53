package factory

import (
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// verdicts finds answers that contradict each other: a verdict is a function of
// its inputs, so two runners that had the same must agree.
func (a *auditor) verdicts() {
	for _, v := range contradicting(a.rec.Verdicts) {
		where := fmt.Sprintf("%s, wave %s, %s after %s", v.Cycle, v.Wave, v.Package, v.Look)
		a.find(string(v.Package), fmt.Sprintf("two verdicts from equal inputs (%s) differ", v.InputsDigest.Short()), where)
	}
}

// contradicting are the verdicts that differ from an earlier one of the same
// inputs in anything but the instant they were given.
func contradicting(all []fleet.Verdict) []fleet.Verdict {
	first := map[fleet.Digest]fleet.Digest{}
	var out []fleet.Verdict
	for _, v := range all {
		if v.InputsDigest == "" {
			continue // given before verdicts carried it
		}
		bare := v
		bare.At = time.Time{}
		said := fleet.DigestJSON(bare)
		if known, again := first[v.InputsDigest]; again && known != said {
			out = append(out, v)
		} else if !again {
			first[v.InputsDigest] = said
		}
	}
	return out
}
