package why

import (
	"cmp"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A pair is one package on one tenant, and the facts that it is looked at with.
type pair struct {
	facts  rollout.Facts
	tenant fleet.Tenant
	pkg    fleet.Package
	out    *Explanation
}

// intents are the pair's intents in the order of their generations.
func (p *pair) intents() []fleet.Intent {
	var out []fleet.Intent
	for _, i := range p.facts.Record.Intents {
		if i.Tenant == p.tenant.ID && i.Package == p.pkg.ID {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b fleet.Intent) int { return cmp.Compare(a.Generation, b.Generation) })
	return out
}

// receiptOf is the receipt of an intent that counts: one that says done, or
// else the newest; nil when there is none.
func (p *pair) receiptOf(i fleet.Intent) *fleet.Receipt {
	var found *fleet.Receipt
	for n := range p.facts.Record.Receipts {
		r := &p.facts.Record.Receipts[n]
		same := r.Intent == i.ID && r.Tenant == i.Tenant && r.Package == i.Package && r.Artifact == i.Artifact && r.Action == i.Action && !r.At.Before(i.At)
		if same && (found == nil || found.Outcome != "done") {
			found = r
		}
	}
	return found
}

// slots follows the pair's receipts, generation by generation, to what both
// slots hold now. Before the first one the stable slot holds the baseline.
func (p *pair) slots() {
	p.out.Stable = p.baseline()
	had := p.out.Stable // before it was to leave
	for _, i := range p.intents() {
		r := p.receiptOf(i)
		if r == nil || r.Outcome != "done" {
			continue
		}
		now := Holding{Release: i.Release, Artifact: i.Artifact, Cycle: i.Cycle, Wave: i.Wave, Since: r.At, Decided: DecisionOf(p.approvalOf(i))}
		switch i.Action {
		case "assign":
			now.Why = "assigned to wave " + i.Wave + " of " + string(i.Cycle)
			p.out.Candidate = now
		case "withdraw":
			p.out.Candidate = Holding{Since: r.At, Why: i.Release + " was withdrawn: " + i.Reason}
		case "promote":
			now.Why = "promoted: it passed every wave of " + string(i.Cycle)
			p.out.Stable, p.out.Candidate = now, Holding{}
		case "rollback":
			p.wentBack(i, r)
		case "uninstall", "remove":
			if i.Action == "uninstall" && p.out.Stable.Release != "" {
				had = p.out.Stable
			}
			p.left(i, r)
		case "reinstate":
			had.Since, had.Why = r.At, "given back: leave says uninstall no longer"
			p.out.Stable, p.out.Candidate = had, Holding{}
		}
	}
}

// left is what the slots are once a package leaves.
func (p *pair) left(i fleet.Intent, r *fleet.Receipt) {
	gone := Holding{Since: r.At, Why: "it left the tenant: packmill's objects are gone, and devices keep what they have"}
	if i.Action == "uninstall" {
		gone.Why = "it leaves the tenant: devices that it is assigned to lose it"
	}
	p.out.Stable, p.out.Candidate = gone, gone
}

// baseline is what the tenant had before the first release was rolled out.
func (p *pair) baseline() Holding {
	version := ""
	for _, v := range p.pkg.Versions() {
		if p.pkg.Releases[v].Baseline {
			version = v
		}
	}
	if version == "" {
		return Holding{Why: "no release was ever promoted here, and the package has no baseline"}
	}
	h := Holding{Release: version, Why: "the baseline: what the fleet had before; no release was promoted here yet"}
	if built := rollout.BuiltOf(p.facts.Record, p.pkg.ID, version); built != nil {
		h.Artifact = built.Artifact
	}
	return h
}

// wentBack is what a rollback left in the slots.
func (p *pair) wentBack(i fleet.Intent, r *fleet.Receipt) {
	h, _ := rollout.Revocation(p.facts.Repo, p.facts.Record, i.Package, fleet.Entry{Release: i.Release, Artifact: i.Artifact})
	decided := DecisionOf(p.revocationOf(i))
	p.out.Candidate = Holding{Since: r.At, Why: i.Release + " was taken back: " + i.Reason, Decided: decided}
	if p.pkg.Rollback != "previous" {
		return
	}
	version, _, _ := p.pkg.Before(i.Release)
	if h.RollbackTo != "" {
		version = h.RollbackTo
	}
	p.out.Stable = Holding{Release: version, Artifact: r.Observed, Cycle: i.Cycle, Since: r.At, Why: "given back when " + i.Release + " was taken back: " + i.Reason, Decided: decided}
}

// approvalOf is the recorded merge of the approval that an intent went by: the
// newest of its wave's gate that was made before it.
func (p *pair) approvalOf(i fleet.Intent) *fleet.Merge {
	gate := string(i.Cycle) + "/" + i.Wave
	for n := range slices.Backward(p.facts.Record.Merges) {
		if m := &p.facts.Record.Merges[n]; m.Approves == gate && !m.At.After(i.At) {
			return m
		}
	}
	return nil
}

// revocationOf is the recorded merge that revoked what an intent takes back.
func (p *pair) revocationOf(i fleet.Intent) *fleet.Merge {
	for n := range p.facts.Record.Merges {
		m := &p.facts.Record.Merges[n]
		if slices.ContainsFunc(m.Revokes, func(h fleet.Hold) bool { return h.Of(i.Package, fleet.Entry{Release: i.Release, Artifact: i.Artifact}) }) {
			return m
		}
	}
	return nil
}
