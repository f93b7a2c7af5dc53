package intunewin

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"io"
)

// An Entry is one file of the setup folder. Size, CRC32 and SHA256 are those of
// its bytes, as Scan tells them.
type Entry struct {
	Name   string // relative, with slashes
	Size   int64
	CRC32  uint32 // IEEE
	SHA256 [32]byte
	Open   func() (io.ReadCloser, error)
}

// A Scanner takes the facts of an entry from its bytes while they stream by.
type Scanner struct {
	size int64
	crc  hash.Hash32
	sum  hash.Hash
}

// NewScanner is a scanner that has seen nothing.
func NewScanner() *Scanner { return &Scanner{crc: crc32.NewIEEE(), sum: sha256.New()} }

// Write takes the next bytes; it never fails.
func (s *Scanner) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	s.crc.Write(p)
	s.sum.Write(p)
	return len(p), nil
}

// Entry is the entry of the bytes seen so far.
func (s *Scanner) Entry(name string, open func() (io.ReadCloser, error)) Entry {
	return Entry{Name: name, Size: s.size, CRC32: s.crc.Sum32(), SHA256: [32]byte(s.sum.Sum(nil)), Open: open}
}

// BytesEntry is the entry of a small generated file.
func BytesEntry(name string, data []byte) Entry {
	s := NewScanner()
	s.Write(data)
	return s.Entry(name, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
}
