package intunewin

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// innerZip streams the zip of the setup folder.
type innerZip struct {
	size    int64
	entries []Entry
	headers []zipEntry
	next    int // entry that comes after the current reader
	r       io.Reader
	open    io.Closer
	crc     hash.Hash32
	count   int64
	ended   bool
}

func newInnerZip(entries []Entry) *innerZip {
	z := &innerZip{entries: entries, crc: crc32.NewIEEE()}
	for _, e := range entries {
		h := zipEntry{name: e.Name, size: e.Size, crc: e.CRC32, offset: z.size}
		z.headers = append(z.headers, h)
		z.size += int64(len(h.local())) + e.Size
	}
	z.size += int64(len(directory(z.headers, z.size)))
	return z
}

// Read gives the zip's bytes in order.
func (z *innerZip) Read(p []byte) (int, error) {
	for {
		if z.r != nil {
			n, err := z.r.Read(p)
			if n > 0 || !errors.Is(err, io.EOF) {
				return n, err
			}
			z.r = nil
		}
		if err := z.advance(); err != nil {
			return 0, err
		}
	}
}

// advance checks the entry just read and makes the next part readable.
func (z *innerZip) advance() error {
	if z.open != nil {
		e := z.entries[z.next-1]
		err := z.open.Close()
		z.open = nil
		if err != nil {
			return err
		}
		if z.count != e.Size || z.crc.Sum32() != e.CRC32 {
			return fleet.Errorf(fleet.Refused, "intunewin.write", e.Name, "changed while it was packed")
		}
	}
	switch {
	case z.next < len(z.entries):
		e := z.entries[z.next]
		file, err := e.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		z.open, z.count = file, 0
		z.crc.Reset()
		// One byte more than promised is read, to notice a longer file.
		body := io.TeeReader(io.LimitReader(file, e.Size+1), (*counter)(z))
		z.r = io.MultiReader(bytes.NewReader(z.headers[z.next].local()), body)
		z.next++
		return nil
	case !z.ended:
		z.ended = true
		var at int64
		if n := len(z.headers); n > 0 {
			last := z.headers[n-1]
			at = last.offset + int64(len(last.local())) + last.size
		}
		z.r = bytes.NewReader(directory(z.headers, at))
		return nil
	default:
		return io.EOF
	}
}

// Close ends the reading of an entry that was left in the middle.
func (z *innerZip) Close() error {
	if z.open == nil {
		return nil
	}
	return z.open.Close()
}

// counter watches the bytes of the current entry.
type counter innerZip

func (c *counter) Write(p []byte) (int, error) {
	c.count += int64(len(p))
	c.crc.Write(p)
	return len(p), nil
}
