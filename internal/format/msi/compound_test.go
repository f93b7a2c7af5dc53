package msi

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// A part is an entry of a compound file that compound writes: a stream, or a
// storage where data is nil.
type part struct {
	name string // as it is stored
	data []byte
}

// compound writes a compound file of version 3, [MS-CFB], with entries below the
// root that are each other's right siblings. Sectors follow in the order small
// streams, large streams, table of small sectors, directory, allocation table.
func compound(parts []part) []byte {
	var body []byte // of all sectors
	var fat []uint32
	add := func(data []byte) uint32 { // a chain of sectors
		if len(data) == 0 {
			return endOfChain
		}
		first := uint32(len(fat))
		for len(data)%512 != 0 {
			data = append(data[:len(data):len(data)], 0)
		}
		body = append(body, data...)
		for range len(data)/512 - 1 {
			fat = append(fat, uint32(len(fat)+1))
		}
		fat = append(fat, endOfChain)
		return first
	}
	var mini []byte
	var miniFAT []uint32
	starts := map[int]uint32{}
	for i, p := range parts {
		if len(p.data) == 0 || len(p.data) >= 4096 {
			continue
		}
		starts[i] = uint32(len(mini) / 64)
		mini = append(mini, p.data...)
		mini = append(mini, make([]byte, (64-len(mini)%64)%64)...)
		for len(miniFAT) < len(mini)/64-1 {
			miniFAT = append(miniFAT, uint32(len(miniFAT)+1))
		}
		miniFAT = append(miniFAT, endOfChain)
	}
	miniStart := add(mini)
	for i, p := range parts {
		if len(p.data) >= 4096 {
			starts[i] = add(p.data)
		}
	}
	miniFATSectors := (len(miniFAT)*4 + 511) / 512
	miniFATStart := add(words(miniFAT, miniFATSectors*128))
	dir := entry("Root Entry", entryRoot, noEntry, 1, miniStart, len(mini))
	for i, p := range parts {
		right, kind := uint32(i+2), byte(entryStream)
		if i == len(parts)-1 {
			right = noEntry
		}
		if p.data == nil {
			kind = entryStorage
		}
		start, ok := starts[i]
		if !ok {
			start = endOfChain
		}
		dir = append(dir, entry(p.name, kind, right, noEntry, start, len(p.data))...)
	}
	dirStart := add(dir)
	count := 0 // sectors of the allocation table, which allocates itself too
	for (len(fat)+count+127)/128 > count {
		count++
	}
	header := make([]byte, 76, 512)
	binary.LittleEndian.PutUint64(header, 0xe11ab1a1e011cfd0)
	for at, v := range map[int]uint16{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(header[at:], v)
	}
	for at, v := range map[int]uint32{44: uint32(count), 48: dirStart, 56: 4096, 60: miniFATStart, 64: uint32(miniFATSectors), 68: endOfChain} {
		binary.LittleEndian.PutUint32(header[at:], v)
	}
	var fats []uint32
	for i := range count {
		fats = append(fats, uint32(len(fat)+i))
	}
	for range count {
		fat = append(fat, 0xfffffffd)
	}
	return slices.Concat(header, words(fats, 109), body, words(fat, count*128))
}

// words are numbers as bytes, filled up to a count with marks of free sectors.
func words(list []uint32, count int) []byte {
	var b []byte
	for i := range count {
		v := uint32(freeSector)
		if i < len(list) {
			v = list[i]
		}
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func entry(name string, kind byte, right, child, start uint32, size int) []byte {
	b := make([]byte, entrySize)
	for i, u := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(b[2*i:], u)
	}
	binary.LittleEndian.PutUint16(b[64:], uint16(2*len(utf16.Encode([]rune(name)))+2))
	b[66], b[67] = kind, 1
	for at, v := range map[int]uint32{68: noEntry, 72: right, 76: child, 116: start, 120: uint32(size)} {
		binary.LittleEndian.PutUint32(b[at:], v)
	}
	return b
}

// A database is written in the simplest form: tables with cells of text, and
// numbers of 16 bits where a column's name ends in "#".
type database struct {
	texts   []string
	streams map[string][]byte
	extra   []part
}

func (d *database) ref(text string) uint16 {
	if text == "" {
		return 0
	}
	i := slices.Index(d.texts, text)
	if i < 0 {
		d.texts = append(d.texts, text)
		i = len(d.texts) - 1
	}
	return uint16(i + 1)
}

// newDatabase makes a database of tables: the first row of each names its
// columns, "#" at a name's end means a number.
func newDatabase(tables map[string][][]any) *database {
	d := &database{streams: map[string][]byte{}}
	var names []byte
	var columns [4][]byte
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		rows := tables[table]
		names = binary.LittleEndian.AppendUint16(names, d.ref(table))
		var data []byte
		for i, column := range rows[0] {
			name, number := strings.CutSuffix(column.(string), "#")
			bits := uint16(0x1d00)
			if number {
				bits = 0x1502
			}
			for at, v := range []uint16{d.ref(table), uint16(i+1) ^ 0x8000, d.ref(name), bits ^ 0x8000} {
				columns[at] = binary.LittleEndian.AppendUint16(columns[at], v)
			}
			for _, row := range rows[1:] {
				v := uint16(0)
				switch cell := row[i].(type) {
				case int:
					v = uint16(cell) ^ 0x8000
				case string:
					v = d.ref(cell)
				}
				data = binary.LittleEndian.AppendUint16(data, v)
			}
		}
		d.streams[tableStream(table)] = data
	}
	d.streams[tableStream("_Tables")] = names
	d.streams[tableStream("_Columns")] = slices.Concat(columns[:]...)
	return d
}

// bytes is the compound file, with the streams of the string pool where these
// were not set.
func (d *database) bytes() []byte {
	lengths := []byte{0, 0, 0, 0}
	for _, text := range d.texts {
		lengths = binary.LittleEndian.AppendUint16(lengths, uint16(len(text)))
		lengths = binary.LittleEndian.AppendUint16(lengths, 1)
	}
	for name, data := range map[string][]byte{"_StringPool": lengths, "_StringData": []byte(strings.Join(d.texts, ""))} {
		if d.streams[tableStream(name)] == nil {
			d.streams[tableStream(name)] = data
		}
	}
	var parts []part
	for _, name := range slices.Sorted(maps.Keys(d.streams)) {
		parts = append(parts, part{name, append([]byte{}, d.streams[name]...)})
	}
	return compound(append(parts, d.extra...))
}

// product is the smallest database that is an installer.
func product(tables map[string][][]any) *database {
	all := map[string][][]any{"Property": {{"Property", "Value"}, {"ProductCode", "{P}"}}}
	maps.Copy(all, tables)
	return newDatabase(all)
}

func TestCompound(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 1_000)
	d := product(map[string][][]any{"Empty": {{"A"}}})
	d.streams[encodeName("Binary.big")] = big
	d.extra = []part{{encodeName("1031.mst"), nil}}
	f, err := parse(d.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if f.Facts.ProductCode != "{P}" || len(f.Streams()) != 1 || f.Streams()[0] != (Stream{"Binary.big", int64(len(big))}) {
		t.Errorf("%+v, streams %v", f.Facts, f.Streams())
	}
	if got := f.Storages(); !slices.Equal(got, []string{"1031.mst"}) {
		t.Errorf("storages %q", got)
	}
	if table, err := f.Table("Empty"); err != nil || table.Len() != 0 {
		t.Errorf("an empty table: %v, %v", table, err)
	}
	if table, err := f.Table("Nowhere"); table != nil || err != nil {
		t.Errorf("a table that is not there: %v, %v", table, err)
	}
}
