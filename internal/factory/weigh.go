package factory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A weight is who and what stands behind a commit of main, by the policy before
// it.
type weight struct {
	approvers []string            // whose word counts for the commit, sorted
	counted   map[string][]string // tenant's approval → whose word counts for it
	auto      string              // what let packmill merge it without people
	fault     string              // why main was not properly reviewed at it, "" when it was
}

// weigh says who and what stands behind a commit. It is in order when it is a
// merge of two that holds what the reviewed branch held, and
//
//   - as many approved it as the policy before it asks for, or
//   - it brings nothing but the words of tenants, each with somebody behind it
//     who may speak for that tenant, or
//   - packmill merged by itself what that policy lets it.
//
// The run and the audit judge by it alike. rec are the verdicts there are.
func (f *Factory) weigh(ctx context.Context, c gitrepo.CommitInfo, parent *fleet.Repository, rec *fleet.Record, m fleet.Merge, b brought) (weight, error) {
	w := weight{approvers: Approvers(parent, m), counted: counted(parent, m, b)}
	if len(c.Parents) != 2 {
		w.fault = noMerge
		return w, nil
	}
	same, err := f.asReviewed(ctx, c)
	if err != nil {
		return weight{}, err
	}
	if !same {
		w.fault = "holds something else than the branch that was reviewed"
		return w, nil
	}
	w.fault = tooFew(parent, w.approvers)
	if w.fault == "" || answersAlone(w.counted, b) {
		w.fault = ""
		return w, nil
	}
	if w.auto = auto(parent, rec, m, b); w.auto != "" {
		w.fault = ""
	}
	return w, nil
}

const noMerge = "is a commit on main that is no merge"

// counted are the logins, sorted, whose word counts for each tenant's approval
// that a commit touches. A tenant that the policy before does not know has
// nobody to speak for it.
func counted(parent *fleet.Repository, m fleet.Merge, b brought) map[string][]string {
	var out map[string][]string
	said := approving(m)
	for file := range maps.Keys(b.blobs) {
		id, _, ok := fleet.TenantApprovalOf(file)
		if !ok {
			continue
		}
		logins := []string{}
		if _, known := parent.Tenants[id]; known {
			persons := parent.TenantApprovers(id)
			logins = slices.DeleteFunc(slices.Clone(said), func(login string) bool {
				return !slices.ContainsFunc(persons, func(p fleet.Person) bool { return strings.EqualFold(p.Login, login) && p.InForce(m.At) })
			})
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[file] = logins
	}
	return out
}

// answersAlone reports whether a commit brings nothing but tenants' approvals
// that can be read, each with somebody behind it.
func answersAlone(counted map[string][]string, b brought) bool {
	if b.unread || len(b.changes) == 0 {
		return false
	}
	return !slices.ContainsFunc(b.changes, func(c gitrepo.Change) bool {
		return len(counted[c.Path]) == 0
	})
}

// auto is what let packmill merge a commit without people, "" when nothing did:
// it adds one file, which is an approval that the wave before earned or a
// revocation that a failed gate asks for.
func auto(parent *fleet.Repository, rec *fleet.Record, m fleet.Merge, b brought) string {
	if len(b.changes) != 1 || b.changes[0].Old != "" || b.unread || !rollout.Alone(parent, m) {
		return ""
	}
	id, gate, approves := strings.Cut(b.approves, "/")
	switch {
	case approves && len(b.rejects) == 0 && rollout.MayAdvance(parent, rec, fleet.CycleID(id), gate, m.At) == "":
		return rollout.AutoAdvance
	case len(b.revokes) == 1 && rollout.MayRevoke(parent, rec, b.revokes[0], m.At) == "":
		return rollout.AutoRevoke
	default:
		return ""
	}
}
