package pe

import (
	"bytes"
	"encoding/binary"
	"hash"
	"io"
	"math"
)

// WithSignature writes the program with a signature in place of the one it has:
// the certificate table at its end, its directory entry, and the checksum of
// the whole. The same program and signature give the same bytes.
func (f *File) WithSignature(w io.Writer, signature []byte) error {
	end, err := f.end()
	if err != nil {
		return err
	}
	if !f.hasSecurity {
		return invalid("the program has no directory entry for a certificate table")
	}
	padded := (end + 7) &^ 7
	size := (int64(len(signature)) + 8 + 7) &^ 7
	if padded+size > math.MaxUint32 {
		return invalid("a program of %d bytes has no room for a signature", end)
	}
	table := make([]byte, padded-end+size)
	head := table[padded-end:]
	binary.LittleEndian.PutUint32(head, uint32(size))
	binary.LittleEndian.PutUint16(head[4:], 0x0200) // WIN_CERT_REVISION_2_0
	binary.LittleEndian.PutUint16(head[6:], 2)      // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	copy(head[8:], signature)

	checksum, entry := f.headerStart+64, f.directories+8*directorySecurity
	var place [8]byte
	binary.LittleEndian.PutUint32(place[:], uint32(padded))
	binary.LittleEndian.PutUint32(place[4:], uint32(size))
	program := func(sum []byte) io.Reader {
		return io.MultiReader(
			io.NewSectionReader(f.r, 0, checksum), bytes.NewReader(sum),
			io.NewSectionReader(f.r, checksum+4, entry-checksum-4), bytes.NewReader(place[:]),
			io.NewSectionReader(f.r, entry+8, end-entry-8), bytes.NewReader(table))
	}
	var sum adder
	if _, err := io.Copy(&sum, program(make([]byte, 4))); err != nil {
		return err
	}
	_, err = io.Copy(w, program(binary.LittleEndian.AppendUint32(nil, sum.result())))
	return err
}

// end is where the program ends and its certificate table begins.
func (f *File) end() (int64, error) {
	end := f.size
	if f.certificates.Size > 0 {
		end = int64(f.certificates.VirtualAddress)
		if end+int64(f.certificates.Size) != f.size {
			return 0, invalid("offset %d: bytes stand behind the certificate table, which no signature covers", end+int64(f.certificates.Size))
		}
	}
	if entry := f.directories + 8*directorySecurity; end < entry+8 || entry < f.headerStart+68 {
		return 0, invalid("offset %d: the certificate table lies in the headers", end)
	}
	return end, nil
}

// Digest writes to h the bytes that an Authenticode signature covers: all but
// the checksum, the certificate table's directory entry and the table itself
// ("Windows Authenticode Portable Executable Signature Format", version 1.0).
// Of a program without a table they are filled up to where one could begin.
func (f *File) Digest(h hash.Hash) error {
	checksum := f.headerStart + 64
	entry := f.directories + 8*directorySecurity
	end, err := f.end()
	if err != nil {
		return err
	}
	for _, part := range [][2]int64{{0, checksum}, {checksum + 4, entry}, {entry + 8, end}} {
		if _, err := io.Copy(h, io.NewSectionReader(f.r, part[0], part[1]-part[0])); err != nil {
			return err
		}
	}
	if f.certificates.Size == 0 {
		h.Write(make([]byte, (end+7)&^7-end))
	}
	return nil
}

// An adder is a program's checksum: its 16-bit words, little-endian, added with
// the carries, and its length.
type adder struct {
	sum  uint32
	n    uint32
	half byte // the first byte of a word whose second is still to come
}

// Write adds bytes.
func (a *adder) Write(p []byte) (int, error) {
	for _, b := range p {
		if a.n%2 == 0 {
			a.half = b
		} else {
			a.sum += uint32(a.half) | uint32(b)<<8
			a.sum = a.sum&0xffff + a.sum>>16
		}
		a.n++
	}
	return len(p), nil
}

func (a *adder) result() uint32 {
	sum := a.sum
	if a.n%2 == 1 {
		sum += uint32(a.half)
		sum = sum&0xffff + sum>>16
	}
	return sum&0xffff + sum>>16 + a.n
}
