package calendar

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"github.com/packmill/packmill/internal/fleet"
)

// A Date is a day of the calendar, in no zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day that t's clock shows in its location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// Add is the date some days later.
func (d Date) Add(days int) Date { return DateOf(d.noon().AddDate(0, 0, days)) }

// Weekday is the day of the week.
func (d Date) Weekday() time.Weekday { return d.noon().Weekday() }

// noon stands for the date in UTC, where every day has one.
func (d Date) noon() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

// Zone is the location of an IANA zone. The names that Go also takes, "" and
// "Local", are none: they mean something else on every machine.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fleet.Errorf(fleet.Invalid, "calendar.zone", name, "%q is no time zone: name one such as Europe/Helsinki", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "calendar.zone", name, "%q is no time zone that is known here", name)
	}
	return loc, nil
}

// Instant is the moment at which clocks in loc show clock ("14:00") on date.
// Where they show it twice the rule's fold chooses ("second", otherwise the
// first); where they skip it, the rule's gap does: "skip" gives false,
// anything else the first instant after the gap, which is the next day where a
// zone dropped the whole date.
func Instant(loc *time.Location, date Date, clock string, rule fleet.DSTRule) (time.Time, bool) {
	hour, minute, err := ParseClock(clock)
	if err != nil {
		return time.Time{}, false
	}
	// The reading as if it were UTC; an offset turns it into an instant.
	reading := time.Date(date.Year, date.Month, date.Day, hour, minute, 0, 0, time.UTC)
	var found []time.Time
	var after time.Time // first instant after the gap the reading lies in
	// Offsets lie within a day of UTC, so these periods are all that matter.
	for at := reading.Add(-48 * time.Hour).In(loc); ; {
		start, end := at.ZoneBounds()
		_, offset := at.Zone()
		t := reading.Add(-time.Duration(offset) * time.Second)
		switch {
		case !start.IsZero() && t.Before(start):
			// This period starts past the reading: the gap before it held it,
			// if no period did.
			if after.IsZero() || start.Before(after) {
				after = start
			}
		case end.IsZero() || t.Before(end):
			found = append(found, t)
		}
		if end.IsZero() || end.After(reading.Add(48*time.Hour)) {
			break
		}
		at = end
	}
	switch {
	case len(found) == 0 && (rule.Gap == "skip" || after.IsZero()):
		return time.Time{}, false
	case len(found) == 0:
		return after.UTC(), true
	case rule.Fold == "second":
		return slices.MaxFunc(found, time.Time.Compare).UTC(), true
	default:
		return slices.MinFunc(found, time.Time.Compare).UTC(), true
	}
}

// ParseClock reads a time of day, "00:00" to "23:59".
func ParseClock(clock string) (hour, minute int, err error) {
	digits := []byte{'0', '0', ':', '0', '0'}
	for i := range digits {
		if len(clock) != len(digits) || (clock[i] == ':') != (i == 2) || i != 2 && (clock[i] < '0' || clock[i] > '9') {
			return 0, 0, fmt.Errorf("%q is no time of day such as 14:00", clock)
		}
	}
	hour = int(clock[0]-'0')*10 + int(clock[1]-'0')
	minute = int(clock[3]-'0')*10 + int(clock[4]-'0')
	if hour > 23 || minute > 59 {
		return 0, 0, fmt.Errorf("%q is no time of day such as 14:00", clock)
	}
	return hour, minute, nil
}

// ParseWeekday reads "Mon" … "Sun".
func ParseWeekday(day string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if d.String()[:3] == day {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no weekday such as Mon", day)
}
