package rollout

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// asks reports whether a tenant's policy asks for a word beside the operator's.
func asks(t fleet.Tenant) bool {
	return t.Policy.Approval == fleet.ByPartner || t.Policy.Approval == fleet.BySite
}

// An answer is what a partner or a site has said to a wave on its tenant.
type answer int

const (
	agrees   answer = iota // or was not asked
	silent                 // somebody must still answer
	unheard                // answered, and the answer does not count
	declines               // or let the time for an answer pass
)

// TenantApproved reports whether a tenant takes a wave of a cycle as far as
// partners and sites have a say in it, and why not. What tenants with implicit
// approval say counts when they refuse: the more careful wins.
func TenantApproved(f Facts, id fleet.CycleID, gate string, t fleet.TenantID, now time.Time) (ok bool, why string) {
	said, why := consent(f, id, gate, t, now)
	return said == agrees, why
}

func consent(f Facts, id fleet.CycleID, gate string, t fleet.TenantID, now time.Time) (answer, string) {
	a, given := f.Repo.TenantApprovals[t][id]
	due := f.Repo.Approvals[id][gate].ValidUntil
	switch {
	case given && a.Decision != "approved":
		return declines, "refused: " + a.Because
	case !asks(f.Repo.Tenants[t]):
		return agrees, ""
	case !given && !due.IsZero() && now.After(due):
		return declines, "no answer came by " + stamp(due) + ", which counts as a refusal"
	case !given:
		return silent, "it waits for the approval of " + whom(f.Repo, t, now)
	}
	m := broughtBy(f, fleet.TenantApprovalFile(t, id))
	switch plan := planNamed(f, id, gate); {
	case m == nil:
		return unheard, "no merge of its approval is recorded in evidence yet"
	case m.Fault != "":
		return unheard, "the merge of its approval " + m.Fault
	case len(m.Counted[fleet.TenantApprovalFile(t, id)]) == 0:
		return unheard, "its approval was not given by " + whom(f.Repo, t, m.At)
	case !due.IsZero() && m.At.After(due):
		return declines, "its approval came after " + stamp(due) + ", which counts as a refusal"
	case a.Plans[gate] == "":
		return unheard, "its approval is not for wave " + gate
	case a.Plans[gate] != plan:
		return unheard, "its approval names another plan, " + a.Plans[gate].Short()
	case now.After(a.ValidUntil):
		return declines, "its approval was valid until " + stamp(a.ValidUntil)
	}
	return agrees, ""
}

// planNamed is the digest of the plan a gate was started with, or that its
// approval must name.
func planNamed(f Facts, id fleet.CycleID, gate string) fleet.Digest {
	if start := startOf(f.Record, id, gate); start != nil {
		return start.Plan
	}
	return f.Repo.Plans[id][gate].Digest
}

// whom names who may answer for a tenant.
func whom(repo *fleet.Repository, t fleet.TenantID, at time.Time) string {
	var logins []string
	for _, p := range repo.TenantApprovers(t) {
		if p.InForce(at) && !slices.Contains(logins, p.Login) {
			logins = append(logins, p.Login)
		}
	}
	who := "partner " + t.Partner()
	if tenant := repo.Tenants[t]; tenant.Policy.Approval == fleet.BySite && len(tenant.Approvers) > 0 {
		who = "the site"
	}
	if len(logins) == 0 {
		return who + ", for which nobody may approve: name approvers in tenants/" + t.Partner() + "/partner.cue"
	}
	return who + " (" + strings.Join(logins, " or ") + ")"
}

// A consentKey is a tenant in a wave of a cycle. It is asked for row by row.
type consentKey struct {
	cycle  fleet.CycleID
	wave   string
	tenant fleet.TenantID
}

