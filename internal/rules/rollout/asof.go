package rollout

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An OnMain is a commit of main's first-parent line, and when it says it was
// made.
type OnMain struct {
	Commit string
	Made   time.Time
}

// MainAt is the commit that main stood at at an instant, "" when it had none
// yet: the newest of its line, oldest first, that was there by then. rec is
// evidence as of the instant.
//
// A commit was there when what evidence had by then names it, whatever it says
// of itself: its merge is recorded, a run went by it. Beyond those a commit was
// there when the time it was made at had come, and that of every commit before
// it: who claims to have merged before what the merge stands on cannot be
// believed.
func MainAt(line []OnMain, rec *fleet.Record, at time.Time) string {
	named := namedCommits(rec)
	here := -1
	for i, c := range line {
		if named[c.Commit] {
			here = i
		}
	}
	for here+1 < len(line) && !line[here+1].Made.After(at) {
		here++
	}
	if here < 0 {
		return ""
	}
	return line[here].Commit
}

// namedCommits are the commits of main that evidence speaks of.
func namedCommits(rec *fleet.Record) map[string]bool {
	out := map[string]bool{}
	for i := range rec.Merges {
		out[rec.Merges[i].Commit] = true
	}
	for i := range rec.Heartbeats {
		out[rec.Heartbeats[i].Main] = true
	}
	for i := range rec.Intents {
		out[rec.Intents[i].Main] = true
	}
	for i := range rec.Verdicts {
		out[rec.Verdicts[i].Inputs["main"]] = true
	}
	return out
}
