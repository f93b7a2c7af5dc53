package sip

import (
	"encoding/binary"
	"hash"
	"io"
)

// A Cabinet is a .cab file, [MS-CAB] section 2.
type Cabinet struct {
	Signature []byte // nil when unsigned

	r    io.ReaderAt
	end  int64 // of the cabinet, where its signature begins
	body int64 // where the digest goes on behind the header
}

// The cabinet's header, and the reserved area that a signer puts behind it.
const (
	cabHeader   = 36
	cabReserved = 0x4 // the flag of a reserved area
	cabArea     = 20  // bytes of an area that holds a signature's place
)

// ReadCabinet finds a cabinet's signature. What is no cabinet is an error of
// kind Invalid.
func ReadCabinet(r io.ReaderAt, size int64) (*Cabinet, error) {
	var h [cabHeader + 4 + cabArea]byte
	if size < cabHeader {
		return nil, invalid("no cabinet: it has %d bytes", size)
	}
	if _, err := r.ReadAt(h[:min(size, int64(len(h)))], 0); err != nil {
		return nil, err
	}
	if string(h[:4]) != "MSCF" {
		return nil, invalid("no cabinet: it does not begin with MSCF")
	}
	c := &Cabinet{r: r, end: int64(binary.LittleEndian.Uint32(h[8:]))}
	if c.end < cabHeader || c.end > size {
		return nil, invalid("offset 8: the cabinet states %d bytes, the file has %d", c.end, size)
	}
	flags := binary.LittleEndian.Uint16(h[30:])
	if flags&cabReserved == 0 || binary.LittleEndian.Uint16(h[36:]) != cabArea {
		return c, nil
	}
	at, length := int64(binary.LittleEndian.Uint32(h[44:])), int64(binary.LittleEndian.Uint32(h[48:]))
	if length == 0 {
		return c, nil
	}
	c.body = int64(len(h)) - 4
	switch {
	case at != c.end || at < int64(len(h)):
		return nil, invalid("offset 44: the signature is at %d, the cabinet ends at %d", at, c.end)
	case length > maxSignature || at+length > size:
		return nil, invalid("offset 48: the signature of %d bytes ends outside the file", length)
	case at+length != size:
		return nil, invalid("offset %d: bytes stand behind the signature, which it does not cover", at+length)
	}
	c.Signature = make([]byte, length)
	if _, err := r.ReadAt(c.Signature, at); err != nil {
		return nil, err
	}
	return c, nil
}

// Digest writes to h the bytes that a signed cabinet's signature covers: the
// header without its checksum, its number in a set and the signature's place,
// and everything up to the signature.
func (c *Cabinet) Digest(h hash.Hash) error {
	if c.Signature == nil {
		return invalid("the cabinet has no place for a signature")
	}
	for _, part := range [][2]int64{{0, 4}, {8, 34}, {c.body, c.end}} {
		if _, err := io.Copy(h, io.NewSectionReader(c.r, part[0], part[1]-part[0])); err != nil {
			return err
		}
	}
	return nil
}
