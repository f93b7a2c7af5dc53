package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// holidays checks that a calendar's country and days are known, and that no day
// is both put in and taken out.
func (x *checks) holidays(file string, keys []string, h *fleet.Holidays) {
	if h == nil {
		return
	}
	at := func(more ...string) []string { return append(slices.Clone(keys), more...) }
	if _, err := calendar.DaysOf(&fleet.Holidays{Country: h.Country}); err != nil {
		x.fault(file, at("country"), "the holidays of %q are not known: name a country that has them, or add its days one by one%s", h.Country, suggest(h.Country, calendar.Countries()))
	}
	for _, day := range slices.Sorted(maps.Keys(h.Add)) {
		if _, err := calendar.ParseDate(day); err != nil {
			x.fault(file, at("add", day), "is no day of the calendar")
		}
	}
	for i, day := range h.Remove {
		if _, both := h.Add[day]; both {
			x.fault(file, at("remove", index(i)), "%s is added too: say one of the two", day)
		}
	}
}
