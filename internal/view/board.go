package view

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// BoardOf gathers what is told of a cycle. It reads every fact of the record
// once.
func BoardOf(c Cycle) Board {
	x := indexOf(c)
	cycle := c.Repo.Cycles[c.ID]
	b := Board{
		Cycle: c.ID, Operator: c.Repo.Operator.Name, State: "open", CutOff: cycle.CutOff, Main: c.Repo.Commit, Heads: c.Record.Heads,
		Data: x.newest, Oldest: x.oldest, Version: c.Version, Held: heldBefore(c.Record, cycle.CutOff),
	}
	if b.Heads == nil {
		b.Heads = map[string]string{}
	}
	if c.Closed {
		b.State = "closed"
	}
	for _, w := range c.Waves {
		b.Waves = append(b.Waves, boardWave(c, x, w))
	}
	for _, e := range c.Entries {
		b.Packages = append(b.Packages, boardPackage(c, x, e))
	}
	b.Tenants = x.tenants(c.Repo)
	b.Story = story(c, b, x)
	b.Silent, b.Writes = silences(c.Record, c.ID), writes(c.Repo, c.Record, cycle.CutOff)
	every := func(fleet.TenantID) bool { return true }
	b.Uncatalogued = list(UncataloguedOf(c.Repo, c.Record, every).Uncatalogued)
	b.Uncatalogued = b.Uncatalogued[:min(len(b.Uncatalogued), shownUncatalogued)]
	b.Waves, b.Packages, b.Held, b.Tenants = list(b.Waves), list(b.Packages), list(b.Held), list(b.Tenants)
	return b
}

// BoardSchema is the schema field of a board's JSON form.
const BoardSchema = "packmill.dev/cycle/v1"

// BoardJSON is a board as cycle.json holds it and `cycle status` prints it.
func BoardJSON(b Board) ([]byte, error) {
	data, err := json.MarshalIndent(struct {
		Schema string `json:"schema"`
		Board
	}{BoardSchema, b}, "", "  ")
	return append(data, '\n'), err
}

// list is s, or an empty list where there is none: JSON says [] and not null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func boardWave(c Cycle, x *index, w CycleWave) BoardWave {
	out := BoardWave{Name: w.Name, Phase: w.Phase, Opens: w.Opens, Refusal: w.Refusal, Devices: x.started[w.Name], Tenants: len(x.waveTenants[w.Name])}
	if wave, ok := c.Repo.Wave(w.Name); ok {
		out.Rule = gateWords(wave)
	}
	if w.Approval != nil {
		out.Plan = w.Approval.Plan
	}
	if w.Merge != nil {
		out.Approvers, out.Approved, out.PR = w.Merge.Approvers, w.Merge.At, w.Merge.PR
		out.Auto = w.Merge.Auto != ""
	}
	out.Approvers = list(out.Approvers)
	return out
}

func boardPackage(c Cycle, x *index, e CycleEntry) BoardPackage {
	known := change.EntryOf(c.Repo, e.Package, e.Entry)
	out := BoardPackage{
		Package: e.Package, Name: cmp.Or(known.Name, string(e.Package)), Kind: c.Repo.Packages[e.Package].Kind, From: known.From, To: known.To,
		Class: known.Class, Fixes: known.Fixes, Rollback: known.Rollback, Artifact: e.Entry.Artifact, State: e.State, Why: e.Why,
	}
	if e.Merge != nil {
		out.PR, out.Signed = e.Merge.PR, e.Merge.Approvers
	}
	for _, t := range x.tests[e.Package] {
		out.Tests++
		if t.Result == "passed" {
			out.Passed++
		}
	}
	for i, w := range c.Waves {
		cell := BoardCell{Wave: w.Name, Counts: x.counts[place{w.Name, e.Package}], Devices: x.reached[place{w.Name, e.Package}]}
		if i < len(e.Phases) {
			cell.Phase = e.Phases[i]
		}
		if v, ok := x.verdicts[place{w.Name, e.Package}]; ok {
			cell.Counts, cell.Decision, cell.Lower, cell.Upper, cell.Rule, cell.At = v.Counts, v.Decision, v.Lower, v.Upper, v.Rule, v.At
		}
		out.Waves = append(out.Waves, cell)
	}
	out.Fixes, out.Waves, out.Signed, out.Kept = list(out.Fixes), list(out.Waves), list(out.Signed), list(keptFrom(c, x, e))
	return out
}

