// Package macho reads the code signature of a macOS program: who it says it is,
// what was signed, and whether the program is still what was signed.
//
// Every program for Apple silicon has a signature, but the linker's own ("ad
// hoc") names nobody. One by a person has a CMS message over the code directory,
// which holds a digest of each page of the file. Read gives both, for each
// machine of a universal program; CheckPages compares the pages; whether the
// message is the signer's is proven by package applesign. Then nothing that the
// system loads can have been altered.
//
// Layout: Apple's cs_blobs.h, and loader.h for LC_CODE_SIGNATURE. A file is
// hostile: every offset is checked, what is held is capped. Where several code
// directories stand beside each other, the first counts: the message is over it,
// and the others are alternatives for older or newer systems.
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
	loadCodeSignature = 0x1d // LC_CODE_SIGNATURE
	maxMachines       = 16
)

// A File is a macOS program.
type File struct {
	Machines []string // x64, arm64, x86: several in a universal program
	Signed   bool     // by somebody, in one of them at least
	Parts    []Part   // one for each machine, in that order
}

// A Part is the program for one machine.
type Part struct {
	Machine   string
	Signature *Signature // nil where there is none at all

	code *io.SectionReader // of this part
}

// Read reads a Mach-O file, thin or universal, without its pages. What is none is
// an error of kind Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	var head [8]byte // for a universal program: magic, number of machines
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, invalid("offset 0: no macOS program")
	}
	be := binary.BigEndian
	if be.Uint32(head[:]) == macho.MagicFat && be.Uint32(head[4:]) > maxMachines {
		return nil, invalid("offset 4: no macOS program: one for %d machines", be.Uint32(head[4:]))
	}
	fat, err := macho.NewFatFile(r)
	if err == nil {
		out := &File{}
		for _, part := range fat.Arches {
			offset, length := int64(part.Offset), int64(part.Size)
			if offset > size-length {
				return nil, invalid("offset %d: a part of %d bytes in a file of %d", offset, length, size)
			}
			if err := out.add(part.File, io.NewSectionReader(r, offset, length)); err != nil {
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
	return out, out.add(thin, io.NewSectionReader(r, 0, size))
}

func (f *File) add(img *macho.File, code *io.SectionReader) error {
	name, ok := map[macho.Cpu]string{macho.CpuAmd64: "x64", macho.CpuArm64: "arm64", macho.Cpu386: "x86"}[img.Cpu]
	if !ok {
		return invalid("a program for %v, none of x64, arm64, x86", img.Cpu)
	}
	part := Part{Machine: name, code: code}
	for _, load := range img.Loads {
		raw := load.Raw()
		if len(raw) < 16 || img.ByteOrder.Uint32(raw) != loadCodeSignature {
			continue
		}
		if part.Signature != nil {
			return invalid("the program for %s has two code signatures", name)
		}
		offset, length := int64(img.ByteOrder.Uint32(raw[8:])), int64(img.ByteOrder.Uint32(raw[12:]))
		if offset > code.Size()-length {
			return invalid("offset %d of the program for %s: the code signature lies outside the file", offset, name)
		}
		s, err := readSignature(code, offset, length)
		if err != nil {
			return err
		}
		part.Signature = s
		f.Signed = f.Signed || s.CMS != nil
	}
	f.Machines, f.Parts = append(f.Machines, name), append(f.Parts, part)
	return nil
}

// CheckPages reads all parts and compares them with their code directories. A
// part without a signature, or whose bytes are not what was signed, is an error
// of kind Refused.
func (f *File) CheckPages() error {
	for _, p := range f.Parts {
		if p.Signature == nil {
			return refused("the program for %s has no signature", p.Machine)
		}
		if err := p.Signature.check(p.code); err != nil {
			return fmt.Errorf("the program for %s: %w", p.Machine, err)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "macho.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &fleet.Error{Op: "macho.check", Kind: fleet.Refused, Err: fmt.Errorf(format, args...)}
}
