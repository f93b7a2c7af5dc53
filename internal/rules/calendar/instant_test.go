package calendar

import (
	"archive/zip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestInstant has the days on which time.Date answers wrongly, by zone.
func TestInstant(t *testing.T) {
	for _, c := range []struct {
		zone, date, clock, gap, fold string
		want                         string // "" where there is none
	}{
		{"Europe/Helsinki", "2026-11-23", "14:00", "later", "first", "2026-11-23T12:00:00Z"},
		{"Europe/Helsinki", "2026-07-20", "14:00", "later", "first", "2026-07-20T11:00:00Z"},
		{"Europe/Amsterdam", "2026-03-29", "02:30", "later", "first", "2026-03-29T01:00:00Z"},
		{"Europe/Amsterdam", "2026-03-29", "02:30", "skip", "first", ""},
		{"Europe/Amsterdam", "2026-10-25", "02:30", "later", "first", "2026-10-25T00:30:00Z"},
		{"Europe/Amsterdam", "2026-10-25", "02:30", "later", "second", "2026-10-25T01:30:00Z"},
		{"America/New_York", "2026-03-08", "02:30", "later", "first", "2026-03-08T07:00:00Z"},
		{"America/New_York", "2026-11-01", "01:30", "later", "first", "2026-11-01T05:30:00Z"},
		{"America/New_York", "2026-11-01", "01:30", "later", "second", "2026-11-01T06:30:00Z"},
		{"Australia/Lord_Howe", "2026-10-04", "02:15", "later", "first", "2026-10-03T15:30:00Z"}, // half an hour
		{"Pacific/Apia", "2011-12-30", "14:00", "later", "first", "2011-12-30T10:00:00Z"},        // a dropped day
		{"Pacific/Apia", "2011-12-30", "14:00", "skip", "first", ""},
		{"UTC", "2026-11-23", "00:00", "", "", "2026-11-23T00:00:00Z"},
		{"Pacific/Kiritimati", "2026-01-01", "00:00", "", "", "2025-12-31T10:00:00Z"},
		{"Europe/Helsinki", "2026-11-23", "24:00", "later", "first", ""},
		{"Europe/Helsinki", "2026-11-23", "2:00", "later", "first", ""},
		{"Europe/Helsinki", "2026-11-23", "+2:00", "later", "first", ""},
	} {
		day, err := time.Parse(time.DateOnly, c.date)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Instant(zone(t, c.zone), DateOf(day), c.clock, fleet.DSTRule{Gap: c.gap, Fold: c.fold})
		if ok != (c.want != "") || ok && got.Format(time.RFC3339) != c.want {
			t.Errorf("%s %s %s, gap %s, fold %s: %s, %v; want %q", c.zone, c.date, c.clock, c.gap, c.fold, got.Format(time.RFC3339), ok, c.want)
		}
	}
}

func TestZone(t *testing.T) {
	for _, name := range []string{"", "Local", "Europe/Helsinky", "../../etc/passwd", "EUROPE HELSINKI"} {
		if _, err := Zone(name); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("zone %q: %v", name, err)
		}
	}
}

// zones are the names of all IANA zones, from the Go tree's own copy.
func zones(t *testing.T) []string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	testreq.Need(t, "go", err == nil, "asks it where the list of zones is")
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	testreq.Need(t, "zoneinfo.zip", err == nil, "the Go tree has no list of zones")
	defer files.Close()
	var names []string
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, "/") && f.Name != "Factory" {
			names = append(names, f.Name)
		}
	}
	if len(names) < 400 {
		t.Fatalf("only %d zones", len(names))
	}
	return names
}

// transitions are the instants at which a zone's clocks change, from 2024 to
// 2032.
func transitions(loc *time.Location) []time.Time {
	var out []time.Time
	end := time.Date(2033, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).In(loc); ; {
		_, next := at.ZoneBounds()
		if next.IsZero() || next.After(end) {
			return out
		}
		out = append(out, next)
		at = next
	}
}

// shownAround is when clocks in a zone show each reading of the hours around a
// change, minute by minute, and the reading they would show at the change.
func shownAround(loc *time.Location, at time.Time) (shown map[reading][]time.Time, first time.Time) {
	shown = make(map[reading][]time.Time, 1080)
	for u := at.Add(-9 * time.Hour).UTC(); u.Before(at.Add(9 * time.Hour)); u = u.Add(time.Minute) {
		r := readingOf(u.In(loc))
		shown[r] = append(shown[r], u)
	}
	_, before := at.Add(-time.Second).In(loc).Zone()
	return shown, at.Add(time.Duration(before) * time.Second).UTC()
}

// A reading is what a clock shows.
type reading struct {
	Date
	hour, minute int
}

func readingOf(t time.Time) reading { return reading{DateOf(t), t.Hour(), t.Minute()} }

// TestEveryTransition compares Instant, around every change of clocks from 2024
// to 2032 in every zone, with a list of what the clocks show minute by minute.
func TestEveryTransition(t *testing.T) {
	changes, gaps, folds := 0, 0, 0
	for _, name := range zones(t) {
		loc := zone(t, name)
		for _, at := range transitions(loc) {
			changes++
			shown, first := shownAround(loc, at)
			for d := -150; d <= 150; d += 5 {
				reading := first.Add(time.Duration(d) * time.Minute)
				want := shown[readingOf(reading)]
				switch len(want) {
				case 0:
					gaps++
					want = []time.Time{at.UTC(), at.UTC()}
				case 1:
					want = append(want, want[0])
				case 2:
					folds++
				}
				for i, fold := range []string{"first", "second"} {
					got, ok := Instant(loc, DateOf(reading), reading.Format("15:04"), fleet.DSTRule{Gap: "later", Fold: fold})
					if !ok || !got.Equal(want[i]) {
						t.Fatalf("%s %s, %s: %s, %v; want %s", name, reading.Format("2006-01-02 15:04"), fold, got, ok, want[i])
					}
				}
				_, ok := Instant(loc, DateOf(reading), reading.Format("15:04"), fleet.DSTRule{Gap: "skip"})
				if ok != (len(shown[readingOf(reading)]) > 0) {
					t.Fatalf("%s %s: skip gives %v", name, reading.Format("2006-01-02 15:04"), ok)
				}
			}
		}
	}
	t.Logf("%d changes of clocks, %d readings in gaps, %d in folds", changes, gaps, folds)
	if changes < 2000 || gaps < 10000 || folds < 10000 {
		t.Errorf("the test looked at too little: %d, %d, %d", changes, gaps, folds)
	}
}
