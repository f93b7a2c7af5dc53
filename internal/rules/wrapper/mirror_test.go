package wrapper

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Nothing here runs PowerShell. The script's few decisions are therefore written
// a second time below, line by line as the script has them, and that mirror is
// what the tests try out. TestMirrored fails when the script's side changes, so
// that nobody forgets the other.

// toInstant mirrors ConvertTo-Instant. What .NET asks a zone, whether a time is
// skipped or there twice, is found out from Go's zone.
func toInstant(zone *time.Location, wall time.Time, flags string) (time.Time, bool) {
	offsets := offsetsAt(zone, wall)
	if len(offsets) == 0 {
		if strings.Contains(flags, "g") {
			return time.Time{}, false
		}
		for len(offsets) == 0 {
			wall = wall.Add(time.Minute)
			offsets = offsetsAt(zone, wall)
		}
	}
	offset := offsets[0]
	if len(offsets) > 1 {
		if strings.Contains(flags, "s") {
			offset = offsets[0]
		} else {
			offset = offsets[len(offsets)-1]
		}
	}
	return wall.Add(-offset), true
}

// offsetsAt are the offsets by which a zone's clocks show a reading, smallest
// first: none for a time that they skip, two for one that is there twice.
func offsetsAt(zone *time.Location, wall time.Time) []time.Duration {
	var out []time.Duration
	for _, around := range []time.Duration{-26 * time.Hour, 26 * time.Hour} {
		_, seconds := wall.Add(around).In(zone).Zone()
		offset := time.Duration(seconds) * time.Second
		if _, there := wall.Add(-offset).In(zone).Zone(); there == seconds && !slices.Contains(out, offset) {
			out = append(out, offset)
		}
	}
	slices.Sort(out)
	return out
}

var oneWindow = regexp.MustCompile(`\A([A-Za-z+]+)@([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])(=[hgs]{1,3})?\z`)

type opening struct {
	from, until time.Time
	holds       bool
}

// findOpening mirrors Find-Opening.
func findOpening(t *testing.T, text, holidays string, zone *time.Location, now time.Time) *opening {
	t.Helper()
	var best *opening
	local := now.In(zone)
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	for _, one := range strings.Split(text, "/") {
		m := oneWindow.FindStringSubmatch(one)
		if m == nil {
			t.Fatalf("a window cannot be read: %s", one)
		}
		number := func(i int) int { n, _ := strconv.Atoi(m[i]); return n }
		days := strings.Split(m[1], "+")
		from, until, flags := number(2)*60+number(3), number(4)*60+number(5), m[6]
		for n := -3; n <= 21; n++ {
			date := today.AddDate(0, 0, n)
			if !slices.Contains(days, date.Weekday().String()[:3]) {
				continue
			}
			if strings.Contains(flags, "h") && slices.Contains(strings.Split(holidays, "+"), date.Format("2006-01-02")) {
				continue
			}
			end := date
			if until <= from {
				end = date.AddDate(0, 0, 1)
			}
			a, okA := toInstant(zone, date.Add(time.Duration(from)*time.Minute), flags)
			b, okB := toInstant(zone, end.Add(time.Duration(until)*time.Minute), flags)
			if !okA || !okB || !a.Before(b) || !now.Before(b) {
				continue
			}
			o := &opening{a, b, !a.After(now)}
			switch {
			case best == nil:
				best = o
			case o.holds && best.holds:
				if o.until.After(best.until) {
					best = o
				}
			case o.from.Before(best.from):
				best = o
			}
		}
	}
	return best
}

// resolveExitCode mirrors Get-Meaning and Resolve-ExitCode.
func resolveExitCode(codes map[string]string, code int, deferred bool) int {
	meaning, known := codes[strconv.Itoa(code)]
	if !known {
		meaning = "failed"
	}
	switch meaning {
	case "success":
		return 0
	case "softReboot":
		return 3010
	case "hardReboot":
		if deferred {
			return 3010
		}
		return 1641
	case "retry":
		return 1618
	}
	if slices.Contains([]int{0, 1618, 1641, 1707, 3010}, code) || code >= 79000 && code <= 79099 {
		return 79012
	}
	return code
}

// TestMirrored holds the text of what is mirrored; UPDATE=1 writes it again.
func TestMirrored(t *testing.T) {
	var got strings.Builder
	for _, name := range []string{"ConvertTo-Instant", "Find-Opening", "Get-Meaning", "Resolve-ExitCode"} {
		text := regexp.MustCompile(`(?s)\nfunction ` + name + `\(.*?\n}\n`).FindString(script)
		if text == "" {
			t.Fatalf("the script has no function %s", name)
		}
		got.WriteString(text)
	}
	file := filepath.Join("testdata", "mirrored.ps1")
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got.String() {
		t.Errorf("the script's decisions changed: change their mirror in this file too, then UPDATE=1: %v", err)
	}
}

