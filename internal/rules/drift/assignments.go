package drift

import (
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Assigned compares whom an object is for with whom packmill left its slot for. The
// tenant's people may assign the object too: of packmill's own targets alone it is
// told that one was removed, changed, or added, which the marker or the group shows.
//
// A slot may have several objects, and its receipt says what all of them together
// were for. A target that another of them may have been meant by is missed only
// where the object's own marker names it.
func Assigned(left rollout.LeftSlot, part fleet.PartState) []Change {
	was, is := map[string]rollout.LeftTarget{}, map[string]rollout.LeftTarget{}
	for _, t := range left.Targets {
		was[strings.ToLower(t.Key)] = t
	}
	for _, t := range part.Targets {
		now := rollout.LeftTargetOf(t)
		is[strings.ToLower(now.Key)] = now
	}
	var out []Change
	tell := func(key, base, have string) {
		quoted := func(s string) string {
			if s == "" {
				return ""
			}
			return jsonOf(s)
		}
		out = append(out, Change{Path: join("assignments", strings.ReplaceAll(key, "/", "|")), State: Drift, Base: quoted(base), Want: quoted(base), Have: quoted(have)})
	}
	for key, t := range was {
		now, there := is[key]
		switch {
		case !there && (named(part, key) || expects(part, t)):
			tell(t.Key, t.Text, "")
		case there && part.Timed && !strings.EqualFold(now.Text, t.Text):
			tell(t.Key, t.Text, now.Text)
		case there && !strings.EqualFold(now.Untimed, t.Untimed):
			tell(t.Key, t.Untimed, now.Untimed)
		}
	}
	for key, now := range is {
		if _, known := was[key]; !known {
			tell(now.Key, "", now.Text)
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return comparePaths(a.Path, b.Path) })
	return out
}

// named reports whether an object's marker says that packmill assigned it to a
// target, by the target's key in lower case.
func named(part fleet.PartState, key string) bool {
	return slices.ContainsFunc(part.Named, func(n string) bool {
		if group, out := strings.CutPrefix(n, "-"); out {
			n = "not " + group
		}
		return strings.EqualFold(n, key)
	})
}

// expects reports whether every object of a part's kind has a target that its slot
// was left for. Those without a start wait for it, those of configurations are for
// whom something is required, and a remediation waits for the app beside it.
func expects(part fleet.PartState, t rollout.LeftTarget) bool {
	if part.Timed || part.Kind == fleet.PartUpdate {
		return true
	}
	plain := t.Text == t.Untimed && !strings.Contains(t.Text, " filter ")
	required := strings.HasPrefix(t.Text, "required ") || strings.HasPrefix(t.Text, "not ")
	return plain && required && part.Kind != fleet.PartHealthScript
}
