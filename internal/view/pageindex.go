package view

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// shownTenants is how many tenants a page lists before it points to the CSV
// file: a page stays below 250 KiB.
const shownTenants = 400

type indexData struct {
	frame
	CutOff      string
	Counts      []markedState
	Packages    []packageRow
	Waves       []waveRow
	Story       []storyRow
	Held        []heldRow
	Tenants     []tenantRow
	MoreTenants string
	Heads       []headRow

	Silent       []silentRow
	MoreSilent   string
	Uncatalogued []uncataloguedRow
	Writes       []writeRow
	MoreWrites   string
}

type packageRow struct {
	Page, Name, ID, Step, Class, Why, Tests string
	Kept                                    string // tenants that do not take it, "" for none
	State                                   markedState
	Cells                                   []cellData
}

// A cellData is one release in one wave.
type cellData struct {
	Wave                             string
	State                            markedState
	Total, Succeeded, Failed, Silent string // "" for none
	Bars                             []barPart
	Bounds, Rule, When               string
}

// A barPart is one rectangle of a bar, in pixels; failed ones are hatched so
// that colour is not needed to tell them.
type barPart struct {
	Class string
	X     string
	Width string
	Hatch []string
}

type waveRow struct {
	Name, Opens, Tenants, Devices, Rule, By, When, Plan string
	State                                               markedState
}

type storyRow struct{ Machine, When, Mark, Tone, Text string }

type heldRow struct {
	Package, Current, Found, Why string
	State                        markedState
}

type tenantRow struct {
	ID, Name, Devices, Packages, Done, Failed, Silent string
	Bad                                               bool
	Effects                                           markedState
}

type headRow struct{ Branch, Head string }

func (p *pages) indexData() indexData {
	b := p.board
	d := indexData{frame: p.frame("Cycle " + string(b.Cycle)), CutOff: p.when(b.CutOff), Counts: stateCounts(b)}
	for _, pkg := range b.Packages {
		d.Packages = append(d.Packages, p.packageRow(pkg))
	}
	for _, w := range b.Waves {
		row := waveRow{Name: w.Name, Opens: p.when(w.Opens), Tenants: grouped(w.Tenants), Devices: grouped(w.Devices), Rule: w.Rule,
			By: dash(byWhom(w.Approvers, w.Auto)), Plan: dash(w.Plan.Short()), State: waveState(w)}
		if w.PR > 0 {
			row.When = fmt.Sprintf("%s, PR %d", p.when(w.Approved), w.PR)
		}
		if w.Refusal != "" {
			row.By, row.When = "does not count: "+w.Refusal, ""
		}
		d.Waves = append(d.Waves, row)
	}
	for _, l := range b.Story {
		d.Story = append(d.Story, storyRow{machine(l.At), p.shortWhen(l.At), storyMark(l.Mark), l.Mark, l.Text})
	}
	for _, h := range b.Held {
		d.Held = append(d.Held, heldRow{string(h.Package), dash(h.Current), dash(h.Found), h.Why, markedState{markLook, h.Hold, "look"}})
	}
	for i, t := range b.Tenants {
		if i == shownTenants {
			d.MoreTenants = grouped(len(b.Tenants) - i)
			break
		}
		d.Tenants = append(d.Tenants, tenantRowOf(t))
	}
	p.insightRows(&d)
	for _, branch := range slices.Sorted(maps.Keys(b.Heads)) {
		if head := b.Heads[branch]; head != "" {
			d.Heads = append(d.Heads, headRow{branch, head})
		}
	}
	return d
}

// stateCounts is the cycle in a line: how many releases are where.
func stateCounts(b Board) []markedState {
	var out []markedState
	for _, state := range []string{StateReleased, StateRunning, StateHalted, StateRevoked, StateHeld} {
		n := 0
		for _, p := range b.Packages {
			if p.State == state {
				n++
			}
		}
		if n > 0 {
			s := stateOf(state)
			s.Word = fmt.Sprintf("%d %s", n, s.Word)
			out = append(out, s)
		}
	}
	if n := len(b.Held); n > 0 {
		out = append(out, markedState{markLook, plural(n, "source") + " held", "look"})
	}
	return out
}

