package pe

import (
	"encoding/binary"
	"io"
)

// Resource types ("Resource Types" of the Win32 documentation).
const (
	typeData     = 10 // RT_RCDATA
	typeVersion  = 16 // RT_VERSION
	typeManifest = 24 // RT_MANIFEST
)

// subdirectory is the high bit of a resource entry; in its name, that of a text.
const subdirectory = 0x80000000

// resources reads the resource directory tree, which files resources by type,
// name and language ("The .rsrc Section" of the PE format).
type resources struct {
	sections []Section
	r        io.ReaderAt
	size     int64
	root     uint32 // RVA; 0 when there is no tree
}

// A key chooses an entry of a directory: by number, by name, or the first.
type key struct {
	id   uint32
	name string
	any  bool
}

// find is where the data of a resource stands (an RVA) and its bytes, in the
// language that comes first.
func (t resources) find(kind, name key) (at, length uint32, found bool, err error) {
	if t.root == 0 {
		return 0, 0, false, nil
	}
	offset := uint32(0)
	for level, k := range []key{kind, name, {any: true}} {
		next, found, err := t.entry(offset, k)
		if err != nil || !found {
			return 0, 0, false, err
		}
		if (next&subdirectory != 0) != (level < 2) {
			return 0, 0, false, invalid("resource directory at %#x: resources are not filed by type, name and language", offset)
		}
		offset = next &^ subdirectory
	}
	var leaf [16]byte // RVA, size, code page, reserved
	if err := t.read(t.root+offset, leaf[:]); err != nil {
		return 0, 0, false, err
	}
	return binary.LittleEndian.Uint32(leaf[:]), binary.LittleEndian.Uint32(leaf[4:]), true, nil
}

// entry is what an entry of the directory at this offset points to.
func (t resources) entry(offset uint32, k key) (next uint32, found bool, err error) {
	var head [16]byte
	if err := t.read(t.root+offset, head[:]); err != nil {
		return 0, false, err
	}
	// Two 16-bit counts, so the list has at most 1 MiB.
	count := int(binary.LittleEndian.Uint16(head[12:])) + int(binary.LittleEndian.Uint16(head[14:]))
	list := make([]byte, 8*count)
	if err := t.read(t.root+offset+16, list); err != nil {
		return 0, false, err
	}
	for ; len(list) > 0; list = list[8:] {
		if t.matches(binary.LittleEndian.Uint32(list), k) {
			return binary.LittleEndian.Uint32(list[4:]), true, nil
		}
	}
	return 0, false, nil
}

// matches compares an entry's name. A text is a count of UTF-16 units and those.
func (t resources) matches(name uint32, k key) bool {
	switch {
	case k.any:
		return true
	case k.name == "":
		return name == k.id
	case name&subdirectory == 0:
		return false
	}
	text := make([]byte, 2+2*len(k.name)) // names that are looked for are ASCII
	if t.read(t.root+name&^subdirectory, text) != nil || int(binary.LittleEndian.Uint16(text)) != len(k.name) {
		return false
	}
	got, _, _ := utf16z(text[2:])
	return got == k.name
}

// place is the file offset of n bytes of the image as it would be loaded.
func (t resources) place(rva uint32, n int64) (int64, bool) {
	for _, s := range t.sections {
		at := int64(rva) - int64(s.Address)
		if at < 0 || at+n > int64(s.Size) {
			continue
		}
		at += int64(s.Offset)
		return at, at+n <= t.size
	}
	return 0, false
}

// read reads from the image as it would be loaded.
func (t resources) read(rva uint32, b []byte) error {
	at, ok := t.place(rva, int64(len(b)))
	if !ok {
		return invalid("resource at %#x of the image: its %d bytes lie outside the file", rva, len(b))
	}
	if n, err := t.r.ReadAt(b, at); n < len(b) {
		return err
	}
	return nil
}

// load is a resource's data, nil when there is none that can be read or it has
// more than limit bytes: for what a file may lack.
func (t resources) load(kind, name key, limit uint32) []byte {
	at, length, found, err := t.find(kind, name)
	if err != nil || !found || length > limit {
		return nil
	}
	data := make([]byte, length)
	if t.read(at, data) != nil {
		return nil
	}
	return data
}
