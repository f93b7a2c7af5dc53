package rollout

import "github.com/packmill/packmill/internal/fleet"

// What a way back does with one of the two slots that a tenant's console has
// for a package.
const (
	SlotKept    = "kept"    // it stays as it is
	SlotEmptied = "emptied" // nobody is assigned to it any longer
	SlotRemoves = "removes" // its assignments remove what it holds
	SlotFilled  = "filled"  // it gets the release that the way leads to, for all devices
)

// SlotsBack is what a way back does with both slots.
type SlotsBack struct{ Candidate, Stable string }

// SlotsBackOf is what a way back of a mode does on a tenant whose slots hold
// some artifacts, "" for none. It leaves a slot alone that holds another artifact
// than the revoked one: a release that came later is not stopped or removed for
// the sake of the one before it. After a promotion the stable slot speaks for all
// devices, those of the waves included.
func SlotsBackOf(mode string, revoked, candidate, stable fleet.Digest) SlotsBack {
	b := SlotsBack{SlotKept, SlotKept}
	if candidate == revoked {
		b.Candidate = SlotEmptied
	}
	switch {
	case mode == BackPrevious:
		b.Stable = SlotFilled
	case mode == BackUninstall && stable == revoked:
		b.Stable = SlotRemoves
	case mode == BackUninstall && candidate == revoked:
		b.Candidate = SlotRemoves
	case stable == revoked:
		b.Stable = SlotEmptied
	}
	return b
}
