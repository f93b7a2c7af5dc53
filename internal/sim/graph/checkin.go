package graph

import "time"

// maxWeeks is how far check-ins are looked for: a device that is off longer is
// gone.
const maxWeeks = 12

// nextCheckIn is the device's first check-in at or after an instant.
func (t *tenant) nextCheckIn(d *device, from time.Time) (time.Time, bool) {
	at := from.UTC()
	for range maxWeeks {
		step, phase := t.s.o.CheckIn, t.phase(d)
		// Check-ins count from the zero instant of Unix time.
		since := time.Duration(at.UnixNano())
		k := (since - phase + step - 1) / step
		c := time.Unix(0, int64(k*step+phase)).UTC()
		if !t.off(d, c) {
			return c, true
		}
		at = weekAfter(c)
	}
	return time.Time{}, false
}

// lastCheckIn is the device's last check-in at or before an instant.
func (t *tenant) lastCheckIn(d *device, until time.Time) (time.Time, bool) {
	at := until.UTC()
	for range maxWeeks {
		step, phase := t.s.o.CheckIn, t.phase(d)
		k := (time.Duration(at.UnixNano()) - phase) / step
		c := time.Unix(0, int64(k*step+phase)).UTC()
		if !t.off(d, c) {
			return c, true
		}
		at = weekAfter(c).AddDate(0, 0, -7).Add(-time.Second)
	}
	return at, false
}

// weekAfter is the Monday 00:00 UTC after an instant.
func weekAfter(at time.Time) time.Time {
	day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	ahead := (8 - int(day.Weekday())) % 7
	if ahead == 0 {
		ahead = 7
	}
	return day.AddDate(0, 0, ahead)
}

// local is an instant as settings state it, for a device: local time is the
// reading of the device's own clock.
func (d *device) local(t *time.Time, useLocal bool) time.Time {
	if t == nil {
		return time.Time{}
	}
	u := t.UTC()
	if !useLocal {
		return u
	}
	return time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), d.zone).UTC()
}
