package calendar

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Opens is the instant a wave of a cycle opens in the week's zone: at its step
// of the week, and in a lane some time after the cycle's cut-off. A wave that
// takes no part in the cycle's lane is an error of kind Invalid.
func Opens(week fleet.Week, id fleet.CycleID, cutOff time.Time, w fleet.Wave) (time.Time, error) {
	if lane := id.Lane(); lane != fleet.LaneWeek {
		l, ok := w.Lanes[lane]
		if !ok {
			return time.Time{}, fleet.Errorf(fleet.Invalid, "calendar.opens", string(id), "wave %q takes no part in the lane %q", w.Name, lane)
		}
		return cutOff.Add(l.After.Std()).UTC(), nil
	}
	steps, err := StepsOf(week, id)
	if err != nil {
		return time.Time{}, err
	}
	return steps[w.Opens.Step], nil
}
