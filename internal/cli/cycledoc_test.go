package cli

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// TestBoardOnPages compares the two ways a board leaves: printed by cycle
// status, and as cycle.json among the pages. Both are one document.
func TestBoardOnPages(t *testing.T) {
	d, _ := documentNamed("cycle")
	if d.schema() != view.BoardSchema {
		t.Errorf("pages say %s, the command says %s", view.BoardSchema, d.schema())
	}
	const id fleet.CycleID = "2026-W47"
	c := view.Cycle{
		Repo: &fleet.Repository{Cycles: map[fleet.CycleID]fleet.Cycle{id: {CutOff: time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC),
			Entries: map[fleet.PackageID]fleet.Entry{"a/b": {Release: "1"}}}}},
		Record: &fleet.Record{}, ID: id,
		Waves:   []view.CycleWave{{Name: "everyone", Phase: "closed"}},
		Entries: []view.CycleEntry{{Package: "a/b", Entry: fleet.Entry{Release: "1"}, State: view.StateRunning, Phases: []string{view.PhaseWaiting}}},
	}
	pages, err := view.Pages(c)
	if err != nil {
		t.Fatal(err)
	}
	checkDocument(t, "cycle", string(pages["cycle.json"]))
	a, out := printer(nil)
	if err := a.write(formatJSON, result{name: "cycle", value: view.BoardOf(c)}); err != nil {
		t.Fatal(err)
	}
	checkDocument(t, "cycle", out.String())
}
