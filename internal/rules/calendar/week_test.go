package calendar

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// shipped is the rhythm that packmill init writes.
func shipped() fleet.Week {
	return fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
		"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"},
		"announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"},
	}}
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestStepsOf(t *testing.T) {
	tuesday := fleet.Week{Zone: "Europe/Helsinki", Steps: map[string]fleet.WeekStep{
		"detect": {On: "Tue", At: "06:00"}, "cutOff": {On: "Tue", At: "16:00"}, "dogfood": {On: "Wed", At: "09:00"},
		"announce": {On: "Thu", At: "08:00"}, "deploy": {On: "Thu", At: "14:00"},
	}}
	atOnce := shipped()
	atOnce.Steps = map[string]fleet.WeekStep{"detect": {On: "Wed", At: "16:00"}, "cutOff": {On: "Wed", At: "16:00"}, "deploy": {On: "Wed", At: "16:00"}}
	for name, c := range map[string]struct {
		week fleet.Week
		id   fleet.CycleID
		want map[string]string
	}{
		"wednesday": {shipped(), "2026-W47", map[string]string{
			"detect": "2026-11-18T04:00:00Z", "cutOff": "2026-11-18T14:00:00Z", "dogfood": "2026-11-19T07:00:00Z",
			"announce": "2026-11-23T06:00:00Z", "deploy": "2026-11-23T12:00:00Z"}},
		"a lane has its week's steps": {shipped(), "2026-W47-cve-01", map[string]string{"cutOff": "2026-11-18T14:00:00Z"}},
		"over a change of clocks": {shipped(), "2026-W43", map[string]string{
			"cutOff": "2026-10-21T13:00:00Z", "announce": "2026-10-26T06:00:00Z", "deploy": "2026-10-26T12:00:00Z"}},
		"tuesday": {tuesday, "2026-W47", map[string]string{
			"detect": "2026-11-17T04:00:00Z", "cutOff": "2026-11-17T14:00:00Z", "deploy": "2026-11-19T12:00:00Z"}},
		"first week":         {shipped(), "2026-W01", map[string]string{"cutOff": "2025-12-31T14:00:00Z", "deploy": "2026-01-05T12:00:00Z"}},
		"week 53":            {shipped(), "2026-W53", map[string]string{"cutOff": "2026-12-30T14:00:00Z", "deploy": "2027-01-04T12:00:00Z"}},
		"all at one instant": {atOnce, "2026-W47", map[string]string{"detect": "2026-11-18T14:00:00Z", "deploy": "2026-11-25T14:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := StepsOf(c.week, c.id)
			if err != nil || len(got) != len(c.week.Steps) {
				t.Fatalf("%v, %v", got, err)
			}
			for step, want := range c.want {
				if !got[step].Equal(at(t, want)) {
					t.Errorf("%s at %s, want %s", step, got[step].Format(time.RFC3339), want)
				}
			}
			if id := CycleOf(c.week, got["cutOff"]); !strings.HasPrefix(string(c.id), string(id)) {
				t.Errorf("the cut-off belongs to %s", id)
			}
		})
	}
}

// TestStepsOfOrder holds for every week of two years in every zone: detect,
// cut-off, then the others within a week.
func TestStepsOfOrder(t *testing.T) {
	for _, name := range zones(t) {
		week := shipped()
		week.Zone = name
		week.Steps = map[string]fleet.WeekStep{"detect": {On: "Sat", At: "23:30"}, "cutOff": {On: "Sun", At: "02:30"}, "deploy": {On: "Sun", At: "02:31"}}
		loc := zone(t, name)
		for day := time.Date(2026, 1, 7, 12, 0, 0, 0, time.UTC); day.Year() < 2028; day = day.AddDate(0, 0, 7*4+1) {
			id := fleet.CycleOf(day)
			s, err := StepsOf(week, id)
			if err != nil {
				t.Fatalf("%s %s: %v", name, id, err)
			}
			wait := s["deploy"].Sub(s["cutOff"])
			if s["detect"].After(s["cutOff"]) || s["cutOff"].Sub(s["detect"]) > 6*24*time.Hour || wait <= 0 || wait > 7*24*time.Hour {
				t.Fatalf("%s %s: %v", name, id, s)
			}
			if fleet.CycleOf(s["cutOff"].In(loc)) != id {
				t.Fatalf("%s %s: the cut-off %s is in another week", name, id, s["cutOff"].In(loc))
			}
		}
	}
}

func TestAfterLastDue(t *testing.T) {
	week := shipped()
	detect := at(t, "2026-11-18T04:00:00Z")
	for _, c := range []struct {
		now, after, last string
	}{
		{"2026-11-18T03:59:59Z", "2026-11-18T04:00:00Z", "2026-11-11T04:00:00Z"},
		{"2026-11-18T04:00:00Z", "2026-11-25T04:00:00Z", "2026-11-18T04:00:00Z"},
		{"2026-11-20T00:00:00Z", "2026-11-25T04:00:00Z", "2026-11-18T04:00:00Z"},
	} {
		after, err := After(week, "detect", at(t, c.now))
		last, err2 := Last(week, "detect", at(t, c.now))
		if err != nil || err2 != nil || !after.Equal(at(t, c.after)) || !last.Equal(at(t, c.last)) {
			t.Errorf("at %s: after %s, last %s (%v, %v)", c.now, after, last, err, err2)
		}
	}
	if due, ok, err := Due(week, "detect", detect.Add(-time.Second), detect); err != nil || !ok || !due.Equal(detect) {
		t.Errorf("not due at its time: %s, %v, %v", due, ok, err)
	}
	if due, ok, err := Due(week, "detect", detect, detect.AddDate(0, 0, 6)); err != nil || ok {
		t.Errorf("due again at %s, %v", due, err)
	}
	for now, want := range map[string]fleet.CycleID{"2026-11-18T04:00:00Z": "2026-W47", "2026-11-18T14:00:00Z": "2026-W47", "2026-11-18T14:00:01Z": "2026-W48", "2026-12-31T00:00:00Z": "2027-W01"} {
		if got, err := CycleAt(week, at(t, now)); err != nil || got != want {
			t.Errorf("at %s: %s, %v, want %s", now, got, err, want)
		}
	}
}

