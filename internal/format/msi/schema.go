package msi

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A Kind is what a column's cells hold.
type Kind int

// The kinds of columns.
const (
	Int16 Kind = iota
	Int32
	Text
	Binary // bytes in a stream of their own, named after table and row
)

// String is the kind in words.
func (k Kind) String() string {
	return [...]string{"int16", "int32", "text", "binary"}[k]
}

// A Column is a column of a table as the database's own _Columns table has it.
type Column struct {
	Name        string
	Kind        Kind
	Width       int // of a text, in characters; 0 is without limit. Installers do not keep to it
	Nullable    bool
	Key         bool // part of the primary key
	Localizable bool // a transform for another language may replace it
}

// Bits of a column's type; the lower byte is its width.
const (
	typeWidth       = 0x00ff
	typeLocalizable = 0x0200
	typeKind        = 0x0c00
	typeInt32       = 0x0000
	typeInt16       = 0x0400
	typeObject      = 0x0800
	typeText        = 0x0c00
	typeNullable    = 0x1000
	typeKey         = 0x2000
)

const (
	maxTables  = 4_096
	maxColumns = 255 // of a table; the installer itself stops at 32
)

// newColumn reads a column's type. false is a type that cannot be.
func newColumn(name string, bits uint16) (Column, bool) {
	c := Column{
		Name:        name,
		Width:       int(bits & typeWidth),
		Nullable:    bits&typeNullable != 0,
		Key:         bits&typeKey != 0,
		Localizable: bits&typeLocalizable != 0,
	}
	ok := true
	switch bits & typeKind {
	case typeInt32:
		c.Kind, ok = Int32, c.Width == 4
	case typeInt16:
		c.Kind, ok = Int16, c.Width <= 2
	case typeText:
		c.Kind = Text
	case typeObject:
		c.Kind, ok = Binary, c.Width == 0
	}
	if c.Kind != Text {
		c.Width = 0
	}
	return c, ok
}

// size is how many bytes a cell takes.
func (c Column) size(refSize int) int {
	switch c.Kind {
	case Text:
		return refSize
	case Int32:
		return 4
	default:
		return 2
	}
}

// schema is the database's tables: their names in the order of _Tables, and
// their columns.
type schema struct {
	names   []string
	columns map[string][]Column
}

// readSchema reads _Tables, one column of names, and _Columns, whose columns
// are table, number, name and type.
func (f *File) readSchema() (*schema, error) {
	tables, err := f.container.readAll(tableStream("_Tables"), maxTables*3)
	if err != nil {
		return nil, invalid("table _Tables: %w", err)
	}
	columns, err := f.container.readAll(tableStream("_Columns"), maxTables*64*10)
	if err != nil && !errors.Is(err, errNoStream) {
		return nil, err
	}
	width := f.texts.refSize
	if len(tables)%width != 0 {
		return nil, damaged("table _Tables", int64(len(tables)), "its bytes are no whole number of rows")
	}
	s := &schema{columns: map[string][]Column{}}
	for at := 0; at < len(tables); at += width {
		name := f.texts.text(f.texts.ref(tables[at:])).exact
		if _, twice := s.columns[name]; twice || name == "" {
			return nil, damaged("table _Tables", int64(at), "a table without a name of its own: %q", name)
		}
		s.names = append(s.names, name)
		s.columns[name] = nil
	}
	if err := s.readColumns(f.texts, columns); err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if len(s.columns[name]) == 0 {
			return nil, invalid("table _Columns: table %q has none", name)
		}
		if i := slices.IndexFunc(s.columns[name], func(c Column) bool { return c.Name == "" }); i >= 0 {
			return nil, invalid("table _Columns: table %q has no column %d", name, i+1)
		}
	}
	return s, nil
}

// readColumns fills in the columns of the tables.
func (s *schema) readColumns(texts *pool, data []byte) error {
	const structure = "table _Columns"
	width := texts.refSize
	rows := len(data) / (2*width + 4)
	if rows*(2*width+4) != len(data) {
		return damaged(structure, int64(len(data)), "its bytes are no whole number of rows")
	}
	numbers, names, types := data[rows*width:], data[rows*(width+2):], data[rows*(2*width+2):]
	for i := range rows {
		table := texts.text(texts.ref(data[i*width:])).exact
		list, known := s.columns[table]
		if !known {
			return damaged(structure, int64(i*width), "columns of a table that is none: %q", table)
		}
		number := int(binary.LittleEndian.Uint16(numbers[2*i:])) - 0x8000
		if number < 1 || number > maxColumns {
			return damaged(structure, int64(rows*width+2*i), "column %d of table %q", number, table)
		}
		name := texts.text(texts.ref(names[i*width:])).exact
		bits := binary.LittleEndian.Uint16(types[2*i:]) ^ 0x8000
		c, ok := newColumn(name, bits)
		if !ok || name == "" {
			return damaged(structure, int64(rows*(2*width+2)+2*i), "column %q of table %q has type %#04x", name, table, bits)
		}
		if len(list) < number {
			list = append(list, make([]Column, number-len(list))...)
		}
		if list[number-1].Name != "" || slices.ContainsFunc(list, func(c Column) bool { return c.Name == name }) {
			return damaged(structure, int64(i*width), "table %q has column %d or %q twice", table, number, name)
		}
		list[number-1] = c
		s.columns[table] = list
	}
	return nil
}
