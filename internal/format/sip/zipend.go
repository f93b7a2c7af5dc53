package sip

import (
	"encoding/binary"
	"hash"
	"io"
)

// A zipEnd is an archive's central directory and the records behind it,
// APPNOTE.TXT sections 4.3.12 to 4.3.16.
type zipEnd struct {
	at        int64 // of the directory
	directory []byte
	count     uint64
	end       [22]byte // end of central directory record
	wide      []byte   // zip64 end of central directory record and locator, 76 bytes, or nil
}

// findEnd reads the directory of an archive that has no comment, as packages
// have none, and in which no byte stands between directory and records.
func findEnd(r io.ReaderAt, size int64) (*zipEnd, error) {
	e := &zipEnd{}
	if size < int64(len(e.end)) {
		return nil, invalid("no zip archive: it has %d bytes", size)
	}
	at := size - int64(len(e.end))
	if _, err := r.ReadAt(e.end[:], at); err != nil {
		return nil, err
	}
	if string(e.end[:4]) != "PK\x05\x06" || e.end[20] != 0 || e.end[21] != 0 {
		return nil, invalid("offset %d: no zip archive, or one with a comment", at)
	}
	e.count = uint64(binary.LittleEndian.Uint16(e.end[10:]))
	length, start := uint64(binary.LittleEndian.Uint32(e.end[12:])), uint64(binary.LittleEndian.Uint32(e.end[16:]))
	if wide := make([]byte, 76); at >= int64(len(wide)) {
		if _, err := r.ReadAt(wide, at-int64(len(wide))); err != nil {
			return nil, err
		}
		if string(wide[:4]) == "PK\x06\x06" && string(wide[56:60]) == "PK\x06\x07" {
			at -= int64(len(wide))
			e.wide = wide
			e.count, length, start = binary.LittleEndian.Uint64(wide[32:]), binary.LittleEndian.Uint64(wide[40:]), binary.LittleEndian.Uint64(wide[48:])
		}
	}
	if length > maxDirectory || start > uint64(size) || start+length != uint64(at) {
		return nil, invalid("offset %d: a directory of %d bytes at %d", at, length, start)
	}
	e.at, e.directory = int64(start), make([]byte, length)
	if _, err := r.ReadAt(e.directory, e.at); err != nil {
		return nil, err
	}
	return e, nil
}

// without writes the directory and the records as they are without the
// signature: fewer entries, a directory that begins where the signature was.
func (e *zipEnd) without(h hash.Hash, directory []byte, at int64) {
	h.Write(directory)
	count, length := e.count-1, uint64(len(directory))
	if e.wide != nil {
		wide := append([]byte(nil), e.wide...)
		binary.LittleEndian.PutUint64(wide[24:], count)
		binary.LittleEndian.PutUint64(wide[32:], count)
		binary.LittleEndian.PutUint64(wide[40:], length)
		binary.LittleEndian.PutUint64(wide[48:], uint64(at))
		binary.LittleEndian.PutUint64(wide[64:], uint64(at)+length)
		h.Write(wide)
	}
	end := e.end
	// All ones mean that the number stands in the wide record.
	for _, f := range []struct {
		at, size int
		value    uint64
	}{{8, 2, count}, {10, 2, count}, {12, 4, length}, {16, 4, uint64(at)}} {
		field := end[f.at : f.at+f.size]
		if f.size == 2 && binary.LittleEndian.Uint16(field) != 0xffff {
			binary.LittleEndian.PutUint16(field, uint16(f.value))
		} else if f.size == 4 && binary.LittleEndian.Uint32(field) != 0xffffffff {
			binary.LittleEndian.PutUint32(field, uint32(f.value))
		}
	}
	clear(end[4:8]) // disk numbers
	h.Write(end[:])
}

// A zipEntry is what matters of a directory's entry.
type zipEntry struct {
	name         string
	size, offset int64 // as stored; of the local header
	length       int   // of the entry itself
}

// readEntry reads the entry at the beginning of b, which stands at offset.
func readEntry(b []byte, offset int64) (e zipEntry, err error) {
	if len(b) < 46 || string(b[:4]) != "PK\x01\x02" {
		return e, invalid("offset %d: no directory entry", offset)
	}
	name, extra := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint16(b[30:]))
	e.length = 46 + name + extra + int(binary.LittleEndian.Uint16(b[32:]))
	if e.length > len(b) {
		return e, invalid("offset %d: the directory entry is cut off", offset)
	}
	e.name = string(b[46 : 46+name])
	plain := binary.LittleEndian.Uint32(b[24:])
	e.size, e.offset = int64(binary.LittleEndian.Uint32(b[20:])), int64(binary.LittleEndian.Uint32(b[42:]))
	for x := b[46+name : 46+name+extra]; len(x) >= 4; {
		n := int(binary.LittleEndian.Uint16(x[2:]))
		if n > len(x)-4 {
			break
		}
		if binary.LittleEndian.Uint16(x) == 1 { // zip64: only the fields that are all ones
			f := x[4 : 4+n]
			for _, w := range []struct {
				needed bool
				into   *int64
			}{{plain == 0xffffffff, new(int64)}, {e.size == 0xffffffff, &e.size}, {e.offset == 0xffffffff, &e.offset}} {
				if w.needed && len(f) >= 8 {
					*w.into, f = int64(binary.LittleEndian.Uint64(f)&(1<<62-1)), f[8:]
				}
			}
			break
		}
		x = x[4+n:]
	}
	return e, nil
}
