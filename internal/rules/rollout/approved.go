package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// approved is the approval of a gate if it counts: its decision is approved,
// the last recorded merge that touched its file brought exactly these bytes and
// enough approvers of the parent's policy had seen it, its plan is the one that is recomputed from the facts, and it is still
// valid. What is settled, a wave that has started or a cycle that is closed,
// keeps its approval.
func approved(f Facts, id fleet.CycleID, gate string, now time.Time, settled bool) (*fleet.Approval, *fleet.Merge, string) {
	a, ok := f.Repo.Approvals[id][gate]
	if !ok {
		return nil, nil, ""
	}
	if a.Decision != "approved" {
		return nil, nil, "rejected: " + a.Because
	}
	m := mergeOf(f, id, gate, a)
	switch {
	case m == nil:
		return nil, nil, "no merge of this approval is recorded in evidence yet"
	case len(m.Approvers) < max(1, f.Repo.Operator.Trust.Approvals):
		return nil, m, "its pull request was not approved by an approver of the policy before it"
	case m.Fault != "":
		return nil, m, "its merge " + m.Fault
	case settled:
		return &a, m, ""
	case now.After(a.ValidUntil):
		return nil, m, "it was valid until " + a.ValidUntil.UTC().Format(time.RFC3339)
	}
	plan, ok := f.Plans[id][gate]
	switch {
	case !ok:
		return nil, m, "its plan cannot be recomputed"
	case plan.Digest() != a.Plan:
		return nil, m, "the plan is another one now: " + string(plan.Digest())
	}
	return &a, m, ""
}

// mergeOf is the recorded merge that brought an approval as it stands: the last
// one that touched its file. A file that was changed after its review has no
// such merge, whatever is said in it.
func mergeOf(f Facts, id fleet.CycleID, gate string, a fleet.Approval) *fleet.Merge {
	file := fleet.ApprovalFile(id, gate)
	for i := range slices.Backward(f.Record.Merges) {
		m := &f.Record.Merges[i]
		blob, touched := m.ApprovalBlobs[file]
		if !touched {
			continue
		}
		if blob == "" || blob != f.Repo.Blobs[file] || m.Approves != string(id)+"/"+gate || m.Plan != a.Plan {
			return nil
		}
		return m
	}
	return nil
}
