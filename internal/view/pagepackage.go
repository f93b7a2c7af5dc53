package view

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

type packageData struct {
	frame
	Row        packageRow
	Cells      []cellData
	Artifact   string
	Fixes      []string
	Files      []fileRow
	Installers []installerRow
	Published  string
	Back       string
	Merged     string
	Tests      []testLine
	Tenants    []shareRow
	More       string
	KeptFrom   []change.Kept
	MoreKept   string
	CSV        string
}

type fileRow struct{ Name, Size, Digest string }

type installerRow struct{ Key, Source, Size, Digest, Signer string }

type testLine struct {
	Cell, Installer, Steps, When string
	Result                       markedState
}

type shareRow struct {
	Tenant, Wave, Succeeded, Failed, Silent, Errors, AsOf string
	Bad                                                   bool
	Effect                                                markedState
}

// packageData is the page of the i-th entry, and its tenants as a table.
func (p *pages) packageData(i int) (packageData, Table) {
	e, row := p.cycle.Entries[i], p.board.Packages[i]
	pkg := p.cycle.Repo.Packages[e.Package]
	release := pkg.Releases[e.Entry.Release]
	d := packageData{
		frame: p.frame(row.Name + " " + row.To + ", " + string(p.board.Cycle)), Row: p.packageRow(row), Artifact: string(row.Artifact),
		Fixes: row.Fixes, Back: wayBack(row.Rollback, row.From), Published: "not known", Merged: "not known",
		CSV: strings.TrimSuffix(path.Base(pagePath(e.Package)), ".html") + ".csv",
	}
	d.Cells = d.Row.Cells
	if release.Published != nil {
		d.Published = p.when(*release.Published)
	}
	if e.Merge != nil {
		d.Merged = fmt.Sprintf("%s, PR %d, approved by %s, commit %s", p.when(e.Merge.At), e.Merge.PR, cmp.Or(strings.Join(e.Merge.Approvers, ", "), "nobody"), shortCommit(e.Merge.Commit))
	}
	for _, f := range p.index.built[e.Package].Files {
		d.Files = append(d.Files, fileRow{f.Name, sized(f.Size), string(f.Digest)})
	}
	for _, key := range slices.Sorted(maps.Keys(release.Installers)) {
		d.Installers = append(d.Installers, installerRowOf(key, release.Installers[key]))
	}
	for _, t := range p.index.tests[e.Package] {
		d.Tests = append(d.Tests, testLine{t.Cell, t.Installer, stepWords(t.Steps), p.when(t.At), resultState(t.Result)})
	}
	d.KeptFrom = row.Kept[:min(len(row.Kept), shownTenants)]
	if more := len(row.Kept) - len(d.KeptFrom); more > 0 {
		d.MoreKept = grouped(more)
	}
	table := p.shares(e.Package, &d)
	return d, table
}

func installerRowOf(key string, d fleet.Download) installerRow {
	signer := "signed by " + d.Signer.Subject
	if d.Signer.Subject == "" {
		signer = "unsigned"
	}
	return installerRow{key, cmp.Or(d.URL, d.PURL, string(d.Upload)), sized(d.Size), string(d.SHA256), signer}
}

func resultState(result string) markedState {
	switch result {
	case "passed":
		return markedState{markYes, result, "good"}
	case "failed":
		return markedState{markNo, result, "bad"}
	default:
		return markedState{markNone, result, "none"}
	}
}

// shares are the rows of a package's tenants, failures first.
func (p *pages) shares(id fleet.PackageID, d *packageData) Table {
	var list []share
	for s := range p.index.intents {
		if s.pkg == id {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b share) int {
		x, y := p.index.reports[a].Counts, p.index.reports[b].Counts
		return cmp.Or(cmp.Compare(y.Failed, x.Failed), cmp.Compare(y.Silent, x.Silent), cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.wave, b.wave))
	})
	t := Table{Columns: Cols("tenant", "wave", "effect", "at", "succeeded>", "failed>", "silent>", "errors", "meaning", "as of")}
	for i, s := range list {
		r := p.index.reports[s]
		effect, at := p.lastEffect(s)
		t.Add(string(s.tenant), s.wave, effect.Word, machine(at), fmt.Sprint(r.Counts.Succeeded), fmt.Sprint(r.Counts.Failed), fmt.Sprint(r.Counts.Silent), strings.Join(r.Errors, " "),
			strings.Join(errorWords(r.Errors), "; "), machine(r.AsOf))
		if i < shownTenants {
			d.Tenants = append(d.Tenants, shareRow{Tenant: string(s.tenant), Wave: s.wave, Succeeded: grouped(r.Counts.Succeeded), Failed: grouped(r.Counts.Failed),
				Silent: grouped(r.Counts.Silent), Errors: some(errorWords(r.Errors), 5), AsOf: p.shortWhen(r.AsOf), Bad: r.Counts.Failed > 0, Effect: effect})
		}
	}
	if more := len(list) - len(d.Tenants); more > 0 {
		d.More = fmt.Sprint(more)
	}
	return t
}

// lastEffect is what was done last for a package on a tenant, and when.
func (p *pages) lastEffect(s share) (markedState, time.Time) {
	if r, ok := p.index.back[s]; ok {
		word := map[string]string{"withdraw": "withdrawn", "rollback": "rolled back"}[r.Action]
		if r.Outcome != "done" {
			return markedState{markNo, word + ": " + r.Outcome, "bad"}, r.At
		}
		return markedState{markLook, word, "look"}, r.At
	}
	r, ok := p.index.receipts[s]
	switch {
	case !ok:
		return markedState{markLook, "intent without a receipt", "look"}, p.index.intents[s].At
	case r.Outcome != "done":
		return markedState{markNo, r.Outcome, "bad"}, r.At
	default:
		return markedState{markYes, "assigned", "good"}, r.At
	}
}

func machine(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func cycleCSV(b Board) Table {
	t := Table{Columns: Cols("package", "name", "from", "to", "class", "state", "why", "artifact", "wave", "phase", "succeeded>", "failed>", "silent>", "decision", "lower>", "upper>", "judged")}
	for _, p := range b.Packages {
		for _, c := range p.Waves {
			t.Add(string(p.Package), p.Name, p.From, p.To, p.Class, p.State, p.Why, string(p.Artifact), c.Wave, c.Phase,
				fmt.Sprint(c.Counts.Succeeded), fmt.Sprint(c.Counts.Failed), fmt.Sprint(c.Counts.Silent), c.Decision,
				fmt.Sprintf("%.2f", c.Lower), fmt.Sprintf("%.2f", c.Upper), machine(c.At))
		}
	}
	return t
}

func tenantsCSV(b Board) Table {
	t := Table{Columns: Cols("tenant", "name", "devices>", "packages>", "intents>", "receipts>", "succeeded>", "failed>", "silent>")}
	for _, x := range b.Tenants {
		t.Add(string(x.Tenant), x.Name, fmt.Sprint(x.Devices), fmt.Sprint(x.Packages), fmt.Sprint(x.Intents), fmt.Sprint(x.Receipts),
			fmt.Sprint(x.Counts.Succeeded), fmt.Sprint(x.Counts.Failed), fmt.Sprint(x.Counts.Silent))
	}
	return t
}

func storyCSV(b Board) Table {
	t := Table{Columns: Cols("at", "mark", "text")}
	for _, l := range b.Story {
		t.Add(machine(l.At), l.Mark, l.Text)
	}
	return t
}
