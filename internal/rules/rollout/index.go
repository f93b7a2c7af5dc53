package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An index finds what evidence tells of one package on one tenant without
// reading all of evidence each time.
type index struct {
	slots     map[slot][]trace
	tenants   map[fleet.PackageID][]fleet.TenantID // with any trace of the package, sorted
	inventory map[fleet.TenantID]time.Time         // newest
	beats     map[string]time.Time                 // newest, by command
	unmade    map[slot][]*fleet.Receipt            // of ways back and leavings whose calls failed, in the order of evidence
	revoked   map[fleet.PackageID][]fleet.Hold     // ever, by merges and by ways back
}

// A slot is one package on one tenant: what changes are serialised by.
type slot struct {
	tenant fleet.TenantID
	pkg    fleet.PackageID
}

// A trace is an intent and the receipt that says it was carried out. That a
// call failed, or that nothing is known of it, does not say that the tenant
// was left alone.
type trace struct {
	*fleet.Intent
	done bool
	at   time.Time // of the receipt
	left string    // what the receipt says of the candidate slot
	over bool      // an uninstall after which the candidate slot has its waves again
}

func newIndex(rec *fleet.Record) *index {
	x := &index{slots: map[slot][]trace{}, tenants: map[fleet.PackageID][]fleet.TenantID{}, inventory: map[fleet.TenantID]time.Time{}, beats: map[string]time.Time{}, unmade: map[slot][]*fleet.Receipt{}, revoked: revocations(rec)}
	done := make(map[string][]*fleet.Receipt, len(rec.Receipts))
	for i := range rec.Receipts {
		switch r := &rec.Receipts[i]; {
		case r.Outcome == "done":
			done[r.Intent] = append(done[r.Intent], r)
		case r.Outcome == "failed" && takesAway(r.Action) && r.Detail != fleet.Waiting.String(): // what waits has not failed
			at := slot{r.Tenant, r.Package}
			x.unmade[at] = append(x.unmade[at], r)
		}
	}
	for i := range rec.Intents {
		in := &rec.Intents[i]
		t := trace{Intent: in}
		for _, r := range done[in.ID] {
			if tells(r, in) && !r.At.Before(t.at) {
				t.done, t.at, t.left = true, r.At, r.Left[fleet.Candidate]
			}
		}
		at := slot{in.Tenant, in.Package}
		if x.slots[at] == nil {
			x.tenants[in.Package] = append(x.tenants[in.Package], in.Tenant)
		}
		x.slots[at] = append(x.slots[at], t)
	}
	for _, list := range x.tenants {
		slices.Sort(list)
	}
	for at, traces := range x.slots {
		x.slots[at] = sinceRemoved(traces)
		endUninstalls(x.slots[at])
	}
	for _, h := range rec.Heartbeats {
		if h.At.After(x.beats[h.Command]) {
			x.beats[h.Command] = h.At
		}
	}
	for i := range rec.Inventory {
		if r := &rec.Inventory[i]; r.At.After(x.inventory[r.Tenant]) {
			x.inventory[r.Tenant] = r.At
		}
	}
	return x
}

// takesAway reports whether an action takes from a tenant what it has.
func takesAway(action string) bool {
	return action == "rollback" || action == "uninstall" || action == "remove"
}

// tells reports whether a receipt is of this intent, whatever id it names, and
// not older than it.
func tells(r *fleet.Receipt, i *fleet.Intent) bool {
	return r.Cycle == i.Cycle && r.Wave == i.Wave && r.Tenant == i.Tenant && r.Package == i.Package && r.Artifact == i.Artifact &&
		r.Action == i.Action && !r.At.Before(i.At)
}

// beatSince reports whether a command ran at or after t.
func (x *index) beatSince(command string, t time.Time) bool {
	last, ok := x.beats[command]
	return ok && !last.Before(t)
}

// reached are the tenants, sorted, with an intent to take an entry, receipt or
// not: what its way back must cover.
func (x *index) reached(ids []fleet.CycleID, pkg fleet.PackageID, artifact fleet.Digest) []fleet.TenantID {
	var out []fleet.TenantID
	for _, t := range x.tenants[pkg] {
		if newest(x.slots[slot{t, pkg}], of(ids, artifact, "assign")) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// of selects the traces of some actions on one entry, in any of its cycles.
func of(ids []fleet.CycleID, artifact fleet.Digest, actions ...string) func(trace) bool {
	return func(t trace) bool {
		return slices.Contains(ids, t.Cycle) && t.Artifact == artifact && slices.Contains(actions, t.Action)
	}
}

// newest is the highest generation of the selected traces, 0 if there are
// none: generations count from 1, and rise with every change of a slot.
func newest(traces []trace, selects func(trace) bool) int {
	n := 0
	for _, t := range traces {
		if selects(t) {
			n = max(n, t.Generation, 1)
		}
	}
	return n
}

// carriedOut reports whether one of the selected traces has a receipt, and was
// begun after an instant. When its receipt was written says nothing: another
// runner's call may have come between the two.
func carriedOut(traces []trace, selects func(trace) bool, after time.Time) bool {
	return slices.ContainsFunc(traces, func(t trace) bool { return t.done && selects(t) && t.At.After(after) })
}

// lease is until when calls of the selected intents may still begin. A receipt
// does not end it: another runner may have taken the intent up, and a runner
// that stalled with it may still call.
func lease(traces []trace, selects func(trace) bool) time.Time {
	var until time.Time
	for _, t := range traces {
		if selects(t) && t.NotAfter.After(until) {
			until = t.NotAfter
		}
	}
	return until
}

// clears reports whether an action leaves a package's candidate slot empty.
func clears(t trace) bool {
	return t.Action == "withdraw" || t.Action == "rollback" || t.Action == "promote" || t.Action == "uninstall" && !t.over || t.Action == "remove"
}
