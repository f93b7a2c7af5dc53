package msi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

const (
	maxTable = 64 << 20 // bytes of a table's stream
	maxRows  = 500_000
)

// A Table is a table of the database. Its cells are checked when it is read and
// decoded when they are asked for.
type Table struct {
	Name    string
	Columns []Column

	rows   int
	data   []byte
	starts []int // where each column's cells begin in data
	texts  *pool
}

// A Row is a row of a table. Its columns count from 0, in the table's order.
type Row struct {
	table  *Table
	number int
}

// Tables are the names of the database's tables, in its own order, without
// _Tables and _Columns, which describe the others.
func (f *File) Tables() ([]string, error) {
	s, err := f.schema()
	if err != nil {
		return nil, err
	}
	return s.names, nil
}

// Table reads a table. nil without an error is a table that the database does
// not have; one that it describes and that holds nothing has no rows.
func (f *File) Table(name string) (*Table, error) {
	s, err := f.schema()
	if err != nil {
		return nil, err
	}
	columns, ok := s.columns[name]
	if !ok {
		return nil, nil
	}
	data, err := f.container.readAll(tableStream(name), maxTable)
	if err != nil && !errors.Is(err, errNoStream) {
		return nil, err
	}
	t := &Table{Name: name, Columns: columns, data: data, texts: f.texts}
	size := 0
	for _, c := range columns {
		size += c.size(f.texts.refSize)
	}
	t.rows = len(data) / size
	if t.rows*size != len(data) || t.rows > maxRows {
		return nil, damaged(t.structure(), int64(len(data)), "its %d bytes are no whole number of rows of %d, or more than %d rows", len(data), size, maxRows)
	}
	at := 0
	for _, c := range columns {
		t.starts = append(t.starts, at)
		at += t.rows * c.size(f.texts.refSize)
	}
	return t, t.check()
}

func (t *Table) structure() string { return fmt.Sprintf("table %q", t.Name) }

// check makes sure that every text a row names is there.
func (t *Table) check() error {
	for i, c := range t.Columns {
		if c.Kind != Text {
			continue
		}
		for row := range t.rows {
			at := t.starts[i] + row*t.texts.refSize
			if n := t.texts.ref(t.data[at:]); !t.texts.has(n) {
				return damaged(t.structure(), int64(at), "row %d, column %s: there is no text %d", row+1, c.Name, n)
			}
		}
	}
	return nil
}

// Len is the number of rows.
func (t *Table) Len() int { return t.rows }

// Row is the row of that number, from 0 to Len-1.
func (t *Table) Row(number int) Row { return Row{t, number} }

// Rows are the table's rows in the order they are stored.
func (t *Table) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := range t.rows {
			if !yield(Row{t, i}) {
				return
			}
		}
	}
}

// Column is the number of the column of that name, -1 when there is none.
func (t *Table) Column(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// fail is an error about a cell.
func (r Row) fail(column int, format string, args ...any) error {
	at := 0
	if column >= 0 {
		at = r.table.starts[column] + r.number*r.table.Columns[column].size(r.table.texts.refSize)
	}
	return damaged(r.table.structure(), int64(at), "row %d: %w", r.number+1, fmt.Errorf(format, args...))
}

func (r Row) cell(column int) []byte {
	t := r.table
	return t.data[t.starts[column]+r.number*t.Columns[column].size(t.texts.refSize):]
}

// Text is a text cell without control characters; "" when it is null, when the
// column holds something else, and for column -1.
func (r Row) Text(column int) string { return r.text(column).clean }

// Exact is a text cell as it is stored: line breaks and whatever else a vendor
// put there included, but valid UTF-8.
func (r Row) Exact(column int) string { return r.text(column).exact }

func (r Row) text(column int) poolText {
	if column < 0 || r.table.Columns[column].Kind != Text {
		return poolText{}
	}
	return r.table.texts.text(r.table.texts.ref(r.cell(column)))
}

// Int is a number; false when it is null, when the column holds something else,
// and for column -1.
func (r Row) Int(column int) (int, bool) {
	if column < 0 {
		return 0, false
	}
	switch r.table.Columns[column].Kind {
	case Int16: // stored with 0x8000 added, so that 0 can be null
		n := binary.LittleEndian.Uint16(r.cell(column))
		return int(n) - 0x8000, n != 0
	case Int32:
		n := binary.LittleEndian.Uint32(r.cell(column))
		return int(int64(n) - 0x80000000), n != 0
	default:
		return 0, false
	}
}

// Stream is the name of the stream that a binary cell's bytes stand in, for
// [File.Open]: the table's name and the row's key, joined with full stops. ""
// is null.
func (r Row) Stream(column int) string {
	if column < 0 || r.table.Columns[column].Kind != Binary || binary.LittleEndian.Uint16(r.cell(column)) == 0 {
		return ""
	}
	name := []string{r.table.Name}
	for i, c := range r.table.Columns {
		if !c.Key {
			continue
		}
		if c.Kind == Text {
			name = append(name, r.Exact(i))
		} else {
			n, _ := r.Int(i)
			name = append(name, strconv.Itoa(n))
		}
	}
	return strings.Join(name, ".")
}

// pick finds the columns that a view is made of, in the order of their names.
// Those after "?" may be absent, and are -1 then.
func (t *Table) pick(names ...string) ([]int, error) {
	var list []int
	optional := false
	for _, name := range names {
		if name == "?" {
			optional = true
			continue
		}
		n := t.Column(name)
		if n < 0 && !optional {
			return nil, damaged(t.structure(), 0, "it has no column %s", name)
		}
		list = append(list, n)
	}
	return list, nil
}

// view reads a table row by row for one of the typed views. A table that the
// database does not have holds no rows.
func (f *File) view(table string, columns []string, row func(r Row, c []int) error) error {
	t, err := f.Table(table)
	if t == nil || err != nil {
		return err
	}
	c, err := t.pick(columns...)
	if err != nil {
		return err
	}
	for r := range t.Rows() {
		if err := row(r, c); err != nil {
			return err
		}
	}
	return nil
}
