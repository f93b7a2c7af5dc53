package vendors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// installerDatabase is a Windows Installer database with a Property table and
// summary information: enough to be read, nothing to install. Codes follow from
// the description: the product code from name and version, the upgrade code
// from the name alone.
func (c Content) installerDatabase() []byte {
	template := map[string]string{"": "x64;1033", "x64": "x64;1033", "arm64": "Arm64;1033", "x86": "Intel;1033"}[c.Arch]
	properties := map[string]string{
		"Manufacturer": c.Company, "ProductName": c.Name, "ProductVersion": c.Version, "ProductLanguage": "1033",
		"ProductCode": guid("product", c.Name, c.Version), "UpgradeCode": guid("upgrade", c.Name),
	}
	var pool stringPool
	table, property := pool.id("Property"), pool.id("Value")
	columns := column(uint16(table), uint16(table))
	columns = append(columns, column(0x8001, 0x8002)...)
	columns = append(columns, column(uint16(table), uint16(property))...)
	columns = append(columns, column(0x8000|0x2d48, 0x8000|0x0f00)...) // s72 and the key; L0
	var keys, values []uint16
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		keys = append(keys, uint16(pool.id(name)))
		values = append(values, uint16(pool.id(properties[name])))
	}
	return compoundFile(map[string][]byte{
		tableName("_StringPool"): pool.index(),
		tableName("_StringData"): pool.data(),
		tableName("_Tables"):     column(uint16(table)),
		tableName("_Columns"):    columns,
		tableName("Property"):    append(column(keys...), column(values...)...),
		"\x05SummaryInformation": summary(template, guid("package", c.Name, c.Version), c),
	})
}

// guid derives a GUID (version 4, variant 1) in the form tables hold it.
func guid(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	be := binary.BigEndian
	return fmt.Sprintf("{%08X-%04X-4%03X-A%03X-%04X%08X}", be.Uint32(sum[:]), be.Uint16(sum[4:]), be.Uint16(sum[6:])&0xfff,
		be.Uint16(sum[8:])&0xfff, be.Uint16(sum[10:]), be.Uint32(sum[12:]))
}

// column is a column of 16-bit cells.
func column(cells ...uint16) []byte {
	out := make([]byte, 0, 2*len(cells))
	for _, c := range cells {
		out = binary.LittleEndian.AppendUint16(out, c)
	}
	return out
}

// A stringPool is the strings that tables refer to by number, from 1.
type stringPool struct{ strings []string }

func (p *stringPool) id(s string) int {
	if i := slices.Index(p.strings, s); i >= 0 {
		return i + 1
	}
	p.strings = append(p.strings, s)
	return len(p.strings)
}

// index is code page and, for each string, its length and how often it is used.
func (p *stringPool) index() []byte {
	out := column(65001, 0)
	for _, s := range p.strings {
		out = append(out, column(uint16(len(s)), 1)...)
	}
	return out
}

func (p *stringPool) data() []byte { return []byte(strings.Join(p.strings, "")) }

// tableName packs two letters of [0-9A-Za-z._] into one UTF-16 unit, behind the
// mark of a table, as names in the compound file are written.
func tableName(name string) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
	out := []rune{0x4840}
	for i := 0; i < len(name); i += 2 {
		low := strings.IndexByte(letters, name[i])
		if i+1 < len(name) {
			out = append(out, rune(0x3800+low+strings.IndexByte(letters, name[i+1])<<6))
		} else {
			out = append(out, rune(0x4800+low))
		}
	}
	return string(out)
}

// summary is the property set that tells architecture and package code
// ([MS-OLEPS]; "Summary Information Stream Property Set").
func summary(template, packageCode string, c Content) []byte {
	type value struct {
		id   uint32
		data []byte
	}
	le := binary.LittleEndian
	text := func(s string) []byte {
		b := le.AppendUint32(le.AppendUint32(nil, 30), uint32(len(s)+1)) // VT_LPSTR
		b = append(append(b, s...), 0)
		return fill(b, align(len(b), 4))
	}
	number := func(n uint32) []byte { return le.AppendUint32(le.AppendUint32(nil, 3), n) } // VT_I4
	values := []value{
		{1, []byte{2, 0, 0, 0, 0xe4, 0x04, 0, 0}}, // VT_I2, code page 1252
		{2, text("Installation Database")}, {3, text(c.Name + " (simulated)")}, {4, text(c.Company)},
		{7, text(template)}, {9, text(packageCode)}, {14, number(500)}, {15, number(2)}, {18, text("simulated")}, {19, number(2)},
	}
	index := le.AppendUint32(nil, 0)
	index = le.AppendUint32(index, uint32(len(values)))
	var data []byte
	for _, v := range values {
		index = le.AppendUint32(index, v.id)
		index = le.AppendUint32(index, uint32(8+8*len(values)+len(data)))
		data = append(data, v.data...)
	}
	set := append(index, data...)
	le.PutUint32(set, uint32(len(set)))
	head := make([]byte, 24)
	le.PutUint16(head, 0xfffe)
	le.PutUint32(head[4:], 0x00020006)
	head = le.AppendUint32(head, 1)
	head = append(head, 0xe0, 0x85, 0x9f, 0xf2, 0xf9, 0x4f, 0x68, 0x10, 0xab, 0x91, 0x08, 0x00, 0x2b, 0x27, 0xb3, 0xd9)
	return append(le.AppendUint32(head, 48), set...)
}

