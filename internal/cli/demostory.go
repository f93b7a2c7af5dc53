package cli

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/world"
)

// story tells what a run did, in lines for people who see this for the first
// time.
func (d *demo) story(ctx context.Context, s demoStep, report runReport) error {
	facts, _, err := d.facts(ctx)
	if err != nil {
		return err
	}
	t := teller{d: d, s: s, facts: facts, done: map[string][]factory.Outcome{}}
	for _, o := range report.Done {
		if o.Err != "" {
			return fmt.Errorf("%s: %s", o.Kind, o.Err)
		}
		t.done[o.Kind] = append(t.done[o.Kind], o)
	}
	t.detections()
	t.builds()
	t.simple(rollout.OpenCycle, "Cut-off. The cycle and its plan are proposed: %s.")
	t.announced()
	t.starts()
	t.deploys()
	t.verdicts()
	t.ways()
	t.simple(rollout.ProposeApproval, "The next wave is proposed: %s.")
	t.promoted()
	t.simple(rollout.ProposeClose, "Every release has its last word: %s.")
	return nil
}

// A teller turns the outcomes of one run into lines.
type teller struct {
	d     *demo
	s     demoStep
	facts rollout.Facts
	done  map[string][]factory.Outcome
}

func (t teller) tell(format string, args ...any) { t.d.tell(t.s, format, args...) }

func (t teller) simple(kind, format string) {
	for _, o := range t.done[kind] {
		t.tell(format, o.Note)
	}
}

func (t teller) name(id fleet.PackageID) string { return t.facts.Repo.Packages[id].Name }

func (t teller) detections() {
	if len(t.done[rollout.Detect]) == 0 {
		return
	}
	for _, x := range t.facts.Record.Detections {
		switch {
		case !x.At.Equal(t.s.at):
		case x.Hold != "":
			t.tell("%s is held (%s): %s. A hold is never a pull request.", t.name(x.Package), x.Hold, x.Why)
		case x.Found != "" && x.Found != x.Current && t.facts.Repo.Packages[x.Package].Kind == "configuration":
			t.tell("%s %s → %s: its files have changed; hashed and proposed like any release.", t.name(x.Package), x.Current, x.Found)
		case x.Found != "" && x.Found != x.Current:
			t.tell("%s %s → %s: downloaded, hashed, read, proposed.", t.name(x.Package), x.Current, x.Found)
		}
	}
}

func (t teller) builds() {
	if n := len(t.done[rollout.Build]); n > 0 {
		t.tell("%d artifacts are built and signed, each with its provenance; %d are tested before any device sees them.", n, len(t.done[rollout.Test]))
	}
}

// starts tells waves by their time in evidence: the run that started one may
// have been killed before it could report.
func (t teller) starts() {
	for _, w := range t.facts.Record.Starts {
		if !w.At.Before(t.s.at) {
			t.tell("Wave %s is frozen: %d devices. Its assignments go out now and fire on the devices at %s.", w.Wave, w.Devices, w.Opens.In(world.Zone()).Format("Mon 15:04"))
		}
	}
}

func (t teller) deploys() {
	if len(t.done[rollout.Deploy]) == 0 {
		return
	}
	tenants, changes, recovered := map[fleet.TenantID]bool{}, 0, 0
	for _, o := range t.done[rollout.Deploy] {
		tenants[o.Tenant] = true
		changes += len(o.Packages)
	}
	for _, r := range t.facts.Record.Receipts {
		if r.Recovered && !r.At.Before(t.s.at) {
			recovered++
		}
	}
	line := fmt.Sprintf("%d changes on %s, each with an intent before and a receipt after.", changes, tenantsOf(len(tenants)))
	if recovered > 0 {
		line = fmt.Sprintf("A new runner takes up where the killed one stopped: %d intents without a receipt are looked at and finished, nothing is done twice. ", recovered) + line
	}
	t.tell("%s", line)
}

func tenantsOf(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return fmt.Sprintf("%d tenants", n)
}

func (t teller) verdicts() {
	for _, o := range t.done[rollout.Judge] {
		count := map[string][]string{}
		for _, v := range t.facts.Record.Verdicts {
			if v.Wave != o.Wave || v.Look != o.Look || v.Cycle != o.Cycle {
				continue
			}
			count[v.Decision] = append(count[v.Decision], t.name(v.Package))
			if v.Decision == "fail" {
				t.tell("%s FAILS wave %s: %d of %d devices failed. It is halted at once and withdrawn; the others go on.", t.name(v.Package), v.Wave, v.Counts.Failed, v.Counts.Succeeded+v.Counts.Failed)
			}
		}
		if names := count["pass"]; len(names) > 0 {
			t.tell("Wave %s after %s: %s pass.", o.Wave, hours(o.Look), strings.Join(names, ", "))
		}
		if names := count["inconclusive"]; len(names) > 0 {
			t.tell("Wave %s after %s: too few reports to judge %s yet.", o.Wave, hours(o.Look), strings.Join(names, ", "))
		}
	}
}

func hours(d fleet.Duration) string { return fmt.Sprintf("%d h", int(d.Std().Hours())) }

func (t teller) ways() {
	t.simple(rollout.ProposeRevoke, "Taking it back is proposed, since that changes devices again: %s.")
	for _, o := range t.done[rollout.RollBack] {
		for _, id := range o.Packages {
			before, _, _ := t.facts.Repo.Packages[id].Before(o.Version)
			t.tell("%s goes back to %s on %s.", t.name(id), before, t.facts.Repo.Tenants[o.Tenant].Name)
		}
	}
}

func (t teller) announced() {
	partners := map[string]bool{}
	for _, n := range t.facts.Record.Notices {
		if n.Sent && !n.At.Before(t.s.at) {
			partners[n.Partner] = true
		}
	}
	if len(partners) > 0 {
		t.tell("%d partners are told what comes at 14:00, each in its own language.", len(partners))
	}
}

func (t teller) promoted() {
	names, tenants := map[string]bool{}, map[fleet.TenantID]bool{}
	for _, o := range t.done[rollout.Promote] {
		for _, id := range o.Packages {
			names[t.name(id)+" "+o.Version] = true
		}
		tenants[o.Tenant] = true
	}
	if len(names) > 0 {
		t.tell("Released to everyone: %s.", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
}

// summary is the week in numbers.
func (d *demo) summary(ctx context.Context) (demoSummary, error) {
	facts, mill, err := d.facts(ctx)
	if err != nil {
		return demoSummary{}, err
	}
	id := fleet.CycleID("2026-W47")
	board, err := factory.Board(facts, id, mill.Clock.Now())
	if err != nil {
		return demoSummary{}, err
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
