package pe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

const (
	fixedSignature = 0xfeef04bd // of VS_FIXEDFILEINFO
	maxNesting     = 8          // blocks within blocks of a version resource
	maxStrings     = 256
)

// version is a version resource.
type version struct {
	file, product string // of VS_FIXEDFILEINFO, dotted, "" when absent
	strings       map[string]string
}

// fill states the numbers where both they and a text are there: they are what
// Windows itself compares. ProductVersion is taken as text, since vendors put
// the release's own name there.
func (v version) fill(f *File) {
	f.Facts.FileVersion = v.file
	if f.Facts.FileVersion == "" {
		f.Facts.FileVersion = v.strings["FileVersion"]
	}
	f.Facts.ProductVersion = v.strings["ProductVersion"]
	if f.Facts.ProductVersion == "" {
		f.Facts.ProductVersion = v.product
	}
	f.Facts.ProductName = v.strings["ProductName"]
	f.Company = v.strings["CompanyName"]
	f.Copyright = v.strings["LegalCopyright"]
	f.Description = v.strings["FileDescription"]
	f.OriginalName = v.strings["OriginalFilename"]
	f.InternalName = v.strings["InternalName"]
}

// findVersion reads the version resource, an empty one when there is none.
func findVersion(t resources) (version, error) {
	at, length, found, err := t.find(key{id: typeVersion}, key{any: true})
	if err != nil || !found {
		return version{}, err
	}
	if length > maxResource {
		return version{}, invalid("the version resource has %d bytes", length)
	}
	data := make([]byte, length)
	if err := t.read(at, data); err != nil {
		return version{}, err
	}
	return parseVersion(data)
}

// block is one node of a version resource: a key, a value, nodes below.
type block struct {
	key      string
	value    []byte
	children []byte
}

// next cuts the first block off data.
func next(data []byte) (b block, rest []byte, err error) {
	if len(data) < 6 {
		return b, nil, invalid("the version resource is cut off")
	}
	length := int(binary.LittleEndian.Uint16(data))
	valueLength := int(binary.LittleEndian.Uint16(data[2:]))
	text := binary.LittleEndian.Uint16(data[4:]) == 1
	if length < 6 || length > len(data) {
		return b, nil, invalid("the version resource is cut off")
	}
	body := data[6:length]
	key, used, ok := utf16z(body)
	if !ok {
		return b, nil, invalid("the version resource has a key without end")
	}
	b.key = key
	at := min(align(6+used)-6, len(body))
	if text {
		valueLength *= 2 // counted in characters
	}
	// Some resource compilers count a text's bytes: what is there decides.
	valueEnd := min(at+valueLength, len(body))
	b.value = body[at:valueEnd]
	b.children = body[min(align(6+valueEnd)-6, len(body)):]
	return b, data[min(align(length), len(data)):], nil
}

// align rounds up to the 32-bit boundary blocks stand on.
func align(n int) int { return (n + 3) &^ 3 }

// utf16z reads a zero-ended UTF-16 text and tells the bytes it took.
func utf16z(data []byte) (string, int, bool) {
	var units []uint16
	for i := 0; i+1 < len(data); i += 2 {
		u := binary.LittleEndian.Uint16(data[i:])
		if u == 0 {
			return string(utf16.Decode(units)), i + 2, true
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units)), len(data), false
}

// parseVersion reads VS_VERSIONINFO. Of several languages the first counts.
func parseVersion(data []byte) (version, error) {
	root, _, err := next(data)
	if err != nil {
		return version{}, err
	}
	if root.key != "VS_VERSION_INFO" {
		return version{}, invalid("the version resource begins with %q", root.key)
	}
	v := version{strings: map[string]string{}}
	if f := root.value; len(f) >= 24 && binary.LittleEndian.Uint32(f) == fixedSignature {
		v.file, v.product = dotted(f[8:]), dotted(f[16:])
	}
	return v, v.walk(root.children, 0)
}

func (v version) walk(data []byte, depth int) error {
	for len(bytes.Trim(data, "\x00")) > 0 {
		b, rest, err := next(data)
		if err != nil {
			return err
		}
		data = rest
		switch {
		case depth > maxNesting || len(v.strings) > maxStrings:
			return invalid("the version resource has too many parts")
		case depth == 2: // String
			text, _, _ := utf16z(b.value)
			if _, known := v.strings[b.key]; !known {
				v.strings[b.key] = clean(text)
			}
		case depth == 0 && b.key != "StringFileInfo": // VarFileInfo
		default:
			if err := v.walk(b.children, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// clean makes a vendor's text fit for a line: no control characters.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s))
}

// dotted is a version of two 32-bit numbers, high half first.
func dotted(b []byte) string {
	high, low := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	return fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff)
}