// keptFrom are the tenants that have a package and that no wave gave the
// release, because a pin or an opt-out kept it from them when a wave opened.
func keptFrom(c Cycle, x *index, e CycleEntry) []change.Kept {
	var out []change.Kept
	for _, id := range c.Repo.TenantIDs() {
		t := c.Repo.Tenants[id]
		if _, wanted := t.Packages[e.Package]; !wanted {
			continue
		}
		why := ""
		for _, w := range c.Waves {
			if _, got := x.intents[share{place{w.Name, e.Package}, id}]; got {
				why = ""
				break
			}
			if why == "" && !w.Opens.IsZero() {
				why = change.Keeps(t.Policy, e.Package, e.Entry.Release, w.Opens)
			}
		}
		if why != "" {
			out = append(out, change.Kept{Tenant: id, Why: why})
		}
	}
	return out
}

// heldBefore are the sources that the last look before a cut-off held.
func heldBefore(rec *fleet.Record, cutOff time.Time) []fleet.Detection {
	last := map[fleet.PackageID]fleet.Detection{}
	for _, d := range rec.Detections {
		if age := cutOff.Sub(d.At); age >= 0 && age < 7*24*time.Hour {
			last[d.Package] = d
		}
	}
	var out []fleet.Detection
	for _, d := range last {
		if d.State == fleet.StateHeld {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b fleet.Detection) int { return cmp.Compare(a.Package, b.Package) })
	return out
}

// StatusTable is a board as `cycle status` prints it: a row for each release, a
// column for each wave.
func StatusTable(b Board) Table {
	t := Table{Title: "Cycle " + string(b.Cycle) + ", " + b.State, Columns: Cols("package", "release", "state"), Empty: "the cycle holds no release"}
	for _, w := range b.Waves {
		t.Columns = append(t.Columns, Column{Name: w.Name})
	}
	t.Columns = append(t.Columns, Column{Name: "why"})
	for _, p := range b.Packages {
		row := []string{string(p.Package), step(p.From, p.To), phaseMark(p.State) + " " + p.State}
		for _, cell := range p.Waves {
			row = append(row, cellWords(cell))
		}
		t.Add(append(row, p.Why)...)
	}
	return t
}

// WavesTable is the waves of a board.
func WavesTable(b Board) Table {
	t := Table{Columns: Cols("wave", "phase", "opens", "tenants>", "devices>", "approved by", "plan")}
	for _, w := range b.Waves {
		by := byWhom(w.Approvers, w.Auto)
		if w.Refusal != "" {
			by = markNo + " does not count: " + w.Refusal
		}
		t.Add(w.Name, w.Phase, utc(w.Opens), grouped(w.Tenants), grouped(w.Devices), dash(by), dash(w.Plan.Short()))
	}
	return t
}

// cellWords is a release in a wave: mark, word and number.
func cellWords(c BoardCell) string {
	s := phaseMark(c.Phase) + " " + c.Phase
	if n := c.Counts.Total(); n > 0 {
		s += " " + grouped(c.Counts.Succeeded) + "/" + grouped(n)
	}
	return s
}

// phaseMark is the mark of a phase or state.
func phaseMark(phase string) string {
	switch phase {
	case PhasePassed, StateReleased:
		return markYes
	case PhaseFailed, StateHalted, StateRevoked:
		return markNo
	case PhaseInconclusive, StateHeld:
		return markLook
	case PhaseArmed:
		return "◔"
	case PhaseBaking, StateRunning:
		return "◐"
	case PhaseStopped:
		return "■"
	case PhaseWaiting:
		return "○"
	default:
		return markNone
	}
}
