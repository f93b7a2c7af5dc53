package rollout

import (
	"fmt"
	"strconv"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Slot is one package on one tenant: what changes are serialised by.
type Slot struct {
	Tenant  fleet.TenantID
	Package fleet.PackageID
}

// An Effect is one change of one package on one tenant that is to be made.
type Effect struct {
	Action   string // assign, withdraw, rollback, promote, uninstall, reinstate, remove, restore
	Cycle    fleet.CycleID
	Wave     string
	Tenant   fleet.TenantID
	Package  fleet.PackageID
	Entry    fleet.Entry
	Opens    time.Time
	Deadline time.Time
	Local    bool // the instants are the tenant's local time
	Plan     fleet.Digest
	Adopts   string // id of the app object that the plan makes the stable slot
	Reason   string
}

// Slot is what the effect changes.
func (e Effect) Slot() Slot { return Slot{e.Tenant, e.Package} }

// Says reports whether an intent is one of exactly this effect.
func (e Effect) Says(i fleet.Intent) bool {
	return i.Cycle == e.Cycle && i.Wave == e.Wave && i.Artifact == e.Entry.Artifact && i.Action == e.Action
}

// Intent is the intent of the effect: its id follows from what it says, and
// its call may begin until the lease ends.
func (e Effect) Intent(generation int, main string, now time.Time) fleet.Intent {
	return fleet.Intent{
		ID: fleet.DeriveID("intent", string(e.Cycle), e.Wave, string(e.Tenant), string(e.Package), string(e.Entry.Artifact), e.Action,
			strconv.Itoa(generation)),
		Cycle: e.Cycle, Wave: e.Wave, Tenant: e.Tenant, Package: e.Package, Release: e.Entry.Release, Artifact: e.Entry.Artifact,
		Action: e.Action, Generation: generation, Main: main, Plan: e.Plan, Opens: e.Opens, Deadline: e.Deadline,
		NotAfter: now.Add(Lease), Reason: e.Reason, At: now,
	}
}

// ReceiptFor is the receipt of an intent with an outcome.
func ReceiptFor(i fleet.Intent, outcome string, now time.Time) fleet.Receipt {
	return fleet.Receipt{
		Intent: i.ID, Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Artifact: i.Artifact,
		Action: i.Action, Outcome: outcome, At: now,
	}
}

// EffectOf is what each kind of action on tenants does to a slot.
func EffectOf(kind string) string {
	switch kind {
	case Deploy:
		return "assign"
	case Withdraw:
		return "withdraw"
	case RollBack:
		return "rollback"
	case Uninstall, Reinstate, Remove, Restore:
		return kind
	default:
		return "promote"
	}
}

// Effects are the changes on tenants that a batch of actions of one kind,
// cycle and wave asks for at now.
func Effects(facts Facts, history *History, batch []Action, now time.Time) []Effect {
	rows := planned(facts.Record, batch[0].Cycle, batch[0].Wave)
	times := TimesOf(facts, batch[0].Cycle, batch[0].Wave, now)
	var out []Effect
	for _, a := range batch {
		for _, id := range a.Packages {
			e := Effect{
				Action: EffectOf(a.Kind), Cycle: a.Cycle, Wave: a.Wave, Tenant: a.Tenant, Package: id,
				Entry: fleet.Entry{Release: a.Version, Artifact: a.Artifact}, Reason: a.Why,
			}
			row, ok := rows[e.Slot()]
			switch {
			case a.Kind == Deploy && !ok:
				continue // nothing goes out that no approved plan holds
			case a.Kind == Uninstall || a.Kind == Reinstate || a.Kind == Remove || a.Kind == Restore:
				ok = false // no plan's: main itself says it
			case a.Kind == Deploy:
				e.Entry = fleet.Entry{Release: row.To, Artifact: row.Artifact}
			}
			if ok {
				e.Opens, e.Deadline, e.Local, e.Plan = row.NotBefore, row.Deadline, row.LocalTime, row.plan
				e.Adopts = Unadopted(facts.Record, a.Tenant, id, row.Adopts)
			}
			if a.Kind == Deploy {
				t := times.Of(row.PlanRow)
				if !t.Due(now) {
					continue // its time ran out since the decision
				}
				e.Opens, e.Deadline = t.Opens, t.Deadline
			}
			if e.Wave == "" {
				e.Wave = history.lastWave(e)
			}
			out = append(out, e)
		}
	}
	return out
}

// A plannedRow is a row of a plan, and which plan it is of.
type plannedRow struct {
	fleet.PlanRow
	plan fleet.Digest
}

// planned are the rows of a started wave's plan.
func planned(rec *fleet.Record, cycle fleet.CycleID, wave string) map[Slot]plannedRow {
	out := map[Slot]plannedRow{}
	for _, s := range rec.Starts {
		if s.Cycle != cycle || s.Wave != wave {
			continue
		}
		for _, row := range rec.PlanRows[s.Plan] {
			at := Slot{row.Tenant, row.Package}
			if _, known := out[at]; !known {
				out[at] = plannedRow{row, s.Plan}
			}
		}
	}
	return out
}

// ChunkTenants is how many tenants intents are written for at once. A lease
// starts with its intent, so a chunk must be done well within it; and every
// chunk costs a push before and one after.
const ChunkTenants = 8

// Chunks are effects tenant by tenant, in the order in which tenants first
// come, ChunkTenants tenants at a time.
func Chunks(effects []Effect) [][]Effect {
	of := map[fleet.TenantID][]Effect{}
	var order []fleet.TenantID
	for _, e := range effects {
		if of[e.Tenant] == nil {
			order = append(order, e.Tenant)
		}
		of[e.Tenant] = append(of[e.Tenant], e)
	}
	var out [][]Effect
	for from := 0; from < len(order); from += ChunkTenants {
		var chunk []Effect
		for _, t := range order[from:min(from+ChunkTenants, len(order))] {
			chunk = append(chunk, of[t]...)
		}
		out = append(out, chunk)
	}
	return out
}

// A Written is an intent, whether an earlier run left it without a receipt, and
// whether it is another run's to carry out for now.
type Written struct {
	fleet.Intent
	Left   bool
	Theirs bool
}

// First reports whether evidence knows of no earlier change to the package on its
// tenant, finished or not.
func (w Written) First() bool { return w.Generation == 1 && !w.Left }

// Intend gives the intents of effects as a runner has them, in their order: one
// that an earlier run left behind is taken up again while its lease lasts, and
// not doubled. fresh are those to be written, expired the receipts of those whose
// lease is over.
//
// A withdrawal is nobody's alone, and neither is the end of a removal: stopping does
// not wait for a runner that may be dead, and doing either twice does no harm.
func (h *History) Intend(effects []Effect, runner, main string, now time.Time) (all []Written, fresh []fleet.Intent, expired []fleet.Receipt) {
	all = make([]Written, len(effects))
	for i, e := range effects {
		open, generation := h.Open(e)
		if open != nil && !open.NotAfter.Before(now) {
			theirs := open.Runner != runner && now.Before(open.At.Add(Claim)) && e.Action != "withdraw" && e.Action != "reinstate"
			all[i] = Written{*open, true, theirs}
			continue
		}
		if open != nil {
			expired = append(expired, ReceiptFor(*open, "expired", now))
		}
		all[i] = Written{Intent: e.Intent(generation+1, main, now)}
		all[i].Runner = runner
		fresh = append(fresh, all[i].Intent)
	}
	return all, fresh, expired
}

// Superseded are the receipts of what earlier runs left open on the slot of an
// effect that was made at an instant: it has the last word on them.
func (h *History) Superseded(e Effect, at time.Time) []fleet.Receipt {
	var out []fleet.Receipt
	for _, o := range h.leftBehind(e, at) {
		closed := ReceiptFor(o, "expired", at)
		closed.Detail = fmt.Sprintf("left open by an earlier run, and behind a %s now", e.Action)
		out = append(out, closed)
	}
	return out
}