// agreed reports whether partners and sites let a tenant take a wave; those
// that do not are listed, with all tenants of one reason in one wait.
func (s *stepper) agreed(c *CycleState, w *WaveState, t fleet.TenantID) bool {
	if !asks(s.f.Repo.Tenants[t]) && s.f.Repo.TenantApprovals[t] == nil {
		return true
	}
	key := consentKey{c.ID, w.Wave.Name, t}
	if known, ok := s.consents[key]; ok {
		return known
	}
	said, why := consent(s.f, c.ID, w.Wave.Name, t, s.now)
	if s.consents == nil {
		s.consents = map[consentKey]bool{}
	}
	if s.consents[key] = said == agrees; said == agrees {
		return true
	}
	kind := fleet.Waiting
	if said != declines {
		kind = fleet.Stalled // somebody must do something
	}
	for i := range s.waits {
		x := &s.waits[i]
		rest, found := strings.CutPrefix(x.Why, leftOut)
		names, same := strings.CutSuffix(rest, ": "+why)
		if !found || !same || x.Cycle != c.ID || x.Wave != w.Wave.Name {
			continue
		}
		x.Why, x.Tenants = leftOut+names+", "+string(t)+": "+why, append(x.Tenants, t)
		return false
	}
	wait := Wait{Cycle: c.ID, Wave: w.Wave.Name, Tenants: []fleet.TenantID{t}, Kind: kind, Why: leftOut + string(t) + ": " + why}
	if said == silent {
		wait.Until = s.f.Repo.Approvals[c.ID][w.Wave.Name].ValidUntil
	}
	s.wait(wait)
	return false
}

const leftOut = "left out: "

// askPartners asks for one pull request for each partner of which tenants have a
// say in a wave that is about to open and have not answered. It holds all of
// the partner's tenants and all waves they are in.
func (s *stepper) askPartners(c *CycleState, w *WaveState) {
	if w.Phase == WaveJudged || w.Refusal != "" {
		return
	}
	due := s.f.Repo.Approvals[c.ID][w.Wave.Name].ValidUntil
	if !due.IsZero() && s.now.After(due) {
		return // it would come too late
	}
	asked := map[string]bool{}
	if !slices.ContainsFunc(s.f.Repo.TenantIDs(), func(t fleet.TenantID) bool { return asks(s.f.Repo.Tenants[t]) }) {
		return
	}
	for _, t := range tenantsIn(RowsOf(s.f, c.ID)[w.Wave.Name]) {
		if _, given := s.f.Repo.TenantApprovals[t][c.ID]; !given && asks(s.f.Repo.Tenants[t]) {
			asked[t.Partner()] = true
		}
	}
	for _, partner := range slices.Sorted(maps.Keys(asked)) {
		if !slices.ContainsFunc(s.actions, func(a Action) bool {
			return a.Kind == ProposeTenantApprovals && a.Cycle == c.ID && a.Partner == partner
		}) {
			s.act(Action{Kind: ProposeTenantApprovals, Cycle: c.ID, Wave: w.Wave.Name, Partner: partner, Why: "its tenants take nothing without its word"})
		}
	}
}

// RowsOf are the rows of a cycle's plans by gate: of the plan a wave was started
// with, else as recomputed.
func RowsOf(f Facts, id fleet.CycleID) map[string][]fleet.PlanRow {
	out := map[string][]fleet.PlanRow{}
	for _, gate := range f.Repo.Cycles[id].Waves {
		out[gate] = f.Plans[id][gate].Rows
		if start := startOf(f.Record, id, gate); start != nil {
			out[gate] = f.Record.PlanRows[start.Plan]
		}
	}
	return out
}

// tenantsIn are the tenants, sorted, with rows.
func tenantsIn(rows []fleet.PlanRow) []fleet.TenantID {
	seen := map[fleet.TenantID]bool{}
	for i := range rows {
		seen[rows[i].Tenant] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// TenantApprovals are the approvals to propose to a partner for a cycle: of its
// tenants that have a say and have not answered, each with the plans it has
// rows in. They are valid until the last of these waves should be over.
func TenantApprovals(f Facts, id fleet.CycleID, partner string, lasts func(gate string) (time.Time, error)) (map[fleet.TenantID]fleet.TenantApproval, error) {
	out, rows := map[fleet.TenantID]fleet.TenantApproval{}, RowsOf(f, id)
	for _, gate := range f.Repo.Cycles[id].Waves {
		until, err := lasts(gate)
		if err != nil {
			return nil, err
		}
		until = later(until, f.Repo.Plans[id][gate].Summary.Deadline).UTC()
		for _, t := range tenantsIn(rows[gate]) {
			_, given := f.Repo.TenantApprovals[t][id]
			if t.Partner() != partner || given || !asks(f.Repo.Tenants[t]) {
				continue
			}
			a, ok := out[t]
			if !ok {
				a = fleet.TenantApproval{Cycle: id, Decision: "approved", Plans: map[string]fleet.Digest{}}
			}
			a.Plans[gate], a.ValidUntil = planNamed(f, id, gate), later(a.ValidUntil, until)
			out[t] = a
		}
	}
	return out, nil
}