// TestSkippedStep takes the week after, where the rule skips what clocks skip.
func TestSkippedStep(t *testing.T) {
	week := fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "skip"}, Steps: map[string]fleet.WeekStep{
		"detect": {On: "Sun", At: "03:30"}, "cutOff": {On: "Sun", At: "03:30"}}}
	if got, err := After(week, "detect", at(t, "2026-03-28T00:00:00Z")); err != nil || !got.Equal(at(t, "2026-04-05T00:30:00Z")) {
		t.Errorf("after: %s, %v", got, err)
	}
	if got, err := Last(week, "detect", at(t, "2026-03-30T00:00:00Z")); err != nil || !got.Equal(at(t, "2026-03-22T01:30:00Z")) {
		t.Errorf("last: %s, %v", got, err)
	}
	if _, err := StepsOf(week, "2026-W13"); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "2026-03-29") {
		t.Errorf("a cut-off that does not exist: %v", err)
	}
}

func TestWeekErrors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fleet.Week)
		id     fleet.CycleID
		want   string
	}{
		"no cut-off":  {func(w *fleet.Week) { delete(w.Steps, "cutOff") }, "2026-W47", `no step "cutOff"`},
		"zone":        {func(w *fleet.Week) { w.Zone = "Mars/Olympus" }, "2026-W47", "no time zone"},
		"weekday":     {func(w *fleet.Week) { w.Steps["deploy"] = fleet.WeekStep{On: "Monday", At: "14:00"} }, "2026-W47", "no weekday"},
		"clock":       {func(w *fleet.Week) { w.Steps["deploy"] = fleet.WeekStep{On: "Mon", At: "2pm"} }, "2026-W47", "no time of day"},
		"cycle":       {func(*fleet.Week) {}, "W47", "no name of a cycle"},
		"no week 53":  {func(*fleet.Week) {}, "2025-W53", "has no week 53"},
		"cycle's end": {func(*fleet.Week) {}, "2026-W47-x", "no name of a cycle"},
	} {
		week := shipped()
		c.change(&week)
		if _, err := StepsOf(week, c.id); fleet.KindOf(err) != fleet.Invalid || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestInWindow(t *testing.T) {
	night := fleet.Window{On: []string{"Tue", "Sat"}, From: "22:00", Until: "04:00", For: []string{"install"}}
	for now, want := range map[string]string{
		"2026-11-17T19:59:59Z": "", "2026-11-17T20:00:00Z": "2026-11-17T20:00:00Z 2026-11-18T02:00:00Z",
		"2026-11-18T01:59:59Z": "2026-11-17T20:00:00Z 2026-11-18T02:00:00Z", "2026-11-18T02:00:00Z": "",
		// Clocks go forward at 03:00 in the night to Sunday: an hour shorter.
		"2026-03-29T00:30:00Z": "2026-03-28T20:00:00Z 2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z": "",
		// And back at 04:00: 04:00 is there once, an hour later.
		"2026-10-25T01:30:00Z": "2026-10-24T19:00:00Z 2026-10-25T02:00:00Z",
	} {
		span, ok, err := InWindow(night, "Europe/Helsinki", Days{}, at(t, now))
		got := ""
		if ok {
			got = span.From.Format(time.RFC3339) + " " + span.Until.Format(time.RFC3339)
		}
		if err != nil || got != want {
			t.Errorf("at %s: %q, %v; want %q", now, got, err, want)
		}
	}
	next, ok, err := NextWindow(night, "Europe/Helsinki", Days{}, at(t, "2026-11-18T02:00:00Z"))
	if err != nil || !ok || !next.From.Equal(at(t, "2026-11-21T20:00:00Z")) {
		t.Errorf("next opens %v, %v, %v", next, ok, err)
	}
	gone := fleet.Window{On: []string{"Sun"}, From: "03:10", Until: "03:50"}
	if span, ok, err := InWindow(gone, "Europe/Helsinki", Days{}, at(t, "2026-03-29T01:00:00Z")); ok || err != nil {
		t.Errorf("a window that clocks skip is open: %v, %v", span, err)
	}
	for _, w := range []fleet.Window{{On: []string{"x"}, From: "01:00", Until: "02:00"}, {On: []string{"Mon"}, From: "1", Until: "02:00"}, {On: []string{"Mon"}, From: "01:00"}} {
		if _, _, err := InWindow(w, "UTC", Days{}, at(t, "2026-03-29T01:00:00Z")); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%+v: %v", w, err)
		}
	}
	if _, ok, err := NextWindow(fleet.Window{From: "01:00", Until: "02:00"}, "UTC", Days{}, at(t, "2026-03-29T01:00:00Z")); ok || err != nil {
		t.Errorf("a window on no day opens: %v", err)
	}
}
