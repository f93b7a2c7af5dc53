package gate

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Looks are the ages at which a wave may pass, rising: those the gate names,
// and those that an undecided last one may add, one after another at the
// interval of the last two, where the gate says wait or extend.
func Looks(g fleet.Gate) []fleet.Duration {
	looks := slices.Sorted(slices.Values(g.Looks))
	if len(looks) == 0 || g.Inconclusive != "wait" && g.Inconclusive != "extend" {
		return looks
	}
	last := looks[len(looks)-1]
	interval := last
	if len(looks) > 1 && last > looks[len(looks)-2] {
		interval = last - looks[len(looks)-2]
	}
	for range g.MaxExtend {
		last += interval
		looks = append(looks, last)
	}
	return looks
}

// lastNamed is the last age that the gate itself names.
func lastNamed(g fleet.Gate) fleet.Duration {
	if len(g.Looks) == 0 {
		return 0
	}
	return slices.Max(g.Looks)
}

// IsLast reports whether no look of the gate comes after an age.
func IsLast(g fleet.Gate, age fleet.Duration) bool {
	looks := Looks(g)
	return len(looks) == 0 || age >= looks[len(looks)-1]
}

// Settled reports whether a verdict is the gate's last word on an entry in a
// wave: it passed or failed, or was undecided at the last look. A gate that
// waits does so while devices are silent, one that extends does it in any case;
// neither adds more looks than it may. nil is no verdict.
func Settled(g fleet.Gate, v *fleet.Verdict) bool {
	switch {
	case v == nil:
		return false
	case v.Decision != Inconclusive:
		return true
	case v.Look < lastNamed(g):
		return false
	case g.Inconclusive == "wait" && v.Counts.Silent > 0, g.Inconclusive == "extend":
		return IsLast(g, v.Look)
	default:
		return true
	}
}

// Due is the age at which a gate is to look at an entry now, 0 if it is not
// due, and the next instant at which it will be, zero if there is none. v is
// the newest verdict on the entry, nil if there is none, spoke the instant of
// people's newest word on it.
//
// A look that was missed is made up for, the newest alone. Between looks a gate
// with a sequential test looks for stopping, at its interval after whatever it
// looked last, and goes on with that while an undecided wave waits for people.
// A word that came after an undecided verdict has the newest look repeated.
func Due(g fleet.Gate, v *fleet.Verdict, spoke, began, now time.Time) (due fleet.Duration, next time.Time) {
	if v != nil && v.Decision != Inconclusive {
		return 0, time.Time{}
	}
	age := fleet.Duration(now.Sub(began))
	seen, looked := fleet.Duration(0), began
	if v != nil {
		seen, looked = v.Look, v.At
	}
	reached := fleet.Duration(0) // the newest look of this age
	for _, look := range Looks(g) {
		switch {
		case look <= age:
			reached = look
		case next.IsZero() && !Settled(g, v):
			next = began.Add(look.Std())
		}
	}
	if reached > seen && !Settled(g, v) {
		return reached, next
	}
	if v != nil && spoke.After(v.At) && reached > 0 {
		return reached, next
	}
	if g.Stop == nil || g.Stop.Every <= 0 {
		return 0, next
	}
	step := age / g.Stop.Every * g.Stop.Every
	if again := looked.Add(g.Stop.Every.Std()); now.Before(again) {
		if next.IsZero() || again.Before(next) {
			next = again
		}
	} else if step > seen {
		return step, next
	}
	return 0, next
}
