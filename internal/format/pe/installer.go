package pe

import (
	"bytes"

	"github.com/packmill/packmill/internal/fleet"
)

// An Installer is what made a program that installs another.
type Installer struct {
	// Kind is told by the structure of the file and never by its name. Its
	// Switches are what to propose.
	Kind fleet.InstallerKind
	// Version is that of Inno Setup's data ("6.2.0"), of a Burn section ("2") or
	// of NSIS as its manifest has it ("3.08"); "" where nothing tells.
	Version string
	// Bundle is a Burn bundle's id, a GUID in braces: the name of its key below
	// Uninstall.
	Bundle string
	// Payload is the name of the MSI that an InstallShield setup carries.
	Payload string

	missing int64 // bytes that it states and that are not there
}

// installer tells the kinds apart by their marks. Each mark is described, with
// its source, where it is looked for.
func (f *File) installer(t resources) Installer {
	overlay := f.overlay()
	for _, look := range []func() (Installer, bool){
		f.burn,
		func() (Installer, bool) { return f.inno(t) },
		func() (Installer, bool) { return f.nsis(t, overlay) },
		func() (Installer, bool) { return installShield(overlay) },
		func() (Installer, bool) { return advanced(overlay) },
		func() (Installer, bool) { return f.squirrel(t) },
		func() (Installer, bool) { return f.msix(t, overlay) },
		func() (Installer, bool) { return sevenZip(overlay) },
	} {
		if found, ok := look(); ok {
			return found
		}
	}
	return Installer{Kind: fleet.InstallerNone}
}

// A span is a part of the file.
type span struct {
	f        *File
	from, to int64
}

// overlay is what stands behind the sections and is never loaded: where most
// installers keep what they install. A signature is no part of it.
func (f *File) overlay() span {
	s := span{f, 0, f.size}
	for _, part := range f.Sections {
		if part.Size > 0 {
			s.from = max(s.from, int64(part.Offset)+int64(part.Size))
		}
	}
	if at := int64(f.certificates.VirtualAddress); f.certificates.Size > 0 && at >= s.from {
		s.to = min(s.to, at)
	}
	s.from = min(s.from, s.to)
	return s
}

// part is n bytes at an offset of the span, fewer at its end, nil outside.
func (s span) part(at, n int64) []byte {
	if at < 0 || at >= s.to-s.from {
		return nil
	}
	b := make([]byte, min(n, s.to-s.from-at))
	got, _ := s.f.r.ReadAt(b, s.from+at)
	return b[:got]
}

func (s span) begins(mark string) bool {
	return bytes.Equal(s.part(0, int64(len(mark))), []byte(mark))
}

// sub is the span from an offset on.
func (s span) sub(at int64) span {
	s.from = min(s.from+at, s.to)
	return s
}

// whole is the file as a span.
func (f *File) whole() span { return span{f, 0, f.size} }
