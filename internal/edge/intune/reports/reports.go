// Package reports reads what Intune's report service answers: pages of a report
// as JSON, and exports as a zip with one CSV file. Both give the same rows, by
// the names of columns, whatever order the service has them in.
//
// What comes from the service is capped in every direction: columns, cells, rows,
// bytes after unpacking. A zip whose file unpacks to more than it says, or to
// many times what was downloaded, is refused before it fills a disk; nothing is
// unpacked to one, rows are handed on as they are read.
//
// Shapes: Microsoft, "Export Intune reports using Graph APIs" and "Intune reports
// and properties available using Graph API"; the page's shape is that of the
// service's answers, since its description calls it a stream of bytes.
package reports

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Limits are how much of a report is read.
type Limits struct {
	Rows  int   // of the whole report
	Bytes int64 // of a page, or of an export after unpacking
	Ratio int64 // unpacked bytes for each downloaded one
}

// Published are limits that no report of a real tenant comes near: a row of the
// installation report is some 200 bytes, and CSV of ids packs to about a quarter.
func Published() Limits { return Limits{Rows: 5_000_000, Bytes: 2 << 30, Ratio: 200} }

const (
	maxColumns = 256     // Microsoft: most that select takes
	maxCell    = 1 << 16 // bytes
	maxPage    = 100_000 // rows
)

// A Page is one page of a report.
type Page struct {
	Total int // rows of the report, as the service counts them now
	Rows  []Row
}

// A Row is a report's row by column names.
type Row struct {
	columns map[string]int
	cells   []string
}

// Cell is the text of a column, "" where the row has none.
func (r Row) Cell(name string) string {
	i, ok := r.columns[name]
	if !ok || i >= len(r.cells) {
		return ""
	}
	return r.cells[i]
}

// columnsOf are the places of columns; all that are needed must be there.
func columnsOf(names, need []string) (map[string]int, error) {
	if len(names) > maxColumns {
		return nil, fleet.Errorf(fleet.Invalid, "reports.read", "", "%d columns are more than a report has", len(names))
	}
	out := make(map[string]int, len(names))
	for i, name := range names {
		if _, twice := out[name]; twice {
			return nil, fleet.Errorf(fleet.Invalid, "reports.read", "", "column %q stands in the report twice", name)
		}
		out[name] = i
	}
	for _, name := range need {
		if _, ok := out[name]; !ok {
			return nil, fleet.Errorf(fleet.Invalid, "reports.read", "", "the report has no column %s", name)
		}
	}
	return out, nil
}

// ReadPage reads one page of a report that must have the columns need. A report
// without rows need not name its columns. Errors are of kind Invalid.
func ReadPage(r io.Reader, need []string, l Limits) (Page, error) {
	capped := &io.LimitedReader{R: r, N: l.Bytes}
	var doc struct {
		Total  int `json:"TotalRowCount"`
		Schema []struct {
			Column string
		}
		Values [][]json.RawMessage
	}
	if err := json.NewDecoder(capped).Decode(&doc); err != nil {
		if capped.N <= 0 {
			return Page{}, fleet.Errorf(fleet.Invalid, "reports.page", "", "the page is longer than %d bytes", l.Bytes)
		}
		return Page{}, fleet.Errorf(fleet.Invalid, "reports.page", "", "is no JSON of a report's form: %w", err)
	}
	if doc.Total < 0 || len(doc.Values) > maxPage {
		return Page{}, fleet.Errorf(fleet.Invalid, "reports.page", "", "%d rows of %d are no page", len(doc.Values), doc.Total)
	}
	p := Page{Total: doc.Total}
	if len(doc.Values) == 0 {
		return p, nil
	}
	names := make([]string, len(doc.Schema))
	for i, s := range doc.Schema {
		names[i] = s.Column
	}
	columns, err := columnsOf(names, need)
	if err != nil {
		return Page{}, err
	}
	for _, values := range doc.Values {
		if len(values) > maxColumns {
			return Page{}, fleet.Errorf(fleet.Invalid, "reports.page", "", "row %d has %d cells", len(p.Rows)+1, len(values))
		}
		row := Row{columns: columns, cells: make([]string, len(values))}
		for i, v := range values {
			row.cells[i] = text(v)
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// text is a JSON value as a cell of CSV would have it.
func text(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return strings.ToValidUTF8(s[:min(len(s), maxCell)], "")
	}
	if raw := string(v); raw != "null" {
		return raw[:min(len(raw), maxCell)]
	}
	return ""
}
