package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/failcode"
	"github.com/packmill/packmill/internal/rules/reconcile"
)

// shownUncatalogued is how many programs without a package a board tells;
// `inventory --uncatalogued` tells all.
const shownUncatalogued = 50

// errorWords are error codes for people, each with its meaning.
func errorWords(codes []string) []string {
	out := failcode.TellAll(codes)
	for i, c := range out {
		if c == fleet.NotAsked {
			out[i] = "the tenant could not be asked"
		}
	}
	return out
}

// silences are the cycle's last words on silent devices: of each wave and tenant
// those of its newest look, unless everybody had spoken by then.
func silences(rec *fleet.Record, id fleet.CycleID) []fleet.Silence {
	type where struct {
		wave   string
		tenant fleet.TenantID
	}
	newest := map[where]fleet.Silence{}
	for _, s := range rec.Silences {
		at := where{s.Wave, s.Tenant}
		if s.Cycle == id && !s.At.Before(newest[at].At) {
			newest[at] = s
		}
	}
	for _, r := range rec.Reports {
		at := where{r.Wave, r.Tenant}
		if s, ok := newest[at]; ok && r.Cycle == id && r.At.After(s.At) && r.Look > s.Look {
			delete(newest, at) // a later look found nobody silent, or could not ask
		}
	}
	out := make([]fleet.Silence, 0, len(newest))
	for _, s := range newest {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b fleet.Silence) int {
		return cmp.Or(cmp.Compare(b.Silent, a.Silent), cmp.Compare(a.Tenant, b.Tenant), strings.Compare(a.Wave, b.Wave))
	})
	return out
}

// writes are the writes in tenants that packmill does not explain, of the week
// before a cycle's cut-off and since.
func writes(repo *fleet.Repository, rec *fleet.Record, cutOff time.Time) []fleet.AuditWrite {
	out := []fleet.AuditWrite{}
	told := map[string]bool{}
	for _, r := range rec.Reconciled {
		for _, f := range r.Findings {
			if key := string(r.Tenant) + "/" + f.Event; !told[key] && f.At.After(cutOff.AddDate(0, 0, -7)) {
				told[key] = true
				out = append(out, fleet.AuditWrite{Tenant: r.Tenant, ConsoleFinding: f, Acknowledged: reconcile.Acknowledged(repo.Tenants[r.Tenant], f)})
			}
		}
	}
	slices.SortFunc(out, func(a, b fleet.AuditWrite) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Tenant, b.Tenant), strings.Compare(a.Event, b.Event))
	})
	return out
}

type silentRow struct{ Tenant, Wave, Look, Silent, Devices string }

type uncataloguedRow struct{ Name, Publisher, Versions, Tenants, Devices, Where string }

type writeRow struct{ When, Tenant, What, Package, By, Why string }

// shownSilent is how many devices a page lists of a tenant; silent.csv has those
// that evidence lists.
const shownSilent = 3

func (p *pages) insightRows(d *indexData) {
	for i, s := range p.board.Silent {
		if i == shownTenants/4 {
			d.MoreSilent = grouped(len(p.board.Silent) - i)
			break
		}
		d.Silent = append(d.Silent, silentRow{string(s.Tenant), s.Wave, span(s.Look), grouped(s.Silent), silentDevices(s, shownSilent)})
	}
	for i, x := range p.board.Uncatalogued {
		if i == 15 {
			break
		}
		d.Uncatalogued = append(d.Uncatalogued, uncataloguedRow{x.Name, dash(x.Publisher), grouped(x.Versions), grouped(x.Tenants), grouped(x.Devices), some(x.In, 3)})
	}
	for i, w := range p.board.Writes {
		if i == shownTenants/4 {
			d.MoreWrites = grouped(len(p.board.Writes) - i)
			break
		}
		by := "application " + dash(w.Application)
		if w.Person {
			by = "a person"
		}
		why := writeKind(w.Kind)
		if w.Acknowledged != "" {
			why += "; acknowledged, " + w.Acknowledged
		}
		d.Writes = append(d.Writes, writeRow{p.when(w.At), string(w.Tenant), w.What, dash(string(w.Package)), by, why})
	}
}

// silentDevices are the first keyed hashes, shortened, and how many more there
// are.
func silentDevices(s fleet.Silence, limit int) string {
	var out []string
	for _, d := range s.Devices[:min(limit, len(s.Devices))] {
		out = append(out, d[:min(len(d), 12)])
	}
	if more := s.Silent - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

func silentCSV(b Board) Table {
	t := Table{Columns: Cols("tenant", "wave", "look", "silent>", "device")}
	for _, s := range b.Silent {
		for _, d := range s.Devices {
			t.Add(string(s.Tenant), s.Wave, span(s.Look), fmt.Sprint(s.Silent), d)
		}
	}
	return t
}

func uncataloguedCSV(b Board) Table {
	t := Table{Columns: Cols("program", "publisher", "platform", "versions>", "tenants>", "devices>")}
	for _, p := range b.Uncatalogued {
		t.Add(p.Name, p.Publisher, p.Platform, fmt.Sprint(p.Versions), fmt.Sprint(p.Tenants), fmt.Sprint(p.Devices))
	}
	return t
}
