package msi

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// pool is the database's texts by number.
type pool struct {
	texts   []string
	refSize int // bytes of a number in a table: 2, or 3 in large databases
}

// newPool reads the two streams of the string pool: lengths with reference
// counts, and the texts end to end.
func newPool(lengths, data []byte) (*pool, error) {
	if len(lengths) < 4 || len(lengths)%4 != 0 {
		return nil, invalid("the string pool is cut off")
	}
	head := binary.LittleEndian.Uint32(lengths)
	p := &pool{refSize: 2, texts: []string{""}} // number 0 is no text
	if head&0x80000000 != 0 {
		p.refSize = 3
	}
	page := codePage(head & 0xffff)
	for rest := lengths[4:]; len(rest) > 0; {
		length, refs := int(binary.LittleEndian.Uint16(rest)), int(binary.LittleEndian.Uint16(rest[2:]))
		rest = rest[4:]
		if length == 0 && refs != 0 {
			// A text past 64 KiB: the count is the length's upper half, and
			// its lower half stands in the next record.
			if len(rest) == 0 {
				return nil, invalid("the string pool is cut off")
			}
			length = refs<<16 | int(binary.LittleEndian.Uint16(rest))
			rest = rest[4:]
		}
		if length > len(data) {
			return nil, invalid("the string pool names more text than there is")
		}
		p.texts = append(p.texts, decode(page, data[:length]))
		data = data[length:]
	}
	return p, nil
}

// at is the text whose number begins b.
func (p *pool) at(b []byte) (string, bool) {
	if len(b) < p.refSize {
		return "", false
	}
	n := int(b[0]) | int(b[1])<<8
	if p.refSize == 3 {
		n |= int(b[2]) << 16
	}
	if n >= len(p.texts) {
		return "", false
	}
	return p.texts[n], true
}

// codePage is the encoding of a Windows code page, nil for UTF-8 and for 0,
// "neutral", under which builders store whatever they have.
func codePage(n uint32) encoding.Encoding {
	switch n {
	case 437:
		return charmap.CodePage437
	case 850:
		return charmap.CodePage850
	case 874:
		return charmap.Windows874
	case 932:
		return japanese.ShiftJIS
	case 936:
		return simplifiedchinese.GBK
	case 949:
		return korean.EUCKR
	case 950:
		return traditionalchinese.Big5
	case 1250:
		return charmap.Windows1250
	case 1251:
		return charmap.Windows1251
	case 1252:
		return charmap.Windows1252
	case 1253:
		return charmap.Windows1253
	case 1254:
		return charmap.Windows1254
	case 1255:
		return charmap.Windows1255
	case 1256:
		return charmap.Windows1256
	case 1257:
		return charmap.Windows1257
	case 1258:
		return charmap.Windows1258
	default:
		return nil
	}
}

// decode gives a text for people: no control characters, no broken UTF-8.
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
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
