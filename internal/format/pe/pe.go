package pe

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// Indexes of data directories.
const (
	directoryResource = 2
	directorySecurity = 4
	directoryCLR      = 14 // present in programs of .NET
)

// Caps on what a file may make the reader hold.
const (
	maxSections  = 96 // what the Windows loader takes
	maxSymbols   = 1 << 20
	maxSignature = 4 << 20
	maxResource  = 256 << 10 // bytes of a version resource, and of a manifest
)

// A File is a Windows program or library. Texts are as the version resource has
// them, without control characters, and "" where it has none.
type File struct {
	Facts        fleet.PEFacts
	Company      string // CompanyName
	Copyright    string // LegalCopyright
	Description  string // FileDescription
	OriginalName string // OriginalFilename
	InternalName string

	// Execution is the level that the manifest asks for: asInvoker,
	// highestAvailable or requireAdministrator; "" when it asks for none.
	Execution string
	DotNet    bool // it runs on .NET
	Sections  []Section
	Installer Installer

	Signature []byte // PKCS #7 SignedData of the certificate table, nil when unsigned

	r            io.ReaderAt
	size         int64
	headerStart  int64 // of the optional header
	directories  int64 // file offset of the data directories
	certificates pe.DataDirectory
	hasSecurity  bool // there is a directory entry for them
}

// A Section is a part of the program as it is loaded. Its bytes stand at Offset
// in the file.
type Section struct {
	Name            string
	Address, Memory uint32 // where it is loaded, relative to the image, and bytes there
	Offset, Size    uint32 // in the file
}

// Read reads a PE file. What is none is an error of kind Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	if err := f.checkHeader(); err != nil {
		return nil, err
	}
	img, err := pe.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, invalid("no PE file: %w", err)
	}
	if f.Facts.Machine, err = machine(img.Machine); err != nil {
		return nil, err
	}
	for _, s := range img.Sections {
		f.Sections = append(f.Sections, Section{clean(s.Name), s.VirtualAddress, s.VirtualSize, s.Offset, s.Size})
	}
	directories, err := f.dataDirectories(img)
	if err != nil {
		return nil, err
	}
	if f.hasSecurity = len(directories) > directorySecurity; f.hasSecurity {
		f.certificates = directories[directorySecurity]
		if f.Signature, err = f.signature(); err != nil {
			return nil, err
		}
	}
	f.DotNet = len(directories) > directoryCLR && directories[directoryCLR].Size > 0
	tree := resources{sections: f.Sections, r: r, size: size}
	if len(directories) > directoryResource && directories[directoryResource].Size > 0 {
		tree.root = directories[directoryResource].VirtualAddress
		v, err := findVersion(tree)
		if err != nil {
			return nil, err
		}
		v.fill(f)
		f.Execution = executionLevel(tree)
	}
	f.Installer = f.installer(tree)
	if f.Installer.missing > 0 {
		return nil, invalid("offset %d: the installer is cut off: its header states %d bytes more than there are", f.size, f.Installer.missing)
	}
	return f, nil
}

// checkHeader refuses what debug/pe would take without being a Windows program
// (bare COFF objects), and counts that would make it read without end.
func (f *File) checkHeader() error {
	var dos [64]byte
	if _, err := f.r.ReadAt(dos[:], 0); err != nil || dos[0] != 'M' || dos[1] != 'Z' {
		return invalid("no PE file: it does not begin with MZ")
	}
	at := int64(binary.LittleEndian.Uint32(dos[60:]))
	var coff [24]byte
	if at > f.size-24 {
		return invalid("no PE file: its header lies outside the file")
	}
	if _, err := f.r.ReadAt(coff[:], at); err != nil || string(coff[:4]) != "PE\x00\x00" {
		return invalid("no PE file: a DOS program")
	}
	if n := binary.LittleEndian.Uint16(coff[6:]); n > maxSections {
		return invalid("no PE file: %d sections", n)
	}
	if n := binary.LittleEndian.Uint32(coff[16:]); n > maxSymbols {
		return invalid("no PE file: %d symbols", n)
	}
	f.headerStart = at + 24
	return nil
}

func machine(m uint16) (string, error) {
	switch m {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "x64", nil
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "arm64", nil
	case pe.IMAGE_FILE_MACHINE_I386:
		return "x86", nil
	default:
		return "", invalid("a program for machine %#04x, none of x64, arm64, x86", m)
	}
}

func (f *File) dataDirectories(img *pe.File) ([]pe.DataDirectory, error) {
	switch h := img.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		f.directories = f.headerStart + 96
		return h.DataDirectory[:min(h.NumberOfRvaAndSizes, 16)], nil
	case *pe.OptionalHeader64:
		f.directories = f.headerStart + 112
		return h.DataDirectory[:min(h.NumberOfRvaAndSizes, 16)], nil
	default:
		return nil, invalid("no Windows program: it has no optional header")
	}
}

// signature is the first PKCS #7 entry of the certificate table, whose
// "virtual address" is a file offset.
func (f *File) signature() ([]byte, error) {
	at, size := int64(f.certificates.VirtualAddress), int64(f.certificates.Size)
	if size == 0 {
		return nil, nil
	}
	if size > maxSignature || size < 8 || at > f.size-size || at == 0 {
		return nil, invalid("the certificate table lies outside the file")
	}
	table := make([]byte, size)
	if _, err := f.r.ReadAt(table, at); err != nil {
		return nil, err
	}
	for len(table) >= 8 {
		length := int64(binary.LittleEndian.Uint32(table))
		kind := binary.LittleEndian.Uint16(table[6:])
		if length < 8 || length > int64(len(table)) {
			return nil, invalid("the certificate table is cut off")
		}
		if kind == 2 { // WIN_CERT_TYPE_PKCS_SIGNED_DATA
			return table[8:length], nil
		}
		table = table[min((length+7)&^7, int64(len(table))):]
	}
	return nil, nil
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "pe.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
