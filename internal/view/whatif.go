package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/why"
)

// whatIfRows is how many single differences people are shown; programs get all.
const whatIfRows = 40

// WhatIfTables are a comparison for people, from the whole to the single row.
func WhatIfTables(c why.Comparison) []Table {
	cycles := Table{
		Title:   fmt.Sprintf("What if %s were merged on %s", shortCommit(c.Head), shortCommit(c.Base)),
		Columns: Cols("cycle", "state", "waves compared", "started, settled", "packages", "tenants", "devices", "deadline"),
		Empty:   "no cycle is open",
	}
	for _, d := range c.Cycles {
		cycles.Add(string(d.Cycle), d.State, dash(strings.Join(d.Waves, ", ")), dash(strings.Join(d.Started, ", ")),
			counted(d.Before.Packages, d.After.Packages), counted(d.Before.Tenants, d.After.Tenants), counted(d.Before.Devices, d.After.Devices), shifted(utc(d.Before.Deadline), utc(d.After.Deadline)))
	}
	tenants := Table{Title: "Tenants that differ", Columns: Cols("tenant", "added>", "removed>", "moved>", "changed>", "left out otherwise>"), Empty: "no tenant gets anything else"}
	for _, d := range c.Tenants {
		tenants.Add(string(d.Tenant), fmt.Sprint(d.Added), fmt.Sprint(d.Removed), fmt.Sprint(d.Moved), fmt.Sprint(d.Changed), fmt.Sprint(d.Skipped))
	}
	out := []Table{cycles, tenants}
	if len(c.Rows) > 0 {
		rows := Table{Title: "Rows of plans", Columns: Cols("what", "cycle", "tenant", "package", "release", "wave", "devices", "not before", "deadline", "why")}
		for _, r := range c.Rows[:min(len(c.Rows), whatIfRows)] {
			rows.Add(whatIfRow(r)...)
		}
		out = append(out, rows)
		if more := len(c.Rows) - whatIfRows; more > 0 {
			out = append(out, note(fmt.Sprintf("%d more rows: --format csv lists them all", more)))
		}
	}
	if len(c.Assumed) > 0 {
		out = append(out, note("taken for built and tested, which they are not yet: "+some(c.Assumed, 10)))
	}
	return out
}

// note is a sentence where tables stand.
func note(text string) Table { return Table{Empty: text} }

func whatIfRow(r why.RowDiff) []string {
	b, a := r.Before, r.After
	whys := []string{}
	if r.Was != "" && r.What != why.Changed {
		whys = append(whys, "was left out: "+r.Was)
	}
	if r.Is != "" && r.What != why.Changed {
		whys = append(whys, "left out: "+r.Is)
	}
	if b.Why != a.Why && b.Why != "" && a.Why != "" {
		whys = append(whys, b.Why+" "+glyphArrow+" "+a.Why)
	}
	return []string{
		r.What, string(r.Cycle), string(r.Tenant), string(r.Package), shifted(b.To, a.To), shifted(b.Wave, a.Wave), counted(b.Devices, a.Devices),
		shifted(rowInstant(b, b.NotBefore.IsZero()), rowInstant(a, a.NotBefore.IsZero())), shifted(rowDeadline(b), rowDeadline(a)), dash(strings.Join(whys, "; ")),
	}
}

func rowInstant(r fleet.PlanRow, none bool) string {
	switch {
	case none:
		return ""
	case r.LocalTime:
		return r.NotBefore.Format("2006-01-02 15:04") + " local"
	}
	return utc(r.NotBefore)
}

func rowDeadline(r fleet.PlanRow) string {
	r.NotBefore = r.Deadline
	return rowInstant(r, r.Deadline.IsZero())
}

// shifted is "was → is", or the one word where there is one.
func shifted(was, is string) string {
	switch {
	case was == is || was == "":
		return dash(is)
	case is == "":
		return was
	}
	return was + " " + glyphArrow + " " + is
}

func counted(was, is int) string {
	if was == is {
		return grouped(is)
	}
	return grouped(was) + " " + glyphArrow + " " + grouped(is)
}

// WhatIfRows is every difference, one a row, before and after in columns of
// their own.
func WhatIfRows(c why.Comparison) Table {
	t := Table{Columns: Cols("what", "cycle", "tenant", "package", "differs", "release before", "release after", "wave before", "wave after", "devices before", "devices after",
		"not before before", "not before after", "deadline before", "deadline after", "left out before", "left out after")}
	for _, r := range c.Rows {
		b, a := r.Before, r.After
		t.Add(r.What, string(r.Cycle), string(r.Tenant), string(r.Package), strings.Join(r.Differs, " "), b.To, a.To, b.Wave, a.Wave, numbered(b.Devices), numbered(a.Devices),
			rowInstant(b, b.NotBefore.IsZero()), rowInstant(a, a.NotBefore.IsZero()), rowDeadline(b), rowDeadline(a), r.Was, r.Is)
	}
	return t
}
