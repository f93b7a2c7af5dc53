// Package msix reads app packages of Windows, MSIX and AppX, and bundles of them:
// a zip with AppxManifest.xml or AppxMetadata/AppxBundleManifest.xml.
//
// The manifests are those of Microsoft's "App package manifest" and "Bundle
// manifest" schema references, the files around them those of "App package
// architecture". A package is hostile: its directory, its names and the files
// that are read are capped, and nothing else of it is unpacked.
package msix

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a package may make the reader hold.
const (
	maxDirectory = 16 << 20 // bytes read to list the members
	maxMembers   = 200_000
	maxManifest  = 4 << 20
	maxSignature = 4 << 20
	maxListed    = 10_000 // capabilities, applications, contained packages
)

// The members that this package reads or looks for.
const (
	fileManifest  = "AppxManifest.xml"
	fileBundle    = "AppxMetadata/AppxBundleManifest.xml"
	fileSignature = "AppxSignature.p7x"
	fileBlockMap  = "AppxBlockMap.xml"
)

// A File is what a package or a bundle says of itself. Texts have no control
// characters. A text that begins with "ms-resource:" stands in a resource file,
// which is not read.
type File struct {
	Bundle    bool
	Name      string // of the identity
	Publisher string // subject of the certificate that signs it
	Version   string // four numbers
	Arch      string // x64, x86, arm64, arm, neutral; "" for a bundle
	Resource  string // resource id, "" mostly

	DisplayName      string
	PublisherDisplay string
	Description      string
	Targets          []Target
	Capabilities     []string // in the manifest's order, without their namespaces
	Applications     []Application
	Packages         []Contained // of a bundle

	// Signature is AppxSignature.p7x as it is: "PKCX" and a PKCS #7 SignedData; nil
	// when unsigned.
	Signature []byte
	BlockMap  bool // the digests that a signature covers are there
	Members   int

	r   io.ReaderAt
	zip *zip.Reader
}

// A Target is a family of devices that may have the package: Windows.Desktop,
// Windows.Universal; and its lowest and highest tested system version.
type Target struct{ Family, Min, MaxTested string }

// An Application is one that the package puts into the start menu.
type Application struct{ ID, Executable, EntryPoint, DisplayName string }

// A Contained is a package within a bundle.
type Contained struct {
	Member   string // its name in the bundle, for Inner
	Type     string // application, resource
	Version  string
	Arch     string
	Resource string
	Targets  []Target
}

// Read reads a package or a bundle. What is none is an error of kind Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	z, err := open(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{Members: len(z.File), r: r, zip: z}
	if err := f.checkNames(); err != nil {
		return nil, err
	}
	f.BlockMap = f.member(fileBlockMap) != nil
	text, err := f.load(fileBundle, maxManifest)
	if err == nil {
		f.Bundle = true
		err = f.parseBundle(text)
	} else if errors.Is(err, fs.ErrNotExist) {
		if text, err = f.load(fileManifest, maxManifest); err == nil {
			err = f.parsePackage(text)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, invalid("no app package: it has neither %s nor %s", fileManifest, fileBundle)
	case err != nil:
		return nil, err
	}
	f.Signature, err = f.load(fileSignature, maxSignature)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Signature = nil
	case err != nil:
		return nil, err
	case !strings.HasPrefix(string(f.Signature), "PKCX"):
		return nil, invalid("%s does not begin with PKCX", fileSignature)
	}
	return f, nil
}

// Inner reads a package that a bundle stores. Bundles do not compress them.
func (f *File) Inner(c Contained) (*File, error) {
	m := f.member(c.Member)
	if !f.Bundle || m == nil || m.Method != zip.Store || m.CompressedSize64 != m.UncompressedSize64 || m.UncompressedSize64 > 1<<62 {
		return nil, invalid("%s is no package that the bundle stores", c.Member)
	}
	at, err := m.DataOffset()
	if err != nil {
		return nil, invalid("%s: %w", c.Member, err)
	}
	return Read(io.NewSectionReader(f.r, at, int64(m.UncompressedSize64)), int64(m.UncompressedSize64))
}

// checkNames refuses what Windows would not unpack, or twice to one place:
// names are compared without case there.
func (f *File) checkNames() error {
	seen := make(map[string]bool, len(f.zip.File))
	for _, m := range f.zip.File {
		name := strings.ToLower(m.Name)
		switch {
		case !fs.ValidPath(strings.TrimSuffix(m.Name, "/")) || strings.ContainsAny(m.Name, "\\:\x00"):
			return invalid("member %.100q has a name that leads elsewhere", m.Name)
		case seen[name]:
			return invalid("member %.100q stands twice in the package", m.Name)
		case m.Flags&1 != 0:
			return invalid("member %.100q is encrypted", m.Name)
		}
		seen[name] = true
	}
	return nil
}

// member finds a member by its name; Windows compares them without case.
func (f *File) member(name string) *zip.File {
	for _, m := range f.zip.File {
		if strings.EqualFold(m.Name, name) {
			return m
		}
	}
	return nil
}

// load unpacks a small member; fs.ErrNotExist when there is none.
func (f *File) load(name string, limit int64) ([]byte, error) {
	m := f.member(name)
	if m == nil {
		return nil, fs.ErrNotExist
	}
	if m.UncompressedSize64 > uint64(limit) {
		return nil, invalid("%s has %d bytes", name, m.UncompressedSize64)
	}
	in, err := m.Open()
	if err != nil {
		return nil, invalid("%s: %w", name, err)
	}
	defer in.Close()
	// The size that the directory states is not believed.
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil || int64(len(text)) > limit {
		return nil, invalid("%s cannot be unpacked or is too long (%v)", name, err)
	}
	return text, nil
}

// PublisherID is the thirteen characters by which Windows names a publisher in
// folders and families: the first eight bytes of the SHA-256 of its subject in
// UTF-16, in Crockford's base 32 ("An overview of Package Identity in Windows
// apps", Microsoft; withinrafael.com/2018/01/28 for the arithmetic).
func PublisherID(publisher string) string {
	var text []byte
	for _, u := range utf16.Encode([]rune(publisher)) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	sum := sha256.Sum256(text)
	return base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(sum[:8])
}

// Family is the package family name: what detection and removal go by.
func (f *File) Family() string { return f.Name + "_" + PublisherID(f.Publisher) }

// FullName is the package full name, which one version and architecture has. A
// bundle's counts as neutral.
func (f *File) FullName() string {
	arch, resource := f.Arch, f.Resource
	if f.Bundle {
		arch, resource = "neutral", "~"
	}
	return strings.Join([]string{f.Name, f.Version, arch, resource, PublisherID(f.Publisher)}, "_")
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "msix.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
