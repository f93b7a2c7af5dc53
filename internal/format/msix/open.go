package msix

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// open lists the members, having checked what the library takes from the file
// without doubt: the number of members, for which it makes room, and the bytes
// of the directory, all of which it holds.
func open(r io.ReaderAt, size int64) (*zip.Reader, error) {
	n, err := stated(r, size)
	if err != nil {
		return nil, err
	}
	if n > maxMembers {
		return nil, invalid("the package states %d members", n)
	}
	limited := &budget{r: r, left: maxDirectory}
	z, err := zip.NewReader(limited, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are checked later
		return nil, invalid("no app package: no zip archive: %w", err)
	}
	limited.left = -1
	if len(z.File) > maxMembers {
		return nil, invalid("the package has %d members", len(z.File))
	}
	return z, nil
}

// stated is the number of members that the end record states, or that of Zip64
// (PKWARE's APPNOTE, sections 4.3.14 to 4.3.16).
func stated(r io.ReaderAt, size int64) (uint64, error) {
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
				return 0, invalid("offset %d: the Zip64 end record lies outside the file", place)
			}
			if read, err := r.ReadAt(b[:], place); read < end64 {
				return 0, err
			}
			return max(n, binary.LittleEndian.Uint64(b[32:])), nil
		}
	}
	return 0, invalid("no app package: no zip archive: it has no end record")
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
