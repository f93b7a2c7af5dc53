package calendar

import (
	"maps"
	"slices"
	"time"

	"github.com/rickar/cal/v2"

	"github.com/packmill/packmill/internal/fleet"
)

// Days tells working days from others. The zero value knows Saturdays and
// Sundays alone. It is read-only once made.
type Days struct {
	country []*cal.Holiday
	added   map[Date]string
	worked  map[Date]bool
}

// DaysOf reads what a week or a tenant says of holidays; nil says nothing. It
// is Invalid for a country whose days are not known and for a date that is
// none.
func DaysOf(h *fleet.Holidays) (Days, error) {
	if h == nil {
		return Days{}, nil
	}
	d := Days{added: map[Date]string{}, worked: map[Date]bool{}}
	if h.Country != "" {
		i := slices.IndexFunc(regions(), func(r region) bool { return r.code == h.Country })
		if i < 0 {
			return Days{}, fleet.Errorf(fleet.Invalid, "calendar.holidays", h.Country, "the holidays of %q are not known: leave the country out and add its days", h.Country)
		}
		d.country = regions()[i].days
	}
	for _, day := range slices.Sorted(maps.Keys(h.Add)) {
		date, err := ParseDate(day)
		if err != nil {
			return Days{}, err
		}
		d.added[date] = h.Add[day]
	}
	for _, day := range h.Remove {
		date, err := ParseDate(day)
		if err != nil {
			return Days{}, err
		}
		d.worked[date] = true
	}
	return d, nil
}

// TenantDays are the days of a tenant: its own if it states any, else the
// week's.
func TenantDays(week fleet.Week, t fleet.Tenant) (Days, error) {
	if t.Holidays != nil {
		return DaysOf(t.Holidays)
	}
	return DaysOf(week.Holidays)
}

// ParseDate reads a day such as "2026-12-24".
func ParseDate(day string) (Date, error) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return Date{}, fleet.Errorf(fleet.Invalid, "calendar.date", day, "%q is no day such as 2026-12-24", day)
	}
	return DateOf(t), nil
}

// Holiday is why a day is not worked, "" when it is no holiday. Saturdays and
// Sundays are none by themselves. A day that was removed is never one, a day
// that was added always, whatever the country's law says; the law's days are
// those that are holidays by it, not those that are only customary.
func (d Days) Holiday(day Date) string {
	if d.worked[day] {
		return ""
	}
	if why, ok := d.added[day]; ok {
		return why
	}
	for _, h := range d.country {
		if h.Type == cal.ObservanceOther || h.Type == cal.ObservanceReligious {
			continue
		}
		first, last := day.Year, day.Year
		if len(h.Observed) > 0 || h.CalcOffset != 0 {
			first, last = day.Year-1, day.Year+1 // a day off in lieu may lie in another year
		}
		for year := first; year <= last; year++ {
			if actual, observed, ok := inYear(h, year); ok && (actual == day || observed == day) {
				return h.Name
			}
		}
	}
	return ""
}

// inYear is the day of a holiday in a year, and the day off for it, which is
// another where it falls on a weekend in some countries; false in a year without
// it.
//
// The library reckons in the local time of whatever machine this is, and where
// that clock skips midnight its Calc takes the beginning of the day for the
// evening before, weekday and all. Twelve hours on from what a rule gives it is
// the same day everywhere, and the rest is done on days.
func inYear(h *cal.Holiday, year int) (actual, observed Date, ok bool) {
	if h.Func == nil || h.StartYear > 0 && year < h.StartYear || h.EndYear > 0 && year > h.EndYear || slices.Contains(h.Except, year) {
		return actual, observed, false
	}
	t := h.Func(h, year)
	if t.IsZero() {
		return actual, observed, false
	}
	actual = DateOf(t.Add(12 * time.Hour)).Add(h.CalcOffset)
	for _, o := range h.Observed {
		if o.Day == actual.Weekday() {
			return actual, actual.Add(o.Offset), true
		}
	}
	return actual, actual, true
}

// IsBusiness reports whether a day is worked: no Saturday, no Sunday, no
// holiday; or one that was removed from these.
func (d Days) IsBusiness(day Date) bool {
	if d.worked[day] {
		return true
	}
	weekday := day.Weekday()
	return weekday != time.Saturday && weekday != time.Sunday && d.Holiday(day) == ""
}

// maxClosed is the longest run of days that are not worked which the search
// for a working day goes through. A calendar that closes longer has none.
const maxClosed = 45

// OnOrAfter is the day itself if it is worked, else the next one that is;
// false when none comes within 45 days.
func (d Days) OnOrAfter(day Date) (Date, bool) {
	for range maxClosed {
		if d.IsBusiness(day) {
			return day, true
		}
		day = day.Add(1)
	}
	return Date{}, false
}

// AddBusiness is the day a number of working days after another, before it for
// a negative number. No days from a day that is not worked is the next that
// is. It is false when 45 days pass without a working day.
func (d Days) AddBusiness(day Date, days int) (Date, bool) {
	if days == 0 {
		return d.OnOrAfter(day)
	}
	step := 1
	if days < 0 {
		step, days = -1, -days
	}
	for idle := 0; days > 0; {
		day = day.Add(step)
		if d.IsBusiness(day) {
			days, idle = days-1, 0
		} else if idle++; idle >= maxClosed {
			return Date{}, false
		}
	}
	return day, true
}
