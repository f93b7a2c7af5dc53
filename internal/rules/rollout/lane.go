package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// WaveOf is a wave as a cycle goes through it: in a lane its soak and the
// gate's looks are the lane's.
func WaveOf(repo *fleet.Repository, id fleet.CycleID, name string) (fleet.Wave, error) {
	w, ok := repo.Wave(name)
	if !ok {
		return w, fleet.Errorf(fleet.Invalid, "rollout.wave", string(id), "cycle names wave %q, which schedules/waves.cue does not have", name)
	}
	in, ok := w.In(id.Lane())
	if !ok {
		return w, fleet.Errorf(fleet.Invalid, "rollout.wave", string(id), "wave %q takes no part in the lane %q", name, id.Lane())
	}
	return in, nil
}

// NewCycle is the cycle that a cut-off opens: for the ordinary week all that is
// ready, in a lane what of that belongs there, and nothing that is carried on:
// that goes on with the week. With only, no other packages.
func NewCycle(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, cutOff time.Time, only []fleet.PackageID) fleet.Cycle {
	c := fleet.Cycle{CutOff: cutOff.UTC(), Entries: Entries(repo, rec, cutOff)}
	maps.DeleteFunc(c.Entries, func(pkg fleet.PackageID, e fleet.Entry) bool {
		return len(only) > 0 && !slices.Contains(only, pkg) || !belongs(id.Lane(), repo.Packages[pkg].Releases[e.Release]) ||
			id.Lane() != fleet.LaneWeek && e.CarriedFrom != "" || id.Lane() == fleet.LaneWeek && hasLane(repo, repo.Packages[pkg].Releases[e.Release]) && e.CarriedFrom == ""
	})
	for _, w := range fleet.WavesIn(repo.Waves, id.Lane()) {
		c.Waves = append(c.Waves, w.Name)
	}
	return c
}

// hasLane reports whether a release goes by the lane for fixes, and leaves the
// week alone.
func hasLane(repo *fleet.Repository, r fleet.Release) bool {
	return r.Change == "security" && len(fleet.WavesIn(repo.Waves, fleet.LaneSecurity)) > 0
}

// belongs reports whether a release may travel in a lane.
func belongs(lane string, r fleet.Release) bool {
	switch lane {
	case fleet.LaneSecurity:
		return r.Change == "security"
	case fleet.LaneNew:
		return r.Change == "new"
	default:
		return true
	}
}

// NextLane is the first unused id of a lane in the week of an instant.
func NextLane(repo *fleet.Repository, lane string, at time.Time) fleet.CycleID {
	week := calendar.CycleOf(repo.Week, at)
	for n := 1; ; n++ {
		id := fleet.CycleID(fmt.Sprintf("%s-%s-%02d", week, lane, n))
		if _, used := repo.Cycles[id]; !used {
			return id
		}
	}
}

// securityLane asks for the lane of fixes, where the waves have one: a release
// that closes a vulnerability does not wait for the week's cut-off. Its own
// cut-off is the instant at which the last of its releases was tested, so that
// every run proposes the same cycle until it is merged.
func (s *stepper) securityLane() error {
	if len(fleet.WavesIn(s.f.Repo.Waves, fleet.LaneSecurity)) == 0 {
		return nil
	}
	var ready []fleet.PackageID
	var cutOff time.Time
	for id, e := range Entries(s.f.Repo, s.f.Record, s.now) {
		if e.CarriedFrom != "" || !belongs(fleet.LaneSecurity, s.f.Repo.Packages[id].Releases[e.Release]) {
			continue // what is carried goes on with the week
		}
		ready = append(ready, id)
		for _, t := range TestsOf(s.f.Record, e.Artifact) {
			cutOff = later(cutOff, t.At)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	slices.Sort(ready)
	// A whole minute, and none of the releases after it.
	cutOff = later(cutOff, s.mergedLast(ready)).UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
	if unread := s.inventories(cutOff.Add(-freshness), "a plan counts devices as of the cut-off"); len(unread) > 0 && s.now.Before(cutOff.Add(lanePatience)) {
		s.wait(Wait{Kind: fleet.Waiting, Why: fmt.Sprintf("the devices of %d tenants are not read yet", len(unread)), Until: cutOff.Add(lanePatience)})
		return nil
	}
	id := NextLane(s.f.Repo, fleet.LaneSecurity, cutOff)
	s.act(Action{Kind: OpenCycle, Cycle: id, Packages: ready, CutOff: cutOff, Why: "fixes a vulnerability and does not wait for the week: " + joined(ready)})
	return nil
}

// lanePatience is how long a fix waits for tenants whose devices cannot be
// read.
const lanePatience = 30 * time.Minute

// mergedLast is when the newest of some packages' newest releases was merged.
func (s *stepper) mergedLast(ids []fleet.PackageID) time.Time {
	var out time.Time
	merged := mergedAt(s.f.Record)
	for _, id := range ids {
		version, _, _ := s.f.Repo.Packages[id].Latest()
		out = later(out, merged[seen{id, version}])
	}
	return out
}

func joined(ids []fleet.PackageID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	return strings.Join(words, ", ")
}

// overridden reports whether a cycle goes on through a freeze.
func overridden(c fleet.Cycle, freeze string) bool {
	return c.Overrides != nil && slices.Contains(c.Overrides.Freezes, freeze)
}

// through is the repository as a cycle sees it: without the freezes it passes.
func through(repo *fleet.Repository, c fleet.Cycle) *fleet.Repository {
	if c.Overrides == nil {
		return repo
	}
	seen := *repo
	seen.Freezes = maps.Clone(repo.Freezes)
	maps.DeleteFunc(seen.Freezes, func(name string, _ fleet.Freeze) bool { return overridden(c, name) })
	return &seen
}

// freezeOn is the freeze that stops a cycle at an instant, "" for none: of all
// in force the first by name that it does not pass.
func freezeOn(repo *fleet.Repository, c fleet.Cycle, at time.Time, security bool) string {
	return through(repo, c).Frozen(at, security)
}
