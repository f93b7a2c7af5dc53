package msi

import (
	"encoding/binary"
	"io"

	"github.com/richardlehane/mscfb"
)

// An entry is a directory entry as it is stored, [MS-CFB] section 2.6.1, beside
// the reader's view of it, which leaves out what a signature covers.
type entry struct {
	raw  [128]byte
	file *mscfb.File
}

// Places in an entry.
const (
	entryNameLength = 64 // bytes of the name with its end mark
	entryType       = 66
	entryColor      = 67
	entryLeft       = 68
	entryRight      = 72
	entryChild      = 76
	entryClass      = 80
	entryState      = 96
	entryTimes      = 100
	entryStart      = 116
	entrySize       = 120
)

// Values of entries and of the allocation table.
const (
	typeStream = 2
	typeRoot   = 5
	noStream   = 0xffffffff
	endOfChain = 0xfffffffe
	freeSector = 0xffffffff
	tableMark  = 0xfffffffd // a sector of the allocation table
	extentMark = 0xfffffffc // a sector that lists those
)

func (e *entry) field(at int) uint32       { return binary.LittleEndian.Uint32(e.raw[at:]) }
func (e *entry) setField(at int, v uint32) { binary.LittleEndian.PutUint32(e.raw[at:], v) }

// name is the stored name without its end mark.
func (e *entry) name() ([]byte, error) {
	n := int(binary.LittleEndian.Uint16(e.raw[entryNameLength:]))
	if n < 2 || n > 64 || n%2 != 0 {
		return nil, invalid("a directory entry's name has %d bytes", n)
	}
	return e.raw[:n-2], nil
}

// metadata is what the extended digest covers of an entry.
func (e *entry) metadata() ([]byte, error) {
	var out []byte
	if e.raw[entryType] != typeRoot {
		name, err := e.name()
		if err != nil {
			return nil, err
		}
		out = append(out, name...)
	}
	if e.raw[entryType] == typeStream {
		out = append(out, e.raw[entrySize:entrySize+4]...)
	} else {
		out = append(out, e.raw[entryClass:entryClass+16]...)
	}
	out = append(out, e.raw[entryState:entryState+4]...)
	if e.raw[entryType] != typeRoot {
		out = append(out, e.raw[entryTimes:entryTimes+16]...)
	}
	return out, nil
}

// entries reads the directory, in the order of f.streams.
func (f *File) entries() ([]entry, error) {
	stored, err := readDirectory(f.r, f.size)
	if err != nil {
		return nil, err
	}
	// The same walk that the reader made: left, the entry, what it holds, right.
	var order []int
	stack := []struct {
		at   uint32
		open bool // its left side was walked
	}{{at: 0}}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if top.at == noStream {
			continue
		}
		if int64(top.at) >= int64(len(stored)) || len(order) > len(stored) || len(stack) > 4*len(stored) {
			return nil, invalid("the directory's tree leads to entry %d of %d, or in a circle", top.at, len(stored))
		}
		e := &stored[top.at]
		if !top.open {
			top.open = true
			stack = append(stack, top)
			stack = append(stack, struct {
				at   uint32
				open bool
			}{at: e.field(entryLeft)})
			continue
		}
		order = append(order, int(top.at))
		for _, next := range []uint32{e.field(entryRight), e.field(entryChild)} {
			stack = append(stack, struct {
				at   uint32
				open bool
			}{at: next})
		}
	}
	if len(order) != len(f.streams) {
		return nil, invalid("the directory has %d entries, not %d", len(order), len(f.streams))
	}
	out := make([]entry, len(order))
	for i, at := range order {
		out[i] = entry{raw: stored[at].raw, file: f.streams[i]}
	}
	return out, nil
}

// readDirectory follows the directory's sectors.
func readDirectory(r io.ReaderAt, size int64) ([]entry, error) {
	t, err := readTable(r, size)
	if err != nil {
		return nil, err
	}
	var out []entry
	sector := make([]byte, t.sectorSize)
	for at := binary.LittleEndian.Uint32(t.header[48:]); at != endOfChain; {
		if int64(len(out))*128 >= maxDirectory {
			return nil, invalid("the directory has more than %d bytes, or runs in a circle", maxDirectory)
		}
		if err := t.read(sector, at); err != nil {
			return nil, err
		}
		for b := sector; len(b) > 0; b = b[128:] {
			out = append(out, entry{raw: [128]byte(b[:128])})
		}
		if at, err = t.next(at); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// A table finds the sector that follows another, [MS-CFB] section 2.3.
type table struct {
	r          io.ReaderAt
	size       int64
	header     [512]byte
	sectorSize int64
	sectors    []uint32 // those of the table
}

func readTable(r io.ReaderAt, size int64) (*table, error) {
	t := &table{r: r, size: size}
	if _, err := r.ReadAt(t.header[:], 0); err != nil {
		return nil, invalid("no MSI: %w", err)
	}
	shift := binary.LittleEndian.Uint16(t.header[30:])
	if shift != 9 && shift != 12 {
		return nil, invalid("offset 30: sectors of 1<<%d bytes", shift)
	}
	t.sectorSize = 1 << shift
	for i := 76; i < 512; i += 4 {
		t.sectors = append(t.sectors, binary.LittleEndian.Uint32(t.header[i:]))
	}
	list := make([]byte, t.sectorSize)
	last := len(list) - 4
	for at := binary.LittleEndian.Uint32(t.header[68:]); at < extentMark; at = binary.LittleEndian.Uint32(list[last:]) {
		if int64(len(t.sectors))*t.sectorSize > size {
			return nil, invalid("the list of table sectors is longer than the file, or runs in a circle")
		}
		if err := t.read(list, at); err != nil {
			return nil, err
		}
		for i := 0; i < last; i += 4 {
			t.sectors = append(t.sectors, binary.LittleEndian.Uint32(list[i:]))
		}
	}
	return t, nil
}

func (t *table) read(b []byte, sector uint32) error {
	at := (int64(sector) + 1) * t.sectorSize
	if at > t.size-int64(len(b)) {
		return invalid("sector %d lies outside the file", sector)
	}
	_, err := t.r.ReadAt(b, at)
	return err
}

// next is the sector that follows one.
func (t *table) next(sector uint32) (uint32, error) {
	perSector := uint32(t.sectorSize / 4)
	i := int64(sector / perSector)
	if i >= int64(len(t.sectors)) {
		return 0, invalid("sector %d is in no table", sector)
	}
	var b [4]byte
	at := (int64(t.sectors[i])+1)*t.sectorSize + int64(sector%perSector)*4
	if at > t.size-4 {
		return 0, invalid("sector %d of the table lies outside the file", t.sectors[i])
	}
	_, err := t.r.ReadAt(b[:], at)
	return binary.LittleEndian.Uint32(b[:]), err
}
