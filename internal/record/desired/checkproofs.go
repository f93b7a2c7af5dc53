package desired

import (
	"errors"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/proof"
)

// proofs proves what the repository promises, once everything it says can be
// read: a proof over half a schedule would find what the other half mends.
func (x *checks) proofs() {
	if x.options.Prove == nil || x.options.Now.IsZero() || !x.policyDone || len(x.findings) > 0 {
		return
	}
	for _, f := range proof.All(x.repo, x.options.Now) {
		e := &fleet.Error{
			Op: "desired.prove", Object: f.Object, Pos: x.at(f.File, f.Keys...), Kind: fleet.Invalid, Err: errors.New(f.Text), Hint: f.Hint,
		}
		if f.Warn {
			e.Kind = fleet.Waiting
			x.options.Prove(e)
			continue
		}
		x.findings = append(x.findings, e)
	}
}