func (p *pages) packageRow(pkg BoardPackage) packageRow {
	row := packageRow{Page: pagePath(pkg.Package), Name: pkg.Name, ID: string(pkg.Package), Step: step(pkg.From, pkg.To),
		Class: classWords(pkg), State: stateOf(pkg.State), Why: pkg.Why, Tests: testCount(pkg)}
	if n := len(pkg.Kept); n > 0 {
		row.Kept = plural(n, "tenant")
	}
	for _, c := range pkg.Waves {
		row.Cells = append(row.Cells, p.cell(c))
	}
	return row
}

func classWords(p BoardPackage) string {
	s := p.Class + " release"
	switch {
	case p.Class == "config":
		s = p.Kind
	case p.Kind != "application":
		s = p.Kind + ", " + s
	}
	if n := len(p.Fixes); n > 0 {
		s += ", fixes " + plural(n, "vulnerability")
	}
	return s
}

func testCount(p BoardPackage) string {
	if p.Tests == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d passed", p.Passed, p.Tests)
}

func (p *pages) cell(c BoardCell) cellData {
	d := cellData{Wave: c.Wave, State: stateOf(c.Phase), Rule: c.Rule, When: p.when(c.At), Bounds: "–"}
	if c.Decision != "" {
		d.Bounds = fmt.Sprintf("%.1f – %.1f %%", c.Lower, c.Upper)
	}
	total := c.Counts.Total()
	if total == 0 {
		return d
	}
	d.Total, d.Succeeded = grouped(total), grouped(c.Counts.Succeeded)
	if c.Counts.Failed > 0 {
		d.Failed = grouped(c.Counts.Failed)
	}
	if c.Counts.Silent > 0 {
		d.Silent = grouped(c.Counts.Silent)
	}
	d.Bars = bars(c.Counts)
	return d
}

// bars draws counts 104 pixels wide, two pixels apart; what there is at all is
// three pixels wide at least.
func bars(c fleet.Counts) []barPart {
	const width, gap, least = 104.0, 2.0, 3.0
	var out []barPart
	x := 0.0
	for _, part := range []struct {
		class string
		n     int
	}{{"ok", c.Succeeded}, {"no", c.Failed}, {"off", c.Silent}} {
		if part.n == 0 {
			continue
		}
		w := max(least, float64(part.n)/float64(c.Total())*(width-4*gap-2*least))
		b := barPart{Class: part.class, X: pixels(x), Width: pixels(w)}
		if part.class == "no" {
			for at := x + 1; at+5 <= x+w; at += 4 {
				b.Hatch = append(b.Hatch, pixels(at))
			}
		}
		if part.class == "off" { // its stroke stands half outside
			b.X, b.Width = pixels(x+0.5), pixels(w-1)
		}
		out = append(out, b)
		x += w + gap
	}
	return out
}

func pixels(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

func waveState(w BoardWave) markedState {
	switch w.Phase {
	case "judged":
		return markedState{markYes, "judged", "good"}
	case "armed":
		return markedState{"◔", "armed", "none"}
	case "baking":
		return stateOf(PhaseBaking)
	case "opening":
		return markedState{"○", "approved", "none"}
	case "closed":
		return markedState{"○", "waits for approval", "none"}
	default:
		return markedState{markNone, w.Phase, "none"}
	}
}

func storyMark(mark string) string {
	switch mark {
	case "good":
		return markYes
	case "bad":
		return markNo
	case "look":
		return markLook
	default:
		return markNone
	}
}

func tenantRowOf(t BoardTenant) tenantRow {
	row := tenantRow{ID: string(t.Tenant), Name: t.Name, Devices: grouped(t.Devices), Packages: grouped(t.Packages),
		Done:   grouped(t.Counts.Succeeded) + " of " + grouped(t.Counts.Total()),
		Failed: grouped(t.Counts.Failed), Silent: grouped(t.Counts.Silent), Bad: t.Counts.Failed > 0}
	row.Effects = markedState{markYes, fmt.Sprintf("%d of %d receipts", t.Receipts, t.Intents), "good"}
	if t.Receipts < t.Intents {
		row.Effects.Mark, row.Effects.Tone = markLook, "look"
	}
	return row
}

// pagePath is where a package's page stands.
func pagePath(id fleet.PackageID) string {
	publisher, name, _ := strings.Cut(string(id), "/")
	return "packages/" + safeName(publisher) + "/" + safeName(name) + ".html"
}

// safeName keeps what is safe in a file name and a relative link.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if word(r) || r == '-' || r == '_' || r == '.' || r == '+' {
			return r
		}
		return '-'
	}, s)
}
