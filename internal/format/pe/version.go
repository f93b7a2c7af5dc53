package pe

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

const (
	typeVersion    = 16         // RT_VERSION
	subdirectory   = 0x80000000 // high bit of a resource entry
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
}

// resources reads the resource directory tree: type, name, language.
type resources struct {
	img  *pe.File
	r    io.ReaderAt
	size int64
	base uint32 // RVA of the root
}

// findVersion reads the version resource, an empty one when there is none.
func findVersion(img *pe.File, r io.ReaderAt, size int64, dir pe.DataDirectory) (version, error) {
	t := resources{img, r, size, dir.VirtualAddress}
	offset := uint32(0)
	for level := range 3 {
		next, found, err := t.entry(offset, level == 0)
		if err != nil || !found {
			return version{}, err
		}
		if (next&subdirectory != 0) != (level < 2) {
			return version{}, invalid("the version resource is not filed by type, name and language")
		}
		offset = next &^ subdirectory
	}
	var leaf [16]byte // RVA, size, code page, reserved
	if err := t.read(t.base+offset, leaf[:]); err != nil {
		return version{}, err
	}
	length := binary.LittleEndian.Uint32(leaf[4:])
	if length > maxResource {
		return version{}, invalid("the version resource has %d bytes", length)
	}
	data := make([]byte, length)
	if err := t.read(binary.LittleEndian.Uint32(leaf[:]), data); err != nil {
		return version{}, err
	}
	return parseVersion(data)
}

// entry is the offset in the directory at the given offset: of type RT_VERSION,
// or of its first entry.
func (t resources) entry(offset uint32, versionType bool) (next uint32, found bool, err error) {
	var head [16]byte
	if err := t.read(t.base+offset, head[:]); err != nil {
		return 0, false, err
	}
	named, ids := uint32(binary.LittleEndian.Uint16(head[12:])), uint32(binary.LittleEndian.Uint16(head[14:]))
	for i := range named + ids {
		var e [8]byte
		if err := t.read(t.base+offset+16+8*i, e[:]); err != nil {
			return 0, false, err
		}
		if !versionType || binary.LittleEndian.Uint32(e[:]) == typeVersion {
			return binary.LittleEndian.Uint32(e[4:]), true, nil
		}
	}
	return 0, false, nil
}

// read reads from the image as it would be loaded.
func (t resources) read(rva uint32, b []byte) error {
	for _, s := range t.img.Sections {
		at := int64(rva) - int64(s.VirtualAddress)
		if at < 0 || at+int64(len(b)) > int64(s.Size) {
			continue
		}
		at += int64(s.Offset)
		if at+int64(len(b)) > t.size {
			break
		}
		_, err := t.r.ReadAt(b, at)
		return err
	}
	return invalid("a resource lies outside the file")
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
