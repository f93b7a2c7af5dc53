package calendar

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func days(t *testing.T, h fleet.Holidays) Days {
	t.Helper()
	d, err := DaysOf(&h)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func date(t *testing.T, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestHoliday has days whose dates are printed in calendars: of fixed days,
// days that move with Easter, days off in lieu, and days by weekday.
func TestHoliday(t *testing.T) {
	for _, c := range []struct {
		country, day string
		want         bool
	}{
		{"FI", "2026-12-06", true}, {"FI", "2026-06-20", true}, {"FI", "2027-06-26", true}, {"FI", "2026-10-31", true}, {"FI", "2027-11-06", true},
		{"FI", "2026-04-03", true}, {"FI", "2026-04-06", true}, {"FI", "2026-05-14", true}, {"FI", "2026-12-24", false}, {"FI", "2026-06-19", false},
		{"SE", "2026-06-06", true}, {"SE", "2026-12-24", false}, // Christmas Eve is a day off by custom
		{"DE", "2026-10-03", true}, {"DE", "2026-06-04", false}, {"DE-BY", "2026-06-04", true}, {"DE-BY", "2026-10-03", true}, // Corpus Christi in Bavaria
		{"US", "2026-11-26", true}, {"US", "2026-07-03", true}, {"US", "2027-12-31", true}, // 4 July and 1 January 2028 fall on a Saturday
		{"GB", "2026-12-28", true}, {"JP", "2026-09-23", true}, {"AU-VIC", "2026-11-03", true}, {"", "2026-12-25", false},
	} {
		if got := days(t, fleet.Holidays{Country: c.country}).Holiday(date(t, c.day)); (got != "") != c.want {
			t.Errorf("%s %s: %q, want a holiday %v", c.country, c.day, got, c.want)
		}
	}
}

// TestDaysOverrides is about what is written against what the law says.
func TestDaysOverrides(t *testing.T) {
	d := days(t, fleet.Holidays{Country: "FI", Add: map[string]string{"2026-12-24": "offices are closed", "2026-12-28": "stocktaking"}, Remove: []string{"2026-05-14", "2026-12-19"}})
	for _, c := range []struct {
		day      string
		business bool
		why      string
	}{
		{"2026-12-23", true, ""}, {"2026-12-24", false, "offices are closed"}, {"2026-12-25", false, "Christmas Day"}, {"2026-12-26", false, "2nd Day of Christmas"},
		{"2026-12-27", false, ""}, {"2026-12-28", false, "stocktaking"}, {"2026-12-29", true, ""}, {"2026-05-14", true, ""}, {"2026-12-19", true, ""}, {"2026-12-20", false, ""},
	} {
		if got := d.IsBusiness(date(t, c.day)); got != c.business {
			t.Errorf("%s: business day %v", c.day, got)
		}
		if why := d.Holiday(date(t, c.day)); why != c.why {
			t.Errorf("%s: %q, want %q", c.day, why, c.why)
		}
	}
	for _, c := range []struct {
		from string
		n    int
		want string
	}{
		{"2026-12-23", 0, "2026-12-23"}, {"2026-12-24", 0, "2026-12-29"}, {"2026-12-23", 1, "2026-12-29"}, {"2026-12-24", 1, "2026-12-29"},
		{"2026-12-23", 3, "2026-12-31"}, {"2026-12-29", -1, "2026-12-23"}, {"2026-12-27", -1, "2026-12-23"}, {"2026-12-18", 1, "2026-12-19"}, {"2026-12-18", 2, "2026-12-21"},
		{"2026-01-01", 253, "2026-12-30"},
	} {
		got, ok := d.AddBusiness(date(t, c.from), c.n)
		if !ok || got != date(t, c.want) {
			t.Errorf("%s and %d working days: %v, %v, want %s", c.from, c.n, got, ok, c.want)
		}
	}
	closed := fleet.Holidays{Add: map[string]string{}}
	for day := date(t, "2026-07-01"); day.Month < time.September; day = day.Add(1) {
		closed.Add[fmt.Sprintf("%04d-%02d-%02d", day.Year, day.Month, day.Day)] = "summer"
	}
	if got, ok := days(t, closed).OnOrAfter(date(t, "2026-07-01")); ok {
		t.Errorf("a working day in two months of holidays: %v", got)
	}
	if got, ok := days(t, closed).AddBusiness(date(t, "2026-09-01"), -1); ok {
		t.Errorf("a working day before two months of holidays: %v", got)
	}
	if (Days{}).IsBusiness(date(t, "2026-11-28")) || !(Days{}).IsBusiness(date(t, "2026-12-25")) {
		t.Error("without a calendar Saturdays alone are off")
	}
	for _, h := range []fleet.Holidays{{Country: "XX"}, {Country: "fi"}, {Add: map[string]string{"2026-02-30": "x"}}, {Remove: []string{"26-02-01"}}} {
		if _, err := DaysOf(&h); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%+v: %v", h, err)
		}
	}
}

func TestTenantDays(t *testing.T) {
	week := fleet.Week{Holidays: &fleet.Holidays{Country: "FI"}}
	for name, c := range map[string]struct {
		own  *fleet.Holidays
		want bool // 6 December is a holiday
	}{
		"the week's": {nil, true}, "its own": {&fleet.Holidays{Country: "SE"}, false}, "none": {&fleet.Holidays{}, false},
	} {
		d, err := TenantDays(week, fleet.Tenant{Holidays: c.own})
		if err != nil || (d.Holiday(date(t, "2026-12-06")) != "") != c.want {
			t.Errorf("%s: %q, %v", name, d.Holiday(date(t, "2026-12-06")), err)
		}
	}
}

// TestHolidaysOnAnyMachine asks every country for every day in processes whose
// own clock skips midnight on some days: the library thinks in local time.
func TestHolidaysOnAnyMachine(t *testing.T) {
	const asked = "PACKMILL_TEST_HOLIDAYS"
	list := func() string {
		var all []string
		for _, country := range Countries() {
			d := days(t, fleet.Holidays{Country: country})
			for day := (Date{2024, time.January, 1}); day.Year < 2027; day = day.Add(1) {
				if why := d.Holiday(day); why != "" {
					all = append(all, fmt.Sprint(country, day, why))
				}
			}
		}
		return fmt.Sprint(len(all), " ", fleet.DigestOf([]byte(strings.Join(all, "\n"))))
	}
	if os.Getenv(asked) != "" {
		fmt.Println("days", list())
		return
	}
	want := "days " + list()
	for _, zone := range []string{"America/Havana", "Asia/Beirut", "America/Santiago", "UTC"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHolidaysOnAnyMachine$", "-test.count=1")
		cmd.Env = append(os.Environ(), asked+"=1", "TZ="+zone)
		out, err := cmd.Output()
		if err != nil || !slices.Contains(strings.Split(string(out), "\n"), want) {
			t.Errorf("in %s: %v\n%s\nwant %s", zone, err, out, want)
		}
	}
	if n := len(Countries()); n < 60 {
		t.Errorf("only %d countries are known", n)
	}
}

// TestStepsOnHolidays moves steps off days that are not worked.
func TestStepsOnHolidays(t *testing.T) {
	week := func(country string, add ...string) fleet.Week {
		w := shipped()
		w.Holidays = &fleet.Holidays{Country: country, Add: map[string]string{}}
		for _, day := range add {
			w.Holidays.Add[day] = "closed"
		}
		for name, s := range w.Steps {
			s.Holiday = "next"
			w.Steps[name] = s
		}
		return w
	}
	kept := shipped()
	kept.Holidays = &fleet.Holidays{Country: "FI"}
	for name, c := range map[string]struct {
		week fleet.Week
		id   fleet.CycleID
		want map[string]string
	}{
		"nothing falls on one":          {week("FI"), "2026-W47", map[string]string{"cutOff": "2026-11-18T14:00:00Z", "deploy": "2026-11-23T12:00:00Z"}},
		"Easter Monday":                 {week("FI"), "2026-W14", map[string]string{"cutOff": "2026-04-01T13:00:00Z", "dogfood": "2026-04-02T06:00:00Z", "announce": "2026-04-07T05:00:00Z", "deploy": "2026-04-07T11:00:00Z"}},
		"steps that keep":               {kept, "2026-W14", map[string]string{"deploy": "2026-04-06T11:00:00Z"}},
		"Independence Day is a Sunday":  {week("FI"), "2026-W49", map[string]string{"deploy": "2026-12-07T12:00:00Z"}},
		"the cut-off moves in its week": {week("FI", "2026-11-18"), "2026-W47", map[string]string{"detect": "2026-11-19T04:00:00Z", "cutOff": "2026-11-19T14:00:00Z", "dogfood": "2026-11-26T07:00:00Z"}},
		"or not at all":                 {week("FI", "2026-11-18", "2026-11-19", "2026-11-20"), "2026-W47", map[string]string{"cutOff": "2026-11-18T14:00:00Z", "deploy": "2026-11-23T12:00:00Z"}},
	} {
		got, err := StepsOf(c.week, c.id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for step, want := range c.want {
			if !got[step].Equal(at(t, want)) {
				t.Errorf("%s: %s at %s, want %s", name, step, got[step].Format(time.RFC3339), want)
			}
		}
		if id := CycleOf(c.week, got["cutOff"]); id != c.id {
			t.Errorf("%s: the cut-off belongs to %s", name, id)
		}
	}
	bad := week("XX")
	if _, err := StepsOf(bad, "2026-W47"); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a country nobody knows: %v", err)
	}
	summer := week("")
	for day := date(t, "2026-07-01"); day.Month < time.September; day = day.Add(1) {
		summer.Holidays.Add[fmt.Sprintf("%04d-%02d-%02d", day.Year, day.Month, day.Day)] = "summer"
	}
	if got, err := After(summer, "deploy", at(t, "2026-08-20T00:00:00Z")); err != nil || !got.Equal(at(t, "2026-09-01T11:00:00Z")) {
		t.Errorf("the first step after a long summer: %s, %v", got, err)
	}
	if got, err := Last(summer, "deploy", at(t, "2026-08-20T00:00:00Z")); err != nil || !got.Equal(at(t, "2026-06-29T11:00:00Z")) {
		t.Errorf("the last step before it: %s, %v", got, err)
	}
}

// TestWindowOnHolidays keeps a window shut on the days a tenant does not work.
func TestWindowOnHolidays(t *testing.T) {
	night := fleet.Window{On: []string{"Thu", "Fri"}, From: "22:00", Until: "02:00", Holidays: "shut"}
	d := days(t, fleet.Holidays{Country: "FI"})
	next := func(w fleet.Window, d Days, now string) string {
		span, ok, err := NextWindow(w, "Europe/Helsinki", d, at(t, now))
		if err != nil || !ok {
			return fmt.Sprint(ok, err)
		}
		return span.From.Format(time.RFC3339)
	}
	if got := next(night, d, "2026-05-13T12:00:00Z"); got != "2026-05-15T19:00:00Z" {
		t.Errorf("on Ascension Day it is shut: %s", got)
	}
	if got := next(night, Days{}, "2026-05-13T12:00:00Z"); got != "2026-05-14T19:00:00Z" {
		t.Errorf("nobody said that it is a holiday: %s", got)
	}
	open := night
	open.Holidays = "open"
	if got := next(open, d, "2026-05-13T12:00:00Z"); got != "2026-05-14T19:00:00Z" {
		t.Errorf("it stays open: %s", got)
	}
	if _, ok, _ := InWindow(night, "Europe/Helsinki", d, at(t, "2026-12-24T23:30:00Z")); !ok {
		t.Error("the night before a holiday ends at midnight")
	}
}
