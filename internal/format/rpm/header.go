package rpm

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// Types of header data.
const (
	typeInt8   = 2
	typeInt16  = 3
	typeInt32  = 4
	typeInt64  = 5
	typeString = 6
	typeBinary = 7
	typeArray  = 8
	typeI18N   = 9 // an array whose first text is in English
)

// Tags of the regions that a header consists of.
const (
	regionSignature = 62
	regionImmutable = 63
)

// A header is a list of tagged values: a magic, two counts, the index, the data.
type header struct {
	what    string
	at, end int64 // in the file
	raw     []byte
	index   map[uint32]value
	data    []byte
}

type value struct{ kind, offset, count uint32 }

// readHeader reads the header at an offset. Its data have at most limit bytes.
func readHeader(r io.ReaderAt, at, size int64, what string, limit uint32) (header, error) {
	h := header{what: what, at: at}
	var intro [16]byte
	if n, err := r.ReadAt(intro[:], at); n < len(intro) {
		return h, invalid("offset %d: %s: it is cut off (%v)", at, what, err)
	}
	if !bytes.HasPrefix(intro[:], []byte("\x8e\xad\xe8\x01")) {
		return h, invalid("offset %d: %s: it does not begin with the magic of a header", at, what)
	}
	entries, length := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if entries == 0 || entries > maxIndex || length > limit {
		return h, invalid("offset %d: %s: %d entries with %d bytes", at, what, entries, length)
	}
	total := int64(len(intro)) + 16*int64(entries) + int64(length)
	if h.end = at + total; h.end > size {
		return h, invalid("offset %d: %s: its %d bytes end behind the file", at, what, total)
	}
	h.raw = make([]byte, total)
	if n, err := r.ReadAt(h.raw, at); n < len(h.raw) {
		return h, err
	}
	h.data = h.raw[16+16*entries:]
	h.index = make(map[uint32]value, entries)
	for i := range entries {
		e := h.raw[16+16*i:]
		tag, v := binary.BigEndian.Uint32(e), value{binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])}
		if _, twice := h.index[tag]; twice {
			return h, invalid("offset %d: %s: tag %d stands twice", at+16+16*int64(i), what, tag)
		}
		if v.offset > length || v.count > length+1 {
			return h, invalid("offset %d: %s: tag %d lies outside the header", at+16+16*int64(i), what, tag)
		}
		h.index[tag] = v
	}
	return h, nil
}

// immutable reports whether the header's region covers all of it, so that a
// signature of the header leaves nothing open that is read from it. A region is
// the first entry: 16 bytes at its offset, of which a number is the region's
// length of index, counted backwards.
func (h header) immutable(region uint32) bool {
	if binary.BigEndian.Uint32(h.raw[16:]) != region {
		return false
	}
	v := h.index[region]
	if v.kind != typeBinary || v.count != 16 || uint64(v.offset)+16 != uint64(len(h.data)) {
		return false
	}
	trailer := h.data[v.offset:]
	return binary.BigEndian.Uint32(trailer) == region && -int64(int32(binary.BigEndian.Uint32(trailer[8:]))) == 16*int64(len(h.index))
}

func (h header) has(tag uint32) bool { _, ok := h.index[tag]; return ok }

// fault is an error about one tag.
func (h header) fault(tag uint32, format string, args ...any) error {
	return invalid("offset %d: "+h.what+": tag %d: "+format, append([]any{h.at, tag}, args...)...)
}

// texts are the values of a tag of texts, nil when it is not there.
func (h header) texts(tag, limit uint32) ([]string, error) {
	v, ok := h.index[tag]
	if !ok {
		return nil, nil
	}
	if v.kind == typeString {
		v.count = 1
	} else if v.kind != typeArray && v.kind != typeI18N {
		return nil, h.fault(tag, "it holds no text (type %d)", v.kind)
	}
	if v.count > limit {
		return nil, h.fault(tag, "it has %d values", v.count)
	}
	out := make([]string, 0, v.count)
	rest := h.data[v.offset:]
	for range v.count {
		text, after, ended := bytes.Cut(rest, []byte{0})
		if !ended {
			return nil, h.fault(tag, "a text has no end")
		}
		out, rest = append(out, string(text)), after
	}
	return out, nil
}

// text is the first value, "" when there is none that can be read.
func (h header) text(tag uint32) string {
	v, ok := h.index[tag]
	if !ok || v.count == 0 || v.kind != typeString && v.kind != typeArray && v.kind != typeI18N {
		return ""
	}
	text, _, ended := bytes.Cut(h.data[v.offset:], []byte{0})
	if !ended {
		return ""
	}
	return string(text)
}

// line is a text for one line.
func (h header) line(tag uint32) string { return clean(h.text(tag)) }

// numbers are the values of a tag of numbers, which are unsigned.
func (h header) numbers(tag, limit uint32) ([]int64, error) {
	v, ok := h.index[tag]
	if !ok {
		return nil, nil
	}
	width := map[uint32]uint32{typeInt8: 1, typeInt16: 2, typeInt32: 4, typeInt64: 8}[v.kind]
	switch {
	case width == 0:
		return nil, h.fault(tag, "it holds no numbers (type %d)", v.kind)
	case v.count > limit:
		return nil, h.fault(tag, "it has %d values", v.count)
	case uint64(v.offset)+uint64(v.count)*uint64(width) > uint64(len(h.data)):
		return nil, h.fault(tag, "its values lie outside the header")
	}
	out := make([]int64, v.count)
	for i := range out {
		b := h.data[v.offset+width*uint32(i):]
		switch width {
		case 1:
			out[i] = int64(b[0])
		case 2:
			out[i] = int64(binary.BigEndian.Uint16(b))
		case 4:
			out[i] = int64(binary.BigEndian.Uint32(b))
		default:
			out[i] = int64(binary.BigEndian.Uint64(b) &^ (1 << 63)) // nothing has that many bytes
		}
	}
	return out, nil
}

// number is the first value, 0 when there is none.
func (h header) number(tag uint32) (int64, error) {
	all, err := h.numbers(tag, maxIndex)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[0], nil
}

// bytes are a binary value, nil when there is none.
func (h header) bytes(tag uint32) ([]byte, error) {
	v, ok := h.index[tag]
	switch {
	case !ok:
		return nil, nil
	case v.kind != typeBinary || uint64(v.offset)+uint64(v.count) > uint64(len(h.data)):
		return nil, h.fault(tag, "it is no binary value that lies within the header")
	}
	return h.data[v.offset:][:v.count], nil
}

// clean makes a vendor's text fit for a line: no control characters.
func clean(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(printable(s), "\n", " "))
}

// printable leaves only those control characters that texts of several lines
// need.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}
