package desired

import (
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// lanes checks what waves say of the lanes outside the week.
func (x *checks) lanes() {
	for _, w := range x.repo.Waves {
		if w.LanesOnly && len(w.Lanes) == 0 {
			x.fault(wavesFile, k("waves", w.Name, "lanesOnly"), "the wave takes part in no lane, and is kept out of the week: nothing would ever go through it")
		}
		for _, lane := range slices.Sorted(maps.Keys(w.Lanes)) {
			at := k("waves", w.Name, "lanes", lane)
			l := w.Lanes[lane]
			if l.After < 0 {
				x.fault(wavesFile, append(slices.Clone(at), "after"), "is negative")
			}
			if l.Soak < 0 {
				x.fault(wavesFile, append(slices.Clone(at), "soak"), "is negative")
			}
			for i := 1; i < len(l.Looks); i++ {
				if l.Looks[i] <= l.Looks[i-1] {
					x.fault(wavesFile, append(slices.Clone(at), "looks", index(i)), "looks must rise")
				}
			}
		}
	}
	for _, lane := range []string{fleet.LaneSecurity, fleet.LaneOut, fleet.LaneNew} {
		x.lane(lane)
	}
}

// lane checks the waves of one lane together: however urgent a release is, it
// meets our own devices first, and a few of the others before all of them.
func (x *checks) lane(lane string) {
	waves := fleet.WavesIn(x.repo.Waves, lane)
	if len(waves) == 0 {
		return
	}
	at := k("waves", waves[0].Name, "lanes", lane)
	if first := x.repo.Waves[0]; waves[0].Name != first.Name {
		x.fault(wavesFile, at, "the lane begins with wave %q; every lane begins with the first wave, %q", waves[0].Name, first.Name)
	}
	if lane == fleet.LaneSecurity && len(waves) < 3 {
		x.fault(wavesFile, at, "the lane has the waves %s only; a security fix passes our own devices and a pilot before it reaches all the others: name the lane in three waves or more", strings.Join(names(waves), ", "))
	}
	for i := 1; i < len(waves); i++ {
		if waves[i].Lanes[lane].After < waves[i-1].Lanes[lane].After {
			x.fault(wavesFile, k("waves", waves[i].Name, "lanes", lane, "after"), "opens before wave %q in front of it", waves[i-1].Name)
		}
	}
}

func names(waves []fleet.Wave) []string {
	var out []string
	for _, w := range waves {
		out = append(out, w.Name)
	}
	return out
}

// laneCycle checks a cycle against its lane: the waves are the lane's, every
// one of them, and so are the kinds of release.
func (x *checks) laneCycle(id fleet.CycleID) {
	c, file, lane := x.repo.Cycles[id], CyclePath(id), id.Lane()
	at := k("cycles", string(id))
	if x.readable(wavesFile) && !x.repo.Closed(id) {
		x.through(id, c)
	}
	for _, pkg := range slices.Sorted(maps.Keys(c.Entries)) {
		e := c.Entries[pkg]
		where := append(at, "entries", string(pkg))
		if r, known := x.repo.Packages[pkg].Releases[e.Release]; known {
			x.laneRelease(file, where, lane, r)
		}
		if e.CarriedFrom == "" {
			continue
		}
		from, known := x.repo.Cycles[e.CarriedFrom]
		switch was := from.Entries[pkg]; {
		case !known:
			x.fault(file, append(where, "carriedFrom"), "there is no cycle %s", e.CarriedFrom)
		case was.Release != e.Release || was.Artifact != e.Artifact:
			x.fault(file, append(where, "carriedFrom"), "%s carries another artifact of this package: evidence counts for exactly the artifact it was gathered on", e.CarriedFrom)
		}
	}
	x.overrides(id, c)
}

// through checks that an open cycle goes through all waves of its lane, as they
// are today: whoever leaves one out leaves out its gate.
func (x *checks) through(id fleet.CycleID, c fleet.Cycle) {
	lane, at := id.Lane(), k("cycles", string(id), "waves")
	want := names(fleet.WavesIn(x.repo.Waves, lane))
	if lane != fleet.LaneWeek {
		if len(want) == 0 {
			x.fault(CyclePath(id), at, "no wave in schedules/waves.cue takes part in the lane %q", lane)
		} else if !slices.Equal(c.Waves, want) {
			x.fault(CyclePath(id), at, "a cycle of the lane %q goes through %s, all of them and in this order", lane, strings.Join(want, ", "))
		}
		return
	}
	left := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return slices.Contains(c.Waves, name) })
	if len(left) > 0 {
		x.fault(CyclePath(id), at, "the cycle leaves out %s: a cycle of the week goes through %s, until it is closed", strings.Join(left, ", "), strings.Join(want, ", "))
	}
	for i, name := range c.Waves {
		if w, known := x.repo.Wave(name); known && w.LanesOnly {
			x.fault(CyclePath(id), append(slices.Clone(at), index(i)), "%q takes no part in the week (lanesOnly)", name)
		}
	}
}

// laneRelease checks that a release belongs into a lane.
func (x *checks) laneRelease(file string, where []string, lane string, r fleet.Release) {
	switch {
	case lane == fleet.LaneSecurity && r.Change != "security":
		x.fault(file, append(where, "release"), "its change is %q; the lane cve is for releases that fix a vulnerability", r.Change)
	case lane == fleet.LaneNew && r.Change != "new":
		x.fault(file, append(where, "release"), "its change is %q; the lane new is for packages that tenants did not have before", r.Change)
	}
}

// overrides checks the freezes that a cycle passes.
func (x *checks) overrides(id fleet.CycleID, c fleet.Cycle) {
	if c.Overrides == nil {
		return
	}
	at := k("cycles", string(id), "overrides")
	if id.Lane() != fleet.LaneSecurity {
		x.fault(CyclePath(id), at, "only a cycle of the lane cve may pass a freeze")
	}
	if x.repo.Closed(id) {
		return // the freezes it passed may be gone
	}
	for i, name := range c.Overrides.Freezes {
		if _, ok := x.repo.Freezes[name]; !ok {
			x.fault(CyclePath(id), append(slices.Clone(at), "freezes", index(i)), "there is no freeze %q%s", name, suggest(name, slices.Collect(maps.Keys(x.repo.Freezes))))
		}
	}
}
