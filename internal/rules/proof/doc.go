// Package proof decides, before a merge, what a repository's own schedules and
// policies make possible: whether every tenant can have a critical fix in the
// time that is promised, and whether any way leads a release to the last wave
// without an approval merged by someone who could know, and a verdict that
// means something.
//
// A proof looks at desired state and at the time, at nothing else. It finds all
// that it looks for within its bounds, which are stated where they are chosen;
// a finding carries the case that breaks the promise, instant by instant or
// step by step, so that a person can follow it.
package proof

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Finding is a promise that is not kept.
type Finding struct {
	File   string   // where the cause stands
	Keys   []string // of the field there
	Object string   // whom it concerns: a tenant, a wave
	Text   string   // what is broken, and the case that breaks it
	Hint   string   // how to mend it
	Warn   bool     // nothing that was declared is broken, yet people should know
}

// All are the findings of every proof, sorted by file.
func All(repo *fleet.Repository, now time.Time) []Finding {
	out := append(Feasible(repo, now), Reachable(repo)...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Object, b.Object))
	})
	return out
}

const wavesFile = "schedules/waves.cue"
