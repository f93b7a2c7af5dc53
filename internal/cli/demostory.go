package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/world"
	"github.com/packmill/packmill/internal/view"
)

// story tells what a run did, in lines for people who see this for the first
// time.
func (d *demo) story(ctx context.Context, s demoStep, report runReport) error {
	facts, _, err := d.facts(ctx)
	if err != nil {
		return err
	}
	for _, o := range report.Done {
		if o.Err != "" {
			return fmt.Errorf("%s: %s", o.Kind, o.Err)
		}
	}
	for _, e := range view.Week(view.WeekRun{At: s.at, Step: s.name, Zone: world.Zone(), Facts: facts, Done: report.Done}) {
		d.add(e)
	}
	return nil
}

// summary is the week in numbers.
func (d *demo) summary(ctx context.Context) (demoSummary, error) {
	facts, mill, err := d.facts(ctx)
	if err != nil {
		return demoSummary{}, err
	}
	id := fleet.CycleID("2026-W47")
	var board view.Cycle
	if _, opened := facts.Repo.Cycles[id]; opened {
		if board, err = factory.Board(facts, id, mill.Clock.Now()); err != nil {
			return demoSummary{}, err
		}
	}
	out := demoSummary{
		Repository: d.world.GitDir(), Seed: d.journal.Seed, Cycle: string(id), Tenants: len(facts.Repo.Tenants), Events: d.journal.Events,
		Packages: demoPackages{Released: []string{}, Halted: []string{}, Held: []string{}},
	}
	for _, e := range board.Entries {
		switch e.State {
		case "released":
			out.Packages.Released = append(out.Packages.Released, string(e.Package))
		case "halted", "revoked":
			out.Packages.Halted = append(out.Packages.Halted, string(e.Package))
		}
	}
	for _, x := range facts.Record.Detections {
		if x.Hold != "" && !slices.Contains(out.Packages.Held, string(x.Package)) {
			out.Packages.Held = append(out.Packages.Held, string(x.Package))
		}
	}
	for _, devices := range rollout.LatestInventory(facts.Record, mill.Clock.Now()) {
		out.Devices += len(devices)
	}
	return out, nil
}

// program is how this packmill was called, for commands to try: `go run` keeps
// what it builds in a folder that is gone afterwards.
func (d *demo) program() string {
	if strings.Contains(filepath.ToSlash(d.exe), "/go-build") {
		return "go run ./cmd/packmill"
	}
	return "packmill"
}

// ending says what came of it and where to look.
func (d *demo) ending(s demoSummary, took time.Duration) {
	w := d.a.stdout
	fmt.Fprintf(w, "\n%d released, %d halted, %d held; %d tenants, %d devices. The week took %.1f s.\n\n", len(s.Packages.Released), len(s.Packages.Halted), len(s.Packages.Held), s.Tenants, s.Devices, took.Seconds())
	l := d.world.Lives()
	fmt.Fprintf(w, "The simulated service decrypted and unpacked %d contents. Its devices evaluated detection rules %d times, installed %d times and failed %d times,\n"+
		"removed a release %d times and went back to what they had had %d times; %d of them are switched off.\n\n", l.Decrypted, l.Detected, l.Installed, l.Failed, l.Removed, l.Back, l.Silent)
	fmt.Fprintln(w, "Where to look:")
	for _, line := range [][2]string{
		{"git -C " + s.Repository + " log --first-parent main", "what changed, and who let it"},
		{"git -C " + s.Repository + " log evidence/control", "what was seen and done"},
		{d.program() + " audit -C " + filepath.Join(d.dir, "audited"), "the proof, from a clone alone"},
		{filepath.Join(d.dir, "page", "index.html"), "the page of the week"},
		{filepath.Join(d.dir, "mailbox"), "what partners were told"},
	} {
		fmt.Fprintf(w, "  %s\n      %s\n", line[0], line[1])
	}
}
