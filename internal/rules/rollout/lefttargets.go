package rollout

import (
	"regexp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A LeftTarget is one target of a slot as receipts have it.
type LeftTarget struct {
	Key     string // whom it is for: "all devices", a group's id, "not " and a group's id
	Text    string // whole
	Untimed string // without start, deadline and restart, which not every kind of object has
}

// leftTarget are the parts of a targetText that is no exclusion: what a group may
// be called comes before them all.
var leftTarget = regexp.MustCompile(`^(\S+ (.+?)(?: (?:but|through) filter \S+)?)(?: from \S+(?: local)?)?(?: by \S+(?: local)?)?(?: restart \S+)?$`)

func leftTargetOf(text string) LeftTarget {
	parts := leftTarget.FindStringSubmatch(text)
	if strings.HasPrefix(text, "not ") || parts == nil {
		return LeftTarget{Key: text, Text: text, Untimed: text}
	}
	return LeftTarget{Key: parts[2], Text: text, Untimed: parts[1]}
}

// LeftTargetOf is a target as a receipt would have it.
func LeftTargetOf(t fleet.Target) LeftTarget { return leftTargetOf(targetText(t)) }

// A LeftSlot is what a slot held and whom it was for, as its text says.
type LeftSlot struct {
	Version string // "" of nothing
	Digest  string // of the artifact, short
	Targets []LeftTarget
}

// SlotLeft reads a text of SlotText.
func SlotLeft(text string) LeftSlot {
	if text == "nothing" || text == "" {
		return LeftSlot{}
	}
	parts := strings.Split(text, "; ")
	var out LeftSlot
	out.Version, out.Digest, _ = strings.Cut(parts[0], " ")
	for _, t := range parts[1:] {
		out.Targets = append(out.Targets, leftTargetOf(t))
	}
	return out
}

// LastLeft is Left for who does not roll out but asks: what somebody else was found
// to have changed counts as known no earlier than the next cycle does.
func (h *History) LastLeft(at Slot) map[string]string {
	var last fleet.Intent
	for _, i := range h.intents[at] {
		if i.Generation >= last.Generation {
			last = i
		}
	}
	return h.Left(at, last.Cycle)
}

// Slots are all that packmill has changed on tenants.
func (h *History) Slots() []Slot {
	out := map[slot]bool{}
	for at := range h.intents {
		out[slot{at.Tenant, at.Package}] = true
	}
	var list []Slot
	for _, at := range sorted(out) {
		list = append(list, Slot{at.tenant, at.pkg})
	}
	return list
}
