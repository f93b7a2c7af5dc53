package msi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"unicode/utf16"
)

// maxWritten is how large a package may be that is written again: beyond it the
// format wants a sector left out for locks.
const maxWritten = 2 << 30

// WithSignature writes the package with a signature, and the extended digest
// that it covers (nil for none), in place of those it has. All other streams
// keep their content, names, flags and times; sectors are laid out anew, in one
// order, so that the same package and signature give the same bytes, and
// nothing that no stream uses is carried along.
func (f *File) WithSignature(w io.Writer, signature, extended []byte) error {
	c := f.container
	if c.src.size > maxWritten {
		return invalid("a package of %d bytes cannot be written again, only up to %d", c.src.size, int64(maxWritten))
	}
	root, err := c.tree()
	if err != nil {
		return err
	}
	own := []*node{newStream(signatureStream, signature)}
	if extended != nil {
		own = append(own, newStream(digestStream, extended))
	}
	root.children = append(root.children, own...)
	l := &layout{container: c}
	if _, err := c.src.ReadAt(l.header[:], 0); err != nil {
		return err
	}
	l.sectorSize = 1 << binary.LittleEndian.Uint16(l.header[30:])
	if err := l.place(root); err != nil {
		return err
	}
	return l.write(w)
}

// newStream is a stream with content of ours. It has no times: the signature is
// to depend on nothing but the package.
func newStream(name string, content []byte) *node {
	n := &node{content: content}
	units := utf16.Encode([]rune(name))
	for i, u := range units {
		binary.LittleEndian.PutUint16(n.raw[2*i:], u)
	}
	binary.LittleEndian.PutUint16(n.raw[atNameLength:], uint16(2*len(units)+2))
	n.raw[atType] = entryStream
	n.setField(atSize, uint32(len(content)))
	return n
}

// Marks of the table's own sectors, [MS-CFB] section 2.1.
const (
	fatSector  = 0xfffffffd
	listSector = 0xfffffffc // a sector that lists those
)

// Sizes below which streams lie in the stream of small ones, [MS-CFB] section
// 2.2.
const (
	smallStream = 4096
	smallSector = 64
)

// A layout is where everything goes in a new compound file: large streams, the
// stream of small ones and its table, the directory, the table, its list.
type layout struct {
	container  *container
	sectorSize int64
	header     [headerSize]byte
	entries    []*node
	large      []*node
	small      []*node
	chains     []uint32 // lengths in sectors, in the order they lie
	smallSize  int64    // bytes of all small streams, padded
	next       uint32   // first sector that is not taken
}

// place numbers the entries and gives every stream its sectors.
func (l *layout) place(root *node) error {
	if err := l.number(root); err != nil {
		return err
	}
	for _, n := range l.entries {
		if n.raw[atType] != entryStream {
			continue
		}
		size := n.size()
		switch {
		case size == 0:
			n.setField(atStart, endOfChain)
		case size < smallStream:
			n.setField(atStart, uint32(l.smallSize/smallSector))
			l.smallSize += (size + smallSector - 1) / smallSector * smallSector
			l.small = append(l.small, n)
		default:
			n.setField(atStart, l.take(size))
			l.large = append(l.large, n)
		}
	}
	root.setField(atStart, endOfChain)
	if l.smallSize > 0 {
		root.setField(atStart, l.take(l.smallSize))
	}
	root.setField(atSize, uint32(l.smallSize))
	root.setField(atSize+4, 0)
	return nil
}

// take reserves the next sectors for some bytes.
func (l *layout) take(size int64) uint32 {
	at, n := l.next, uint32((size+l.sectorSize-1)/l.sectorSize)
	l.chains = append(l.chains, n)
	l.next += n
	return at
}

// number puts a storage's entries into the directory and makes a balanced tree
// of each storage's children, whose lowest row is red: [MS-CFB] section 2.6.4.
func (l *layout) number(n *node) error {
	first := len(l.entries) == 0
	if first {
		n.index = 0
		l.entries = append(l.entries, n)
		n.setField(atLeft, noEntry)
		n.setField(atRight, noEntry)
		n.raw[atColor] = 1
	}
	n.setField(atChild, noEntry)
	if n.raw[atType] == entryStream {
		return nil
	}
	for _, c := range n.children {
		if _, err := c.name(); err != nil {
			return err
		}
		c.index = uint32(len(l.entries))
		l.entries = append(l.entries, c)
	}
	ordered := slices.Clone(n.children)
	slices.SortFunc(ordered, compareNames)
	full := 0 // rows that are full
	for 1<<(full+1)-1 <= len(ordered) {
		full++
	}
	n.setField(atChild, balance(ordered, 0, full))
	for _, c := range n.children {
		if err := l.number(c); err != nil {
			return err
		}
	}
	return nil
}

// balance links entries to a tree and gives its top.
func balance(list []*node, depth, full int) uint32 {
	if len(list) == 0 {
		return noEntry
	}
	middle := len(list) / 2
	top := list[middle]
	top.raw[atColor] = 1
	if depth >= full {
		top.raw[atColor] = 0
	}
	top.setField(atLeft, balance(list[:middle], depth+1, full))
	top.setField(atRight, balance(list[middle+1:], depth+1, full))
	return top.index
}

// compareNames orders names as the tree wants them: the shorter first, then by
// capital letters.
func compareNames(a, b *node) int {
	x, y := a.units(), b.units()
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return slices.Compare(x, y)
}

