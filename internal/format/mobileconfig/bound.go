package mobileconfig

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
)

// boundXML reads the document to its end and counts.
func boundXML(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	depth, n := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return invalid("offset %d: no property list: %w", d.InputOffset(), err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if n == 0 && t.Name.Local != "plist" || n > 0 && depth == 0 {
				return invalid("offset %d: a %.40q where a plist should begin, or has ended", d.InputOffset(), t.Name.Local)
			}
			depth++
			n++
			if depth > maxDepth || n > maxValues {
				return invalid("offset %d: too many values, or nested deeper than %d", d.InputOffset(), maxDepth)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// A counter walks the objects of a binary property list (Apple's CFBinaryPList):
// objects from byte 8, a table of their offsets, and a trailer of 32 bytes that
// says how wide offsets and references are.
type counter struct {
	data           []byte
	table          uint64 // offset of the table, where objects end
	wide, ref      uint64 // bytes of an offset, of a reference
	objects        uint64
	values, height []int // by object, once counted
	open           []bool
}

// boundBinary checks that every object that can be reached lies where it can,
// that none holds itself, and how many values there are when those that are
// referred to several times are counted as often.
func boundBinary(data []byte) error {
	const trailer = 32
	if len(data) < 8+1+1+trailer {
		return invalid("offset 0: a binary property list of %d bytes", len(data))
	}
	at := len(data) - trailer
	be := binary.BigEndian
	c := &counter{
		data: data, wide: uint64(data[at+6]), ref: uint64(data[at+7]),
		objects: be.Uint64(data[at+8:]), table: be.Uint64(data[at+24:]),
	}
	top := be.Uint64(data[at+16:])
	if c.objects == 0 || c.objects > maxValues || top >= c.objects || c.wide < 1 || c.wide > 8 || c.ref < 1 || c.ref > 8 {
		return invalid("offset %d: trailer: %d objects, offsets of %d bytes, references of %d", at, c.objects, c.wide, c.ref)
	}
	if c.table < 9 || c.table >= uint64(at) || c.table+c.objects*c.wide != uint64(at) {
		return invalid("offset %d: trailer: a table of offsets at %d that does not end here", at, c.table)
	}
	c.values, c.height, c.open = make([]int, c.objects), make([]int, c.objects), make([]bool, c.objects)
	return c.count(top, 0)
}

// number reads a number of some bytes, which are known to be there.
func (c *counter) number(at, width uint64) uint64 {
	n := uint64(0)
	for _, b := range c.data[at : at+width] {
		n = n<<8 | uint64(b)
	}
	return n
}

// count counts an object and those that it refers to.
func (c *counter) count(object uint64, depth int) error {
	if c.values[object] > 0 {
		return nil
	}
	at := c.number(c.table+object*c.wide, c.wide)
	if at < 8 || at >= c.table {
		return invalid("object %d: at offset %d, outside of the objects", object, at)
	}
	if c.open[object] || depth > maxDepth {
		return invalid("offset %d: object %d holds itself, or is nested deeper than %d", at, object, maxDepth)
	}
	c.open[object] = true
	first, refs, err := c.extent(at)
	if err != nil {
		return err
	}
	values, height := 1, 1
	for i := range refs {
		child := c.number(first+i*c.ref, c.ref)
		if child >= c.objects {
			return invalid("offset %d: a reference to object %d of %d", at, child, c.objects)
		}
		if err := c.count(child, depth+1); err != nil {
			return err
		}
		values, height = values+c.values[child], max(height, 1+c.height[child])
		if values > maxValues || height > maxDepth {
			return invalid("offset %d: too many values, or nested deeper than %d", at, maxDepth)
		}
	}
	c.open[object] = false
	c.values[object], c.height[object] = values, height
	return nil
}

// extent checks that an object ends before the table, and tells where its
// references begin and how many there are.
func (c *counter) extent(at uint64) (first, refs uint64, err error) {
	kind, low := c.data[at]>>4, uint64(c.data[at]&15)
	bad := func() (uint64, uint64, error) {
		return 0, 0, invalid("offset %d: a malformed object of kind %#x", at, c.data[at])
	}
	size, n := uint64(0), low
	at0 := at + 1
	switch kind {
	case 0x0: // null, false, true, fill
	case 0x1, 0x2, 0x3: // integer, real, date: as many bytes as a power of two
		if low > 4 {
			return bad()
		}
		size = 1 << low
	case 0x8: // UID
		size = low + 1
	case 0x4, 0x5, 0x6, 0xa, 0xd: // data, ASCII, UTF-16, array, dictionary: counted
		if low == 15 {
			if at0 >= c.table || c.data[at0]>>4 != 1 || c.data[at0]&15 > 3 {
				return bad()
			}
			width := uint64(1) << (c.data[at0] & 15)
			if at0+1+width > c.table {
				return bad()
			}
			n = c.number(at0+1, width)
			at0 += 1 + width
		}
		if n > uint64(len(c.data)) {
			return bad()
		}
		each := map[byte]uint64{0x4: 1, 0x5: 1, 0x6: 2, 0xa: c.ref, 0xd: 2 * c.ref}[kind]
		size = n * each
	default:
		return bad()
	}
	if at0+size > c.table {
		return bad()
	}
	switch kind {
	case 0xa:
		return at0, n, nil
	case 0xd:
		return at0, 2 * n, nil
	}
	return 0, 0, nil
}
