package msi

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

const maxTexts = 1 << 24 // as many as a reference of three bytes can name

// pool is the database's texts by number. A text is decoded when it is first
// asked for, and once: many rows may name the same long text.
type pool struct {
	codePage uint32
	page     encoding.Encoding
	refSize  int // bytes of a number in a table: 2, or 3 in large databases
	data     []byte
	ends     []uint32 // where each text ends in data, and the next begins
	decoded  map[uint32]poolText
}

// poolText is a text as it is stored, and without what people cannot see.
type poolText struct{ exact, clean string }

// newPool reads the two streams of the string pool: lengths with reference
// counts, and the texts end to end.
func newPool(lengths, data []byte) (*pool, error) {
	const structure = "string pool"
	if len(lengths) < 4 || len(lengths)%4 != 0 || len(lengths)/4 > maxTexts {
		return nil, damaged(structure, int64(len(lengths)), "it has %d bytes", len(lengths))
	}
	head := binary.LittleEndian.Uint32(lengths)
	p := &pool{refSize: 2, codePage: head & 0x7fffffff, data: data, decoded: map[uint32]poolText{}}
	if head&0x80000000 != 0 {
		p.refSize = 3
	}
	p.page = codePage(p.codePage)
	p.ends = make([]uint32, 1, len(lengths)/4) // number 0 is no text
	used := 0
	for at := 4; at < len(lengths); at += 4 {
		length, refs := int(binary.LittleEndian.Uint16(lengths[at:])), int(binary.LittleEndian.Uint16(lengths[at+2:]))
		if length == 0 && refs != 0 {
			// A text past 64 KiB: the count is the length's upper half, and
			// its lower half stands in the next record.
			if at += 4; at == len(lengths) {
				return nil, damaged(structure, int64(at), "it ends within a record")
			}
			length = refs<<16 | int(binary.LittleEndian.Uint16(lengths[at:]))
		}
		if length > len(data)-used {
			return nil, damaged(structure, int64(at), "text %d has %d bytes, of which there are %d", len(p.ends), length, len(data)-used)
		}
		used += length
		p.ends = append(p.ends, uint32(used))
	}
	if used != len(data) {
		return nil, damaged("string data", int64(used), "%d bytes belong to no text", len(data)-used)
	}
	return p, nil
}

// ref is the number at the start of b, which has at least refSize bytes.
func (p *pool) ref(b []byte) uint32 {
	n := uint32(b[0]) | uint32(b[1])<<8
	if p.refSize == 3 {
		n |= uint32(b[2]) << 16
	}
	return n
}

// has says whether there is a text of that number; 0 is the empty one.
func (p *pool) has(n uint32) bool { return int64(n) < int64(len(p.ends)) }

// text is the text of a number, "" where there is none.
func (p *pool) text(n uint32) poolText {
	if n == 0 || !p.has(n) || p.ends[n-1] == p.ends[n] {
		return poolText{}
	}
	if t, ok := p.decoded[n]; ok {
		return t
	}
	t := poolText{exact: decode(p.page, p.data[p.ends[n-1]:p.ends[n]])}
	if t.clean = clean(t.exact); t.clean == t.exact {
		t.clean = t.exact // one copy
	}
	p.decoded[n] = t
	return t
}

// decode makes a text valid UTF-8. Without a code page it is UTF-8 or, where it
// is not, Windows-1252.
func decode(page encoding.Encoding, b []byte) string {
	s := string(b)
	if page == nil && !utf8.Valid(b) {
		page = charmap.Windows1252
	}
	if page != nil {
		if decoded, err := page.NewDecoder().Bytes(b); err == nil {
			s = string(decoded)
		}
	}
	return strings.ToValidUTF8(s, "?")
}

// clean gives a text for people: without control characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
