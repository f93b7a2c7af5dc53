package factory

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A slot is one package on one tenant.
type slot struct {
	tenant fleet.TenantID
	pkg    fleet.PackageID
}

// A history finds the intents of a package on a tenant and their receipts
// without reading all of evidence each time.
type history struct {
	intents  map[slot][]fleet.Intent    // in the order of evidence
	receipts map[string][]fleet.Receipt // by intent
}

func historyOf(rec *fleet.Record) *history {
	h := &history{intents: map[slot][]fleet.Intent{}, receipts: make(map[string][]fleet.Receipt, len(rec.Receipts))}
	for _, i := range rec.Intents {
		at := slot{i.Tenant, i.Package}
		h.intents[at] = append(h.intents[at], i)
	}
	for _, r := range rec.Receipts {
		h.receipts[r.Intent] = append(h.receipts[r.Intent], r)
	}
	return h
}

// says reports whether an intent is one of exactly this effect.
func (e effect) says(i fleet.Intent) bool {
	return i.Cycle == e.cycle && i.Wave == e.wave && i.Artifact == e.entry.Artifact && i.Action == e.action
}

// open is the newest intent of an effect that has no receipt, and the highest
// generation of the package on the tenant so far.
func (h *history) open(e effect) (open *fleet.Intent, generation int) {
	for _, i := range h.intents[slot{e.tenant, e.pkg}] {
		generation = max(generation, i.Generation)
		if e.says(i) && len(h.receipts[i.ID]) == 0 {
			open = &i
		}
	}
	return open, generation
}

// expired is how often an effect ran out of its lease.
func (h *history) expired(e effect) int {
	n := 0
	for _, i := range h.intents[slot{e.tenant, e.pkg}] {
		for _, r := range h.receipts[i.ID] {
			if e.says(i) && r.Outcome == "expired" {
				n++
			}
		}
	}
	return n
}

// leftBehind are the intents of other effects on the same slot that never got
// a receipt and whose calls can begin no longer: an effect made at an instant
// after that has the last word on them.
func (h *history) leftBehind(e effect, at time.Time) []fleet.Intent {
	var out []fleet.Intent
	for _, i := range h.intents[slot{e.tenant, e.pkg}] {
		if !e.says(i) && len(h.receipts[i.ID]) == 0 && i.NotAfter.Before(at) {
			out = append(out, i)
		}
	}
	return out
}

// lastWave is the wave of the newest intent by which a tenant was to take an
// artifact.
func (h *history) lastWave(e effect) string {
	wave := ""
	for _, i := range h.intents[slot{e.tenant, e.pkg}] {
		if i.Cycle == e.cycle && i.Artifact == e.entry.Artifact && i.Action == "assign" {
			wave = i.Wave
		}
	}
	return wave
}

// outcome is the receipt of an intent that counts: the one that says done, if
// there is one.
func (h *history) outcome(i fleet.Intent) (fleet.Receipt, bool) {
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

// madeGood is the receipt of a later change that an intent which was not
// carried out, or of which that is not known, lies behind: the same effect, or
// one that took it back. A way back is made good by nothing but another one, or
// by another release for all devices.
func (h *history) madeGood(i fleet.Intent) (fleet.Receipt, bool) {
	for _, later := range h.intents[slot{i.Tenant, i.Package}] {
		if later.Generation <= i.Generation {
			continue
		}
		r, known := h.outcome(later)
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
	case "rollback":
		return true
	case "withdraw":
		return same || i.Action == "assign" || i.Action == "withdraw"
	case "promote":
		return same || i.Action != "rollback" || later.Artifact != i.Artifact
	default:
		return same
	}
}
