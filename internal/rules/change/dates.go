package change

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// dates works out when a release that is merged now reaches each wave: in the
// cycle of the next cut-off. A week that cannot say leaves the dates out:
// whether it is sound is for validation to tell.
func (c *comparison) dates() {
	if c.options.Now.IsZero() || len(c.head.Waves) == 0 {
		return
	}
	id, err := calendar.CycleAt(c.head.Week, c.options.Now)
	if err != nil {
		return
	}
	cutOff, err := calendar.After(c.head.Week, calendar.CutOff, c.options.Now.Add(-1))
	if err != nil {
		return
	}
	zone, err := calendar.Zone(c.head.Week.Zone)
	if err != nil {
		return
	}
	waves := fleet.WavesIn(c.head.Waves, fleet.LaneWeek)
	fleet.SortWaves(waves)
	for _, w := range waves {
		if opens, err := calendar.Opens(c.head.Week, id, cutOff, w); err == nil && !opens.IsZero() {
			c.next = append(c.next, Date{Cycle: id, Wave: w.Name, Opens: opens.In(zone), LocalTime: w.Opens.Zone == "tenant"})
		}
	}
}

// datesOf are the dates of one release, with the freezes that stand against it.
func (c *comparison) datesOf(r fleet.Release) []Date {
	out := slices.Clone(c.next)
	for i := range out {
		out[i].Frozen = c.head.Frozen(out[i].Opens, r.Change == "security")
	}
	return out
}
