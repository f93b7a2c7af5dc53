package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const maxDirectory = 32 << 20 // bytes read to list a zip's members

// openZip lists the members, having checked what the library takes from the file
// without doubt: the number of members, for which it makes room, and the bytes
// of the directory, all of which it holds.
func openZip(r io.ReaderAt, size int64, limits Limits) (*zip.Reader, error) {
	n, err := statedMembers(r, size)
	if err != nil {
		return nil, err
	}
	limited := &budget{r: r, left: maxDirectory}
	if n > uint64(limits.Entries) {
		return nil, fmt.Errorf("the archive has more than %d entries", limits.Entries)
	}
	z, err := zip.NewReader(limited, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged by who asks
		return nil, fmt.Errorf("no zip archive: %w", err)
	}
	limited.left = -1
	if len(z.File) > limits.Entries {
		return nil, fmt.Errorf("the archive has more than %d entries", limits.Entries)
	}
	return z, nil
}

// statedMembers is the number of members that the end record states, or that of
// Zip64 (PKWARE's APPNOTE, sections 4.3.14 to 4.3.16).
func statedMembers(r io.ReaderAt, size int64) (uint64, error) {
	const end, locator, end64 = 22, 20, 56
	for _, window := range []int64{1024, 65 * 1024} { // the library looks the same way
		from := max(0, size-window)
		tail := make([]byte, size-from)
		if n, err := r.ReadAt(tail, from); n < len(tail) {
			return 0, err
		}
		for at := len(tail) - end; at >= 0; at-- {
			if string(tail[at:at+4]) != "PK\x05\x06" {
				continue
			}
			n := uint64(binary.LittleEndian.Uint16(tail[at+10:]))
			var b [end64]byte
			place := from + int64(at) - locator
			if read, _ := r.ReadAt(b[:locator], max(0, place)); place < 0 || read < locator || !bytes.HasPrefix(b[:], []byte("PK\x06\x07")) {
				return n, nil
			}
			place = int64(binary.LittleEndian.Uint64(b[8:]))
			if place < 0 || place > size-end64 {
				return 0, fmt.Errorf("offset %d: the Zip64 end record lies outside the file", place)
			}
			if read, err := r.ReadAt(b[:], place); read < end64 {
				return 0, err
			}
			return max(n, binary.LittleEndian.Uint64(b[32:])), nil
		}
	}
	return 0, errors.New("no zip archive: it has no end record")
}

// budget ends a read that would go on through the whole file.
type budget struct {
	r    io.ReaderAt
	left int64 // bytes; below zero is without end
}

// ReadAt reads from the file below.
func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		if int64(len(p)) > b.left {
			return 0, errors.New("its directory is too large")
		}
		b.left -= int64(len(p))
	}
	return b.r.ReadAt(p, off)
}
