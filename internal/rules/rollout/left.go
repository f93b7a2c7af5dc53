package rollout

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Moved is the detail of a receipt that says: nothing was changed, because
// somebody else had changed packmill's own objects on the tenant.
const Moved = "moved"

// SlotText is what a slot holds and does, in one line of evidence: for whom, through
// which filter, when, and how long restarts can be put off. What an instant is in,
// which other fields the service keeps and in which order it tells targets makes no
// difference.
func SlotText(s fleet.AppState) string {
	if s.Artifact == "" && len(s.Targets) == 0 {
		return "nothing"
	}
	targets := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		targets[i] = targetText(t)
	}
	slices.Sort(targets)
	return strings.Join(append([]string{s.Version + " " + s.Artifact.Short()}, targets...), "; ")
}

func targetText(t fleet.Target) string {
	if t.Exclude {
		return "not " + t.Group
	}
	text := t.Intent + " " + t.Group
	switch {
	case t.Filter != "" && t.Unfiltered:
		text += " but filter " + t.Filter
	case t.Filter != "":
		text += " through filter " + t.Filter
	}
	const reading = "2006-01-02T15:04:05"
	zone := "Z"
	if t.LocalTime {
		zone = " local"
	} else {
		t.Opens, t.Deadline = t.Opens.UTC(), t.Deadline.UTC()
	}
	if !t.Opens.IsZero() {
		text += " from " + t.Opens.Format(reading) + zone
	}
	if !t.Deadline.IsZero() && t.Intent != "available" {
		text += " by " + t.Deadline.Format(reading) + zone
	}
	if r := t.Restart; r != (fleet.Restart{}) {
		text += fmt.Sprintf(" restart %d/%d/%d", r.Grace, r.Countdown, r.Snooze)
	}
	return text
}

// targetsLeft are the targets in a slot's text that do not remove: what they want,
// and of whom.
func targetsLeft(text string) (out []fleet.Target) {
	for _, part := range strings.Split(text, "; ")[1:] {
		if group, excluded := strings.CutPrefix(part, "not "); excluded {
			out = append(out, fleet.Target{Group: group, Exclude: true})
			continue
		}
		if intent, _, _ := strings.Cut(part, " "); intent != LeaveUninstall {
			out = append(out, fleet.Target{Intent: intent, Group: leftTargetOf(part).Key})
		}
	}
	return out
}

// Left is what packmill's slots of a package held on a tenant when it last
// changed them, by slot, as far as that is known. After a change that may be half
// made nothing is; what was found changed by somebody else, and told in an
// earlier cycle than the one asked for, counts as known.
func (h *History) Left(at Slot, cycle fleet.CycleID) map[string]string {
	return h.leftBefore(at, cycle, math.MaxInt)
}

// leftBefore is the same as of before the change of a generation.
func (h *History) leftBefore(at Slot, cycle fleet.CycleID, generation int) map[string]string {
	intents := slices.DeleteFunc(slices.Clone(h.intents[at]), func(i fleet.Intent) bool { return i.Generation >= generation })
	slices.SortStableFunc(intents, func(a, b fleet.Intent) int { return a.Generation - b.Generation })
	left := map[string]string{}
	for _, i := range intents {
		r, known := h.Outcome(i)
		switch {
		case known && r.Outcome == "done":
			if len(r.Left) == 0 {
				left = map[string]string{}
			}
			for slot, text := range r.Left {
				if left[slot] = text; text == "" {
					delete(left, slot)
				}
			}
		case known && r.Outcome == "failed" && r.Detail == Moved:
			if r.Cycle != cycle {
				maps.Copy(left, r.Left)
			}
		default:
			left = map[string]string{}
		}
	}
	return left
}
