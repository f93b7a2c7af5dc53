package fleet

import (
	"regexp"
)

// The lanes a cycle travels in. The ordinary week is one; the others leave the
// week's rhythm and keep its waves and gates.
const (
	LaneWeek     = "week" // the ordinary week
	LaneSecurity = "cve"  // fixes a vulnerability: no deferral
	LaneOut      = "oob"  // out of band: a repair that cannot wait for the week
	LaneNew      = "new"  // a package that a tenant did not have before
)

var lanePattern = regexp.MustCompile(`^([0-9]{4}-W[0-9]{2})(?:-(oob|cve|new)-([0-9]{2}))?$`)

// Lane is the lane in the cycle's name, LaneWeek when it names none.
func (id CycleID) Lane() string {
	m := lanePattern.FindStringSubmatch(string(id))
	if m == nil || m[2] == "" {
		return LaneWeek
	}
	return m[2]
}

// Week is the ordinary cycle of the same week: the id without its lane.
func (id CycleID) Week() CycleID {
	if m := lanePattern.FindStringSubmatch(string(id)); m != nil {
		return CycleID(m[1])
	}
	return id
}

// A LaneWave is what of a wave is different in a lane: in the place of a step
// of the week, it opens some time after the lane's cut-off.
type LaneWave struct {
	After Duration   `json:"after"`
	Soak  Duration   `json:"soak"`
	Looks []Duration `json:"looks"`
}

// In is the wave as it is in a lane; false when it takes no part in it.
func (w Wave) In(lane string) (Wave, bool) {
	if lane == LaneWeek {
		return w, !w.LanesOnly
	}
	l, ok := w.Lanes[lane]
	if !ok {
		return w, false
	}
	w.Soak, w.Gate.Looks = l.Soak, l.Looks
	return w, true
}

// WavesIn are the waves of a lane, each as it is there, in the given order.
func WavesIn(waves []Wave, lane string) []Wave {
	var out []Wave
	for _, w := range waves {
		if in, ok := w.In(lane); ok {
			out = append(out, in)
		}
	}
	return out
}

// Overrides are freezes that a cycle goes on through. Such a cycle needs two
// approvers for every gate.
type Overrides struct {
	Freezes []string `json:"freezes"` // ids
	Reason  string   `json:"reason"`
}
