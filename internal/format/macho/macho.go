// Package macho tells whether a macOS program carries somebody's code
// signature.
//
// Every program for Apple silicon has a signature, but the linker's own ("ad
// hoc") names nobody. One by a person has a CMS message in the signature blob;
// that is all this package looks for. Layout: Apple's cs_blobs.h, and loader.h
// for LC_CODE_SIGNATURE. A file is hostile: every offset is checked.
package macho

import (
	"debug/macho"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	loadCodeSignature = 0x1d       // LC_CODE_SIGNATURE
	superBlob         = 0xfade0cc0 // CSMAGIC_EMBEDDED_SIGNATURE
	signatureSlot     = 0x10000    // CSSLOT_SIGNATURESLOT
	maxBlobs          = 64
)

// A File is a macOS program.
type File struct {
	Machines []string // x64, arm64, x86: several in a universal program
	Signed   bool     // by somebody, in one of them at least
}

// Read reads a Mach-O file, thin or universal. What is none is an error of kind
// Invalid.
func Read(r io.ReaderAt) (*File, error) {
	fat, err := macho.NewFatFile(r)
	if err == nil {
		out := &File{}
		for _, part := range fat.Arches {
			section := io.NewSectionReader(r, int64(part.Offset), int64(part.Size))
			if err := out.add(part.File, section, int64(part.Size)); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if !errors.Is(err, macho.ErrNotFat) {
		return nil, invalid("no macOS program: %w", err)
	}
	thin, err := macho.NewFile(r)
	if err != nil {
		return nil, invalid("no macOS program: %w", err)
	}
	out := &File{}
	return out, out.add(thin, r, 1<<40)
}

func (f *File) add(img *macho.File, r io.ReaderAt, size int64) error {
	name, ok := map[macho.Cpu]string{macho.CpuAmd64: "x64", macho.CpuArm64: "arm64", macho.Cpu386: "x86"}[img.Cpu]
	if !ok {
		return invalid("a program for %v, none of x64, arm64, x86", img.Cpu)
	}
	f.Machines = append(f.Machines, name)
	for _, load := range img.Loads {
		raw := load.Raw()
		if len(raw) < 16 || img.ByteOrder.Uint32(raw) != loadCodeSignature {
			continue
		}
		offset, length := int64(img.ByteOrder.Uint32(raw[8:])), int64(img.ByteOrder.Uint32(raw[12:]))
		if offset > size-length {
			return invalid("the code signature lies outside the file")
		}
		signed, err := signedBySomebody(io.NewSectionReader(r, offset, length))
		if err != nil {
			return err
		}
		f.Signed = f.Signed || signed
	}
	return nil
}

// signedBySomebody looks for a CMS message that is not empty among the blobs.
func signedBySomebody(r io.ReaderAt) (bool, error) {
	var head [12]byte // magic, length, count
	if _, err := r.ReadAt(head[:], 0); err != nil || binary.BigEndian.Uint32(head[:]) != superBlob {
		return false, invalid("the code signature is malformed")
	}
	count := binary.BigEndian.Uint32(head[8:])
	if count > maxBlobs {
		return false, invalid("the code signature has %d parts", count)
	}
	for i := range int64(count) {
		var entry [8]byte // slot, offset
		if _, err := r.ReadAt(entry[:], 12+8*i); err != nil {
			return false, invalid("the code signature is cut off")
		}
		if binary.BigEndian.Uint32(entry[:]) != signatureSlot {
			continue
		}
		var blob [8]byte // magic, length of the whole blob
		if _, err := r.ReadAt(blob[:], int64(binary.BigEndian.Uint32(entry[4:]))); err != nil {
			return false, invalid("the code signature is cut off")
		}
		return binary.BigEndian.Uint32(blob[4:]) > 8, nil
	}
	return false, nil
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "macho.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
