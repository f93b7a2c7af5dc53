package view

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// A Table is rows under named columns, to be written as aligned text, CSV or
// Markdown. Cells are plain text from anywhere: each writer makes them harmless
// in its own format.
type Table struct {
	Title   string // above the table in text and Markdown; "" for none
	Columns []Column
	Rows    [][]string
	Empty   string // said instead of a table without rows; "" says "nothing"
}

// A Column is a name as people read it and the name a CSV file has for it.
type Column struct {
	Name  string // "not before"
	Key   string // "not_before"; Name with underscores when empty
	Right bool   // figures are aligned to the right
}

// Cols makes columns of the names. A name that ends in ">" is aligned right.
func Cols(names ...string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		name := strings.TrimSuffix(n, ">")
		out[i] = Column{Name: name, Right: name != n}
	}
	return out
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t *Table) empty() string {
	if t.Empty == "" {
		return "nothing"
	}
	return t.Empty
}

// Text writes the table as aligned columns with an upper-case head. Columns
// stand two spaces apart; the last one is not padded.
func (t *Table) Text(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(Plain(t.Title) + "\n")
	}
	if len(t.Rows) == 0 {
		b.WriteString(t.empty() + "\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = strings.ToUpper(c.Name)
	}
	lines := append([][]string{head}, t.Rows...)
	widths := make([]int, len(t.Columns))
	for _, cells := range lines {
		for i := range widths {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(Plain(cell(cells, i))))
		}
	}
	for _, cells := range lines {
		b.WriteString(t.line(cells, widths))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, c := range t.Columns {
		s := Plain(cell(cells, i))
		pad := strings.Repeat(" ", widths[i]-text.StringWidthWithoutEscSequences(s))
		if i > 0 {
			b.WriteString("  ")
		}
		if c.Right {
			b.WriteString(pad + s)
		} else {
			b.WriteString(s + pad)
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// CSV writes the table as RFC 4180 CSV with a head of keys. Marks and the dash
// for nothing are for eyes and left out; text that a spreadsheet would run as a
// formula is preceded by an apostrophe.
func (t *Table) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = c.Key
		if c.Key == "" {
			head[i] = strings.ReplaceAll(c.Name, " ", "_")
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, cells := range t.Rows {
		row := make([]string, len(t.Columns))
		for i := range row {
			row[i] = unformula(unmarked(Plain(cell(cells, i))))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Markdown writes the table as GitHub Flavored Markdown.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString("### " + Neutral(t.Title) + "\n\n")
	}
	if len(t.Rows) == 0 {
		b.WriteString(Neutral(t.empty()) + "\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	for _, c := range t.Columns {
		b.WriteString("| " + Neutral(c.Name) + " ")
	}
	b.WriteString("|\n")
	for _, c := range t.Columns {
		if c.Right {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	b.WriteString("|\n")
	for _, cells := range t.Rows {
		for i := range t.Columns {
			b.WriteString("| " + Neutral(cell(cells, i)) + " ")
		}
		b.WriteString("|\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(cells []string, i int) string {
	if i < len(cells) {
		return cells[i]
	}
	return ""
}

// Plain is s on one line without control characters, so that text from outside
// can neither move a terminal's cursor nor break a table.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) || r == unicode.ReplacementChar:
			return -1
		default:
			return r
		}
	}, s)
}

// unmarked is a cell without the mark before its word.
func unmarked(s string) string {
	if s == "–" {
		return ""
	}
	mark, word, ok := strings.Cut(s, " ")
	if ok && utf8.RuneCountInString(mark) == 1 && strings.Contains(marks, mark) {
		return word
	}
	return s
}

// unformula disarms a cell that a spreadsheet would take for a formula. Plain
// negative figures stay what they are.
func unformula(s string) string {
	if s == "" || !strings.ContainsRune("=+-@", rune(s[0])) {
		return s
	}
	if s[0] == '-' && strings.Trim(s[1:], "0123456789.%") == "" {
		return s
	}
	return "'" + s
}