// Marks of [MS-CFB] and the sizes of its version 3.
const (
	freeSector  = 0xffffffff
	endOfChain  = 0xfffffffe
	fatSector   = 0xfffffffd
	noStream    = 0xffffffff
	sectorSize  = 512
	miniSize    = 64
	miniCutOff  = 4096
	entrySize   = 128
	rootStorage = 5
	aStream     = 2
)

// compoundFile writes streams, each below 4096 bytes, as a compound file.
func compoundFile(streams map[string][]byte) []byte {
	names := slices.SortedFunc(maps.Keys(streams), func(a, b string) int {
		if x, y := len([]rune(a)), len([]rune(b)); x != y {
			return x - y
		}
		return strings.Compare(a, b)
	})
	var mini, miniFAT []byte
	starts := map[string]uint32{}
	for _, name := range names {
		starts[name] = uint32(len(mini) / miniSize)
		mini = append(mini, fill(streams[name], align(len(streams[name]), miniSize))...)
		for i := len(miniFAT)/4 + 1; i <= len(mini)/miniSize; i++ {
			next := uint32(i)
			if i == len(mini)/miniSize {
				next = endOfChain
			}
			miniFAT = binary.LittleEndian.AppendUint32(miniFAT, next)
		}
	}
	// Sectors: the FAT, the directory, the mini FAT, the mini stream.
	var fat []uint32
	chain := func(bytes int) (start uint32) {
		start = uint32(len(fat))
		for range align(bytes, sectorSize)/sectorSize - 1 {
			fat = append(fat, uint32(len(fat)+1))
		}
		fat = append(fat, endOfChain)
		return start
	}
	fat = append(fat, fatSector)
	directoryAt := chain(entrySize * (len(names) + 1))
	miniFATAt := chain(len(miniFAT))
	miniAt := chain(len(mini))
	directory := directoryEntries(names, streams, starts, miniAt, len(mini))
	table := column32(fat...)
	for len(table) < sectorSize {
		table = binary.LittleEndian.AppendUint32(table, freeSector)
	}
	var b bytes.Buffer
	b.Write(compoundHeader(directoryAt, miniFATAt, uint32(align(len(miniFAT), sectorSize)/sectorSize)))
	for _, part := range [][]byte{table, directory, padFree(miniFAT), mini} {
		b.Write(fill(part, align(len(part), sectorSize)))
	}
	return b.Bytes()
}

// padFree fills a table's last sector with free marks.
func padFree(table []byte) []byte {
	for len(table)%sectorSize != 0 {
		table = binary.LittleEndian.AppendUint32(table, freeSector)
	}
	return table
}

func column32(cells ...uint32) []byte {
	var out []byte
	for _, c := range cells {
		out = binary.LittleEndian.AppendUint32(out, c)
	}
	return out
}

func compoundHeader(directory, miniFAT, miniSectors uint32) []byte {
	head := []byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}
	head = fill(head, 24)
	head = append(head, column(0x3e, 3, 0xfffe, 9, 6, 0, 0, 0)...)
	head = append(head, column32(0, 1, directory, 0, miniCutOff, miniFAT, miniSectors, endOfChain, 0, 0)...)
	return padFree(head)
}

// installerClass is the class id of an installer database's root.
var installerClass = []byte{0x84, 0x10, 0x0c, 0x00, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}

// directoryEntries are the root and the streams, whose names form a balanced
// search tree.
func directoryEntries(names []string, streams map[string][]byte, starts map[string]uint32, miniAt uint32, miniBytes int) []byte {
	left, right := make([]uint32, len(names)+1), make([]uint32, len(names)+1)
	var root func(from, to int) uint32
	root = func(from, to int) uint32 {
		if from >= to {
			return noStream
		}
		middle := (from + to) / 2
		left[middle+1], right[middle+1] = root(from, middle), root(middle+1, to)
		return uint32(middle + 1)
	}
	top := root(0, len(names))
	var out []byte
	entry := func(name string, kind byte, l, r, child uint32, class []byte, start uint32, size int) {
		units := []byte{}
		if name != "" {
			units = wide(append(utf16.Encode([]rune(name)), 0))
		}
		e := fill(units, 64)
		e = append(e, column(uint16(len(units)))...)
		e = append(e, kind, 1) // black
		e = append(e, column32(l, r, child)...)
		e = append(e, fill(class, 16)...)
		e = fill(e, 116)
		out = append(out, append(e, column32(start, uint32(size), 0)...)...)
	}
	entry("Root Entry", rootStorage, noStream, noStream, top, installerClass, miniAt, miniBytes)
	for i, name := range names {
		entry(name, aStream, left[i+1], right[i+1], noStream, nil, starts[name], len(streams[name]))
	}
	for len(out)%sectorSize != 0 {
		entry("", 0, noStream, noStream, noStream, nil, 0, 0)
	}
	return out
}
