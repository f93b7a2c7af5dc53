package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/why"
)

// hostile is what somebody may have written as a reason.
const hostile = "=cmd|' /C calc'!A0 \x1b[2J\n| x |"

func askedExplanation() why.Explanation {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	decided := why.Decision{Commit: strings.Repeat("ab", 20), PR: 7, Approvers: []string{"ines", "oskar"}, At: at, Auto: "advance", Fault: "holds something else"}
	return why.Explanation{
		Tenant: "nordic/aalto", Package: "acme/tool", At: at, Stable: why.Holding{Release: "1.0", Why: hostile, Decided: decided}, Next: why.Next{
			Release: "2.0", Why: hostile, Waves: []why.NextWave{{Wave: "everyone", Devices: 10, NotBefore: at, Deadline: at, Skipped: hostile, Late: hostile, Verdict: hostile, Decided: decided}}},
		Kept:  []why.Keeper{{Kind: why.Pin, Name: "acme/tool", Wave: "everyone", Why: hostile, Until: at, Pos: fleet.Pos{File: "tenants/nordic/partner.cue", Line: 8, Col: 3}, Command: "packmill run"}},
		Due:   []why.Due{{At: at, What: hostile, Cycle: "2026-W47", Wave: "everyone"}, {At: at.Add(time.Hour), What: "the gate looks"}},
		Rules: []why.Rule{{Kind: why.Pin, Name: "acme/tool", Says: hostile, Pos: fleet.Pos{File: "tenants/nordic/partner.cue", Line: 8, Col: 3}, Decided: decided}},
	}
}

func askedComparison() why.Comparison {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	row := fleet.PlanRow{Tenant: "nordic/aalto", Package: "acme/tool", To: "2.0", Wave: "everyone", Devices: 10, NotBefore: at, Deadline: at, Why: hostile}
	later := row
	later.NotBefore, later.LocalTime, later.Why = at.Add(time.Hour), true, "another"
	c := why.Comparison{Base: strings.Repeat("ab", 20), Head: strings.Repeat("cd", 20), Assumed: []string{"acme/tool@3.0"}, Cycles: []why.CycleDiff{{Cycle: "2026-W47", State: "open", Waves: []string{"everyone"}}}}
	for range 50 {
		c.Rows = append(c.Rows, why.RowDiff{What: why.Changed, Cycle: "2026-W47", Tenant: row.Tenant, Package: row.Package, Before: row, After: later, Differs: []string{"notBefore"}},
			why.RowDiff{What: why.Removed, Cycle: "2026-W47", Tenant: row.Tenant, Package: row.Package, Before: row, Is: hostile})
	}
	c.Tenants = why.PerTenant(c.Rows)
	return c
}

// TestAskedTables writes every table of explain, what-if and the audit's
// refusals: each row has a cell for each column, and what people wrote moves no
// terminal, runs in no spreadsheet and breaks no Markdown.
func TestAskedTables(t *testing.T) {
	at := time.Date(2026, 11, 18, 14, 30, 0, 0, time.UTC)
	audit := fleet.Audit{
		Refusals: []fleet.AuditRefusal{{Cycle: "2026-W47", Gate: "dogfood", Because: hostile, Plan: "sha256:x", Commit: strings.Repeat("ab", 20), By: []string{"ines"}, At: at, Since: fleet.AuditRefusalEnd{How: "removed", Commit: strings.Repeat("cd", 20), PR: 8, At: at}},
			{Cycle: "2026-W47", Tenant: "nordic/aalto", Commit: strings.Repeat("ab", 20), MergedBy: "mallory", At: at}},
		Objections: []fleet.AuditObjection{{Login: "oskar", Title: hostile, Commit: strings.Repeat("ab", 20), PR: 3, Approver: true}},
	}
	tables := append(ExplainTables(askedExplanation()), WhatIfTables(askedComparison())...)
	tables = append(tables, ExplainRows(askedExplanation()), WhatIfRows(askedComparison()), RefusalTable(audit), ObjectionTable(audit))
	for i := range tables {
		table := &tables[i]
		for _, row := range table.Rows {
			if len(row) != len(table.Columns) {
				t.Errorf("%q: %d cells under %d columns: %q", table.Title, len(row), len(table.Columns), row)
			}
		}
		for name, write := range map[string]func(*bytes.Buffer) error{
			"text": func(b *bytes.Buffer) error { return table.Text(b) }, "csv": func(b *bytes.Buffer) error { return table.CSV(b) }, "markdown": func(b *bytes.Buffer) error { return table.Markdown(b) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(b.String(), "\x1b\r") || name == "csv" && strings.Contains(b.String(), ",=cmd") || name == "markdown" && strings.Contains(b.String(), " | x | ") {
				t.Errorf("%q as %s lets through:\n%s", table.Title, name, b.String())
			}
		}
	}
}

// TestWhatIfIsCut shows people some rows and says how many more there are.
func TestWhatIfIsCut(t *testing.T) {
	tables := WhatIfTables(askedComparison())
	if n := len(tables[2].Rows); n != whatIfRows {
		t.Errorf("%d rows are shown", n)
	}
	if got := tables[3].Empty; got != "60 more rows: --format csv lists them all" {
		t.Errorf("%q", got)
	}
	if got := tables[4].Empty; !strings.Contains(got, "acme/tool@3.0") {
		t.Errorf("%q", got)
	}
	if got := tables[2].Rows[0]; got[7] != "2026-11-23 12:00Z → 2026-11-23 13:00 local" {
		t.Errorf("%q", got)
	}
	if n := len(WhatIfRows(askedComparison()).Rows); n != 100 {
		t.Errorf("%d rows for spreadsheets", n)
	}
}
