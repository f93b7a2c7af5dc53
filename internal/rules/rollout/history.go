package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A History finds the intents of a package on a tenant and their receipts
// without reading all of evidence each time.
type History struct {
	intents  map[Slot][]fleet.Intent    // in the order of evidence
	receipts map[string][]fleet.Receipt // by intent
}

// HistoryOf reads the history of all slots from evidence.
func HistoryOf(rec *fleet.Record) *History {
	h := &History{intents: map[Slot][]fleet.Intent{}, receipts: make(map[string][]fleet.Receipt, len(rec.Receipts))}
	for _, i := range rec.Intents {
		at := Slot{i.Tenant, i.Package}
		h.intents[at] = append(h.intents[at], i)
	}
	for _, r := range rec.Receipts {
		h.receipts[r.Intent] = append(h.receipts[r.Intent], r)
	}
	return h
}

// Open is the newest intent of an effect that has no receipt, and the highest
// generation of the package on the tenant so far.
func (h *History) Open(e Effect) (open *fleet.Intent, generation int) {
	for _, i := range h.intents[Slot{e.Tenant, e.Package}] {
		generation = max(generation, i.Generation)
		if e.Says(i) && len(h.receipts[i.ID]) == 0 {
			open = &i
		}
	}
	return open, generation
}

// Expired is how often an effect ran out of its lease.
func (h *History) Expired(e Effect) int {
	n := 0
	for _, i := range h.intents[Slot{e.Tenant, e.Package}] {
		for _, r := range h.receipts[i.ID] {
			if e.Says(i) && r.Outcome == "expired" {
				n++
			}
		}
	}
	return n
}

// leftBehind are the intents of other effects on the same slot that never got
// a receipt and whose calls can begin no longer: an effect made at an instant
// after that has the last word on them.
func (h *History) leftBehind(e Effect, at time.Time) []fleet.Intent {
	var out []fleet.Intent
	for _, i := range h.intents[Slot{e.Tenant, e.Package}] {
		if !e.Says(i) && len(h.receipts[i.ID]) == 0 && i.NotAfter.Before(at) {
			out = append(out, i)
		}
	}
	return out
}

// lastWave is the wave of the newest intent by which a tenant was to take an
// artifact.
func (h *History) lastWave(e Effect) string {
	wave := ""
	for _, i := range h.intents[Slot{e.Tenant, e.Package}] {
		if i.Cycle == e.Cycle && i.Artifact == e.Entry.Artifact && i.Action == "assign" {
			wave = i.Wave
		}
	}
	return wave
}

// Outcome is the receipt of an intent that counts: the one that says done, if
// there is one.
func (h *History) Outcome(i fleet.Intent) (fleet.Receipt, bool) {
	list := h.receipts[i.ID]
	for _, r := range list {
		if r.Outcome == "done" {
			return r, true
		}
	}
	if len(list) == 0 {
		return fleet.Receipt{}, false
	}
	return list[0], true
}

// Begun is when an intent was first written. Two runners that decide at once from
// the same evidence both write it, under one id: whichever call comes second says
// what the first said, and a receipt of the first tells of both.
func (h *History) Begun(i fleet.Intent) time.Time {
	first := i.At
	for _, o := range h.intents[Slot{i.Tenant, i.Package}] {
		same := o.ID == i.ID && o.Cycle == i.Cycle && o.Wave == i.Wave && o.Artifact == i.Artifact && o.Action == i.Action && o.Generation == i.Generation
		if same && o.At.Before(first) {
			first = o.At
		}
	}
	return first
}

// MadeGood is the receipt of a later change that an intent which was not
// carried out, or of which that is not known, lies behind: the same effect, or
// one that took it back. A way back is made good by nothing but another one, or
// by another release for all devices.
func (h *History) MadeGood(i fleet.Intent) (fleet.Receipt, bool) {
	for _, later := range h.intents[Slot{i.Tenant, i.Package}] {
		if later.Generation <= i.Generation {
			continue
		}
		r, known := h.Outcome(later)
		if known && r.Outcome == "done" && covers(later, i) {
			return r, true
		}
	}
	return fleet.Receipt{}, false
}

// covers reports whether an intent leaves nothing of an earlier one of the
// same slot.
func covers(later, i fleet.Intent) bool {
	same := later.Action == i.Action && later.Artifact == i.Artifact && later.Wave == i.Wave
	switch later.Action {
	case "rollback", "uninstall", "remove":
		return true
	case "withdraw":
		return same || i.Action == "assign" || i.Action == "withdraw"
	case "reinstate":
		return same || i.Action == "uninstall"
	case "promote":
		return same || i.Action != "rollback" || later.Artifact != i.Artifact
	default:
		return same
	}
}

// Replaced reports whether an intent ran out of time or failed and another one
// of the same effect took its place.
func (h *History) Replaced(i fleet.Intent) bool {
	if !slices.ContainsFunc(h.receipts[i.ID], func(r fleet.Receipt) bool { return r.Outcome != "done" }) {
		return false
	}
	return slices.ContainsFunc(h.intents[Slot{i.Tenant, i.Package}], func(o fleet.Intent) bool {
		return o.Action == i.Action && o.Artifact == i.Artifact && o.Wave == i.Wave && o.Generation > i.Generation
	})
}