// units are a name's UTF-16 units with ASCII letters made capital: names of an
// MSI's streams hold no other letters that have two cases.
func (n *node) units() []uint16 {
	var out []uint16
	for i := range int(binary.LittleEndian.Uint16(n.raw[atNameLength:]))/2 - 1 {
		u := binary.LittleEndian.Uint16(n.raw[2*i:])
		if u >= 'a' && u <= 'z' {
			u -= 'a' - 'A'
		}
		out = append(out, u)
	}
	return out
}

// write writes header, streams and tables.
func (l *layout) write(w io.Writer) error {
	perSector := l.sectorSize / 4
	smallTable := l.smallSize / smallSector * 4
	h := l.header[:]
	binary.LittleEndian.PutUint32(h[60:], endOfChain)
	if smallTable > 0 {
		binary.LittleEndian.PutUint32(h[60:], l.take(smallTable))
	}
	binary.LittleEndian.PutUint32(h[64:], uint32((smallTable+l.sectorSize-1)/l.sectorSize))
	directory := int64(len(l.entries)) * entrySize
	binary.LittleEndian.PutUint32(h[48:], l.take(directory))
	binary.LittleEndian.PutUint32(h[40:], 0)
	if l.sectorSize > 512 { // only these count the directory's sectors
		binary.LittleEndian.PutUint32(h[40:], uint32((directory+l.sectorSize-1)/l.sectorSize))
	}
	tables, lists := l.tables(perSector)
	binary.LittleEndian.PutUint32(h[44:], tables)
	binary.LittleEndian.PutUint32(h[52:], 0)
	binary.LittleEndian.PutUint32(h[56:], smallStream)
	binary.LittleEndian.PutUint32(h[68:], endOfChain)
	binary.LittleEndian.PutUint32(h[72:], lists)
	for i := range uint32(109) {
		binary.LittleEndian.PutUint32(h[76+4*i:], freeSector)
		if i < tables {
			binary.LittleEndian.PutUint32(h[76+4*i:], l.next+i)
		}
	}
	if lists > 0 {
		binary.LittleEndian.PutUint32(h[68:], l.next+tables)
	}
	out := &sectors{container: l.container, w: bufio.NewWriterSize(w, 64<<10)}
	out.write(h)
	out.pad(l.sectorSize, 0)
	l.writeStreams(out)
	for _, n := range l.entries {
		out.write(n.raw[:])
	}
	for unused := (dirEntry{}); out.n%l.sectorSize != 0; {
		unused.setField(atLeft, noEntry)
		unused.setField(atRight, noEntry)
		unused.setField(atChild, noEntry)
		out.write(unused.raw[:])
	}
	l.writeTables(out, perSector, tables, lists)
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

// tables is how many sectors the table takes that names all sectors, its own
// and those of its list included, and how many that list.
func (l *layout) tables(perSector int64) (tables, lists uint32) {
	for {
		all := int64(l.next) + int64(tables) + int64(lists)
		t := uint32((all + perSector - 1) / perSector)
		n := uint32(0)
		if t > 109 {
			n = uint32((int64(t) - 109 + perSector - 2) / (perSector - 1))
		}
		if t == tables && n == lists {
			return t, n
		}
		tables, lists = t, n
	}
}

func (l *layout) writeStreams(out *sectors) {
	for _, n := range l.large {
		out.copy(n)
		out.pad(l.sectorSize, 0)
	}
	for _, n := range l.small {
		out.copy(n)
		out.pad(smallSector, 0)
	}
	out.pad(l.sectorSize, 0)
	for _, n := range l.small {
		out.chain(n.field(atStart), uint32((n.size()+smallSector-1)/smallSector))
	}
	out.pad(l.sectorSize, 0xff)
}

func (l *layout) writeTables(out *sectors, perSector int64, tables, lists uint32) {
	at := uint32(0)
	for _, n := range l.chains {
		out.chain(at, n)
		at += n
	}
	for range tables {
		out.number(fatSector)
	}
	for range lists {
		out.number(listSector)
	}
	out.pad(l.sectorSize, 0xff)
	for i, list := uint32(109), uint32(1); i < tables; list++ {
		for range perSector - 1 {
			if i < tables {
				out.number(l.next + i)
			} else {
				out.number(freeSector)
			}
			i++
		}
		if list < lists {
			out.number(l.next + tables + list)
		} else {
			out.number(endOfChain)
		}
	}
}

// sectors writes and counts, until the first error.
type sectors struct {
	container *container // that streams come from
	w         *bufio.Writer
	n         int64
	err       error
}

func (s *sectors) write(b []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	s.n += int64(len(b))
}

func (s *sectors) number(v uint32) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	s.write(b[:])
}

// chain writes the table's entries of sectors that lie one behind another.
func (s *sectors) chain(at, n uint32) {
	for i := range n {
		if i+1 == n {
			s.number(endOfChain)
		} else {
			s.number(at + i + 1)
		}
	}
}

// pad fills up to a multiple of size.
func (s *sectors) pad(size int64, with byte) {
	if over := s.n % size; over != 0 {
		s.write(bytes.Repeat([]byte{with}, int(size-over)))
	}
}

func (s *sectors) copy(n *node) {
	if s.err != nil {
		return
	}
	s.err = n.copyTo(s.w, s.container)
	s.n += n.size()
}
