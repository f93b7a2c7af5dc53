package fleet

import (
	"testing"
	"time"
)

func TestCycleOf(t *testing.T) {
	for day, want := range map[string]CycleID{
		"2026-12-31": "2026-W53", "2027-01-01": "2026-W53", "2027-01-03": "2026-W53", "2027-01-04": "2027-W01", "2024-12-30": "2025-W01",
		"2026-11-18": "2026-W47", "2025-12-28": "2025-W52", "2025-12-29": "2026-W01", "2032-12-31": "2032-W53", "2033-01-03": "2033-W01",
	} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := CycleOf(at); got != want || !got.Valid() {
			t.Errorf("%s is in %s, want %s", day, got, want)
		}
	}
	// Names rise week by week, and a week has one from Monday to Sunday.
	last := CycleID("2023-W52")
	for day := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() < 2033; day = day.AddDate(0, 0, 7) {
		id := CycleOf(day)
		if id <= last || id != CycleOf(day.AddDate(0, 0, 6)) || id == CycleOf(day.AddDate(0, 0, 7)) {
			t.Fatalf("%s: %s after %s", day, id, last)
		}
		last = id
	}
}

func TestLane(t *testing.T) {
	for id, want := range map[CycleID]string{"2026-W47": LaneWeek, "2026-W47-cve-01": "cve", "2026-W47-oob-12": "oob", "2026-W47-new-01": "new"} {
		if got := id.Lane(); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
