package msi

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/richardlehane/mscfb"
)

// nameAlphabet are the characters that stream names pack two in one.
const nameAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"

// tableMark begins the packed name of a table's stream.
const tableMark = '\u4840'

// rawName is an entry's name as it is stored. The library cuts off a first
// character that does not print.
func rawName(s *mscfb.File) string {
	if s.Initial != 0 && !unicode.IsPrint(rune(s.Initial)) {
		return string(utf16.Decode([]uint16{s.Initial})) + s.Name
	}
	return s.Name
}

// decodeName undoes the packing of stream names: two characters of an alphabet
// of 64 in one CJK character, so that 31 characters hold 62; the mark of a
// table is shown as "!".
func decodeName(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 0x3800 && r < 0x4800:
			b.WriteByte(nameAlphabet[(r-0x3800)&63])
			b.WriteByte(nameAlphabet[(r-0x3800)>>6&63])
		case r >= 0x4800 && r < 0x4840:
			b.WriteByte(nameAlphabet[r-0x4800])
		case r == tableMark:
			b.WriteByte('!')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// encodeName packs a stream's name. Streams are looked up by their packed name,
// so that a stream which only reads like another is not taken for it.
func encodeName(name string) string {
	var b strings.Builder
	pending := -1 // the first character of a pair
	flush := func() {
		if pending >= 0 {
			b.WriteRune(rune(0x4800 + pending))
			pending = -1
		}
	}
	for _, r := range name {
		n := -1
		if r < 0x80 {
			n = strings.IndexByte(nameAlphabet, byte(r))
		}
		switch {
		case n < 0:
			flush()
			b.WriteRune(r)
		case pending >= 0:
			b.WriteRune(rune(0x3800 + pending + n<<6))
			pending = -1
		default:
			pending = n
		}
	}
	flush()
	return b.String()
}

// tableStream is the packed name of a table's stream.
func tableStream(table string) string { return string(tableMark) + encodeName(table) }