// TestOpenings compares the mirror with the calendar that plans are made by, in
// zones of all kinds, around every change of clocks of a year.
func TestOpenings(t *testing.T) {
	zones := []string{"Europe/Helsinki", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Santiago", "Africa/Casablanca"}
	windows := []fleet.Window{
		{On: []string{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "22:00", Until: "04:00"},
		{On: []string{"Sat", "Sun"}, From: "02:30", Until: "03:30"},
		{On: []string{"Sun"}, From: "01:15", Until: "02:45", DST: fleet.DSTRule{Gap: "skip", Fold: "second"}},
		{On: []string{"Sat", "Sun"}, From: "00:00", Until: "00:00", DST: fleet.DSTRule{Fold: "second"}},
		{On: []string{"Sun"}, From: "02:05", Until: "02:55"},
		{On: []string{"Thu", "Fri"}, From: "20:00", Until: "23:59", Holidays: "shut"},
	}
	holidays := []string{"2026-12-25", "2027-01-01"}
	days, err := calendar.DaysOf(&fleet.Holidays{Add: map[string]string{holidays[0]: "x", holidays[1]: "y"}})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, name := range zones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range windows {
			text, err := notation([]fleet.Window{w})
			if err != nil {
				t.Fatal(err)
			}
			for _, now := range instants(zone) {
				span, ok, err := calendar.NextWindow(w, name, days, now)
				if err != nil {
					t.Fatal(err)
				}
				got := findOpening(t, text, strings.Join(holidays, "+"), zone, now)
				tried++
				if !ok && got == nil {
					continue
				}
				if got == nil || !ok || !got.from.Equal(span.From) || !got.until.Equal(span.Until) || got.holds != span.Holds(now) {
					t.Fatalf("%s, %s at %s: %+v, the calendar says %+v %v", name, text, now.In(zone), got, span, ok)
				}
			}
		}
	}
	if tried < 5000 {
		t.Errorf("%d openings were compared", tried)
	}
}

// instants are the half hours around the changes of clocks of a year, hours
// around two holidays, and some of every week between.
func instants(zone *time.Location) []time.Time {
	const step = 53 * time.Hour
	var out []time.Time
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for at := begin; at.Before(begin.AddDate(1, 0, 0)); at = at.Add(step) {
		out = append(out, at)
		if _, change := at.In(zone).ZoneBounds(); !change.IsZero() && change.Before(at.Add(step)) {
			for m := -6 * 2; m < 6*2; m++ {
				out = append(out, change.Add(time.Duration(m)*30*time.Minute))
			}
		}
	}
	for _, day := range []time.Time{time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC)} {
		for m := range 18 {
			out = append(out, day.Add(time.Duration(m)*2*time.Hour))
		}
	}
	return out
}

// TestSeveralWindows: of openings that hold an instant the one that ends last,
// else the one that begins first.
func TestSeveralWindows(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	const text = "Mon@20:00-23:00/Mon@22:00-02:00/Wed@01:00-02:00" // 2026-11-23 is a Monday
	for now, want := range map[time.Time]opening{
		at(23, 19): {at(23, 20), at(23, 23), false}, at(23, 21): {at(23, 20), at(23, 23), true}, at(23, 22): {at(23, 22), at(24, 2), true},
		at(24, 1): {at(23, 22), at(24, 2), true}, at(24, 2): {at(25, 1), at(25, 2), false}, at(25, 2): {at(30, 20), at(30, 23), false},
	} {
		if got := findOpening(t, text, "", time.UTC, now); got == nil || *got != want {
			t.Errorf("at %s: %+v, want %+v", now, got, want)
		}
	}
}

func TestResolveExitCode(t *testing.T) {
	codes := map[string]string{"0": Success, "3010": SoftReboot, "1641": HardReboot, "1618": Retry, "-5": Success, "17": Failed, "1707": Failed}
	for _, c := range []struct {
		code     int
		deferred bool
		want     int
	}{
		{0, false, 0}, {-5, false, 0}, {3010, false, 3010}, {1641, false, 1641}, {1641, true, 3010}, {1618, true, 1618},
		{17, false, 17}, {1603, false, 1603}, {-2147024894, false, -2147024894}, {1707, false, 79012}, {79001, false, 79012},
	} {
		got := resolveExitCode(codes, c.code, c.deferred)
		if got != c.want {
			t.Errorf("%d becomes %d, want %d", c.code, got, c.want)
		}
		// What the console makes of it is what the package said.
		said, means := codes[strconv.Itoa(c.code)], ConsoleCodes()[got]
		if (said == "" || said == Failed) != (means == "") || said == Retry && means != Retry || said == Success && means != Success {
			t.Errorf("%d, which is %q, reaches the console as %d, %q", c.code, said, got, means)
		}
	}
	if got := resolveExitCode(map[string]string{"0": Failed, "3010": Failed}, 0, false); got != 79012 {
		t.Errorf("a 0 that is a failure becomes %d", got)
	}
}
