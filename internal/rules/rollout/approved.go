package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// approved is the approval of a gate if it counts: its decision is approved,
// the last recorded merge that touched its file brought exactly these bytes and
// enough approvers of the parent's policy had seen it, or packmill merged it
// after a pass as that policy allows; its plan is the one that is recomputed
// from the facts, and it is still valid. What is settled, a wave that has
// started or a cycle that is closed, keeps its approval.
func approved(f Facts, id fleet.CycleID, gate string, now time.Time, settled bool) (*fleet.Approval, *fleet.Merge, string) {
	a, ok := f.Repo.Approvals[id][gate]
	if !ok {
		return nil, nil, ""
	}
	if a.Decision != "approved" {
		return nil, nil, "rejected: " + a.Because
	}
	m := mergeOf(f, id, gate, a)
	if m == nil {
		return nil, nil, "no merge of this approval is recorded in evidence yet"
	}
	switch why := unbacked(f, id, gate, m); {
	case why != "":
		return nil, m, why
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

// unbacked says why nobody whose word counts stands behind the merge of an
// approval, "" when enough do, or the verdict that packmill went by does.
func unbacked(f Facts, id fleet.CycleID, gate string, m *fleet.Merge) string {
	if m.Policy {
		return "its merge changes tenants/operator.cue too, by which it is judged: merge the policy first, and then approve in a pull request of its own"
	}
	need, reason := needed(f, id, gate)
	if len(m.Approvers) >= need {
		return ""
	}
	if m.Auto == AutoAdvance {
		if reason != "" {
			return fmt.Sprintf("packmill merged it by itself, and people must approve it: %s", reason)
		}
		if why := unproven(f.Repo, f.Record, id, gate, m.At); why != "" {
			return "packmill merged it by itself, but " + why
		}
		return ""
	}
	why := "its pull request was not approved by an approver of the policy before it"
	if need > 1 {
		why = fmt.Sprintf("its pull request was not approved by %d approvers of the policy before it", need)
	}
	if reason != "" {
		why += ": " + reason
	}
	return why
}

// needed is how many approvers the approval of a gate takes, and why so many,
// "" when it is the number that every merge takes.
func needed(f Facts, id fleet.CycleID, gate string) (int, string) {
	n, reason := max(1, f.Repo.Operator.Trust.Approvals), ""
	raise := func(to int, why string) {
		if to > n {
			n, reason = to, why
		}
	}
	if o := f.Repo.Cycles[id].Overrides; o != nil {
		raise(overridePersons, "the cycle goes on through freezes, which takes two persons")
	}
	raise(exposureOf(f, id, gate))
	return n, reason
}

// mergeOf is the recorded merge that brought an approval as it stands: the last
// one that touched its file. A file that was changed after its review has no
// such merge, whatever is said in it.
func mergeOf(f Facts, id fleet.CycleID, gate string, a fleet.Approval) *fleet.Merge {
	m := broughtBy(f, fleet.ApprovalFile(id, gate))
	if m == nil || m.Approves != string(id)+"/"+gate || m.Plan != a.Plan {
		return nil
	}
	return m
}

// broughtBy is the last recorded merge that touched an approval's file, if it
// brought the bytes that are on main.
func broughtBy(f Facts, file string) *fleet.Merge {
	for i := range slices.Backward(f.Record.Merges) {
		m := &f.Record.Merges[i]
		if blob, touched := m.ApprovalBlobs[file]; touched {
			if blob == "" || blob != f.Repo.Blobs[file] {
				return nil
			}
			return m
		}
	}
	return nil
}
