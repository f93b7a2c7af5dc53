// Package rpm reads RPM packages: what they say of themselves, what they hold,
// and who signed them.
//
// The layout is "RPM v4 package format" of rpm's manual (rpm.org,
// manual/format_v4.html): a lead, a signature header, the main header, and the
// payload, which is never unpacked: the main header lists its files. Tags are
// those of "RPM Tags" there. A package is hostile: every offset and count is
// checked, headers and what is read of them are capped, and the payload streams
// by when its digest is asked for.
package rpm

import (
	"bytes"
	"crypto/sha1" // the format's own digest; a signature says who made a package, never this
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a package may make the reader hold.
const (
	maxSignatures = 16 << 20 // bytes of the signature header's data
	maxHeader     = 64 << 20 // bytes of the main header's data
	maxIndex      = 4096     // entries of a header
	maxFiles      = 300_000
	maxRelations  = 100_000
)

const leadSize = 96

// A File is what a package says of itself. Texts have no control characters,
// line ends of descriptions and scripts apart.
type File struct {
	Facts       fleet.RPMFacts
	Summary     string
	Description string
	Vendor      string
	Packager    string
	License     string
	URL         string
	OS          string
	SourceRPM   string
	Source      bool  // it is a source package: nothing to install
	Installed   int64 // bytes

	Requires, Provides, Conflicts, Obsoletes []Relation
	Scripts                                  []Script
	Files                                    []Entry

	PayloadFormat     string // cpio
	PayloadCompressor string // gzip, xz, zstd, …
	PayloadDigest     string // hexadecimal, "" in packages of old; CheckPayload compares
	Signatures        []Signature

	signature, header header
	payload           *io.SectionReader
}

// A Relation is one that a package has with others, or an ability: Name, and
// where it is bounded one of <, <=, =, >=, > and a version.
type Relation struct{ Name, Operator, Version string }

// A Script runs around the installation: Name is %pre, %post, %preun, %postun,
// %pretrans, %posttrans, %preuntrans, %postuntrans or %verifyscript, or a kind of
// trigger.
type Script struct {
	Name    string
	Program string // interpreter, the shell where the package names none
	Text    string // "" when the program itself is the script
}

// An Entry is a file that the package installs. Mode are Unix mode bits with the
// type of file; Digest is hexadecimal, "" for what has no content.
type Entry struct {
	Path        string
	Size        int64
	Mode        uint16
	User, Group string
	Link        string // of a symbolic link
	Digest      string
	Config      bool // kept or saved when changed
	Ghost       bool // owned, but not in the payload
}

// Read reads a package, and checks the digests that its signature header states
// of its main header. What is none is an error of kind Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	lead := make([]byte, leadSize)
	if n, err := r.ReadAt(lead, 0); n < leadSize {
		return nil, invalid("no RPM package: it is cut off in its lead (%v)", err)
	}
	if !bytes.HasPrefix(lead, []byte("\xed\xab\xee\xdb")) {
		return nil, invalid("no RPM package: it does not begin with the magic of one")
	}
	if lead[4] != 3 && lead[4] != 4 {
		return nil, invalid("an RPM package of format %d, which is not read", lead[4])
	}
	f := &File{Source: binary.BigEndian.Uint16(lead[6:]) == 1}
	var err error
	if f.signature, err = readHeader(r, leadSize, size, "signature header", maxSignatures); err != nil {
		return nil, err
	}
	at := (f.signature.end + 7) &^ 7 // the main header stands on a boundary of 8
	if f.header, err = readHeader(r, at, size, "main header", maxHeader); err != nil {
		return nil, err
	}
	f.payload = io.NewSectionReader(r, f.header.end, size-f.header.end)
	if err := f.checkHeader(); err != nil {
		return nil, err
	}
	if err := f.readFacts(); err != nil {
		return nil, err
	}
	return f, f.readSignatures()
}

// checkHeader compares the main header with the digests that stand beside it.
func (f *File) checkHeader() error {
	for _, d := range []struct {
		tag  uint32
		name string
		sum  []byte
	}{{sigSHA256, "SHA-256", sum256(f.header.raw)}, {sigSHA1, "SHA-1", sum1(f.header.raw)}} {
		if stated := f.signature.text(d.tag); stated != "" && !strings.EqualFold(stated, hex.EncodeToString(d.sum)) {
			return invalid("offset %d: main header: its %s is not the one that the package states", f.header.at, d.name)
		}
	}
	return nil
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func sum1(b []byte) []byte { s := sha1.Sum(b); return s[:] }

// readFacts takes what is read out of the main header.
func (f *File) readFacts() (err error) {
	h := f.header
	f.Facts = fleet.RPMFacts{Name: h.line(tagName), Version: h.line(tagVersion), Release: h.line(tagRelease), Arch: h.line(tagArch)}
	for _, must := range []string{f.Facts.Name, f.Facts.Version, f.Facts.Release, f.Facts.Arch} {
		if must == "" || strings.ContainsAny(must, " /") {
			return invalid("offset %d: main header: it does not name package, version, release and architecture", h.at)
		}
	}
	if f.Facts.Epoch, err = h.number(tagEpoch); err != nil {
		return err
	}
	f.Source = f.Source || h.has(tagSourcePackage)
	f.Summary, f.Description = h.line(tagSummary), printable(h.text(tagDescription))
	f.Vendor, f.Packager, f.License = h.line(tagVendor), h.line(tagPackager), h.line(tagLicense)
	f.URL, f.OS, f.SourceRPM = h.line(tagURL), h.line(tagOS), h.line(tagSourceRPM)
	f.PayloadFormat, f.PayloadCompressor = h.line(tagPayloadFormat), h.line(tagPayloadCompressor)
	f.PayloadDigest = h.line(tagPayloadDigest)
	size := uint32(tagSize)
	if h.has(tagLongSize) {
		size = tagLongSize
	}
	if f.Installed, err = h.number(size); err != nil {
		return err
	}
	for _, r := range []struct {
		to                    *[]Relation
		names, flags, version uint32
	}{
		{&f.Requires, tagRequireName, tagRequireFlags, tagRequireVersion},
		{&f.Provides, tagProvideName, tagProvideFlags, tagProvideVersion},
		{&f.Conflicts, tagConflictName, tagConflictFlags, tagConflictVersion},
		{&f.Obsoletes, tagObsoleteName, tagObsoleteFlags, tagObsoleteVersion},
	} {
		if *r.to, err = h.relations(r.names, r.flags, r.version); err != nil {
			return err
		}
	}
	if f.Scripts, err = h.scripts(); err != nil {
		return err
	}
	f.Files, err = h.files()
	return err
}

// relations joins the three lists that describe them.
func (h header) relations(names, flags, versions uint32) ([]Relation, error) {
	name, err := h.texts(names, maxRelations)
	if err != nil || len(name) == 0 {
		return nil, err
	}
	version, err := h.texts(versions, maxRelations)
	if err != nil {
		return nil, err
	}
	flag, err := h.numbers(flags, maxRelations)
	if err != nil {
		return nil, err
	}
	if len(version) != len(name) || len(flag) != len(name) {
		return nil, h.fault(names, "there are %d names, %d versions and %d flags", len(name), len(version), len(flag))
	}
	out := make([]Relation, len(name))
	for i := range out {
		// RPMSENSE_LESS, _GREATER and _EQUAL are bits 1 to 3.
		out[i] = Relation{clean(name[i]), []string{"", "<", ">", "<>", "=", "<=", ">=", "<=>"}[flag[i]>>1&7], clean(version[i])}
	}
	return out, nil
}

// scripts are those that the header names, in the order rpm runs them.
func (h header) scripts() ([]Script, error) {
	var out []Script
	for _, s := range []struct {
		name          string
		text, program uint32
	}{
		{"%pretrans", 1151, 1153}, {"%pre", 1023, 1085}, {"%post", 1024, 1086}, {"%posttrans", 1152, 1154},
		{"%preuntrans", 5104, 5106}, {"%preun", 1025, 1087}, {"%postun", 1026, 1088}, {"%postuntrans", 5105, 5107},
		{"%verifyscript", 1079, 1091},
	} {
		if !h.has(s.text) && !h.has(s.program) {
			continue
		}
		out = append(out, Script{s.name, h.interpreter(s.program), printable(h.text(s.text))})
	}
	for _, s := range []struct {
		name           string
		texts, program uint32
	}{{"%trigger", 1065, 1092}, {"%filetrigger", 5066, 5067}, {"%transfiletrigger", 5076, 5077}} {
		texts, err := h.texts(s.texts, maxRelations)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			out = append(out, Script{s.name, h.interpreter(s.program), printable(text)})
		}
	}
	return out, nil
}

// interpreter is the program of a script, which may have arguments.
func (h header) interpreter(tag uint32) string {
	words, err := h.texts(tag, 16)
	if err != nil || len(words) == 0 {
		return "/bin/sh"
	}
	return clean(strings.Join(words, " "))
}

// names are the paths of the package's files: folder and name apart, or whole in
// packages of old.
func (h header) names() ([]string, error) {
	base, err := h.texts(tagBaseNames, maxFiles)
	if err != nil {
		return nil, err
	}
	if len(base) == 0 {
		return h.texts(tagOldFileNames, maxFiles)
	}
	dirs, err := h.texts(tagDirNames, maxFiles)
	if err != nil {
		return nil, err
	}
	index, err := h.numbers(tagDirIndexes, maxFiles)
	if err != nil {
		return nil, err
	}
	if len(index) != len(base) {
		return nil, h.fault(tagBaseNames, "there are %d names in %d folders", len(base), len(index))
	}
	total := 0
	for i, name := range base {
		if index[i] < 0 || index[i] >= int64(len(dirs)) {
			return nil, h.fault(tagDirIndexes, "folder %d is none of %d", index[i], len(dirs))
		}
		// Many names may share a folder of any length.
		if total += len(dirs[index[i]]) + len(name); total > maxHeader {
			return nil, h.fault(tagBaseNames, "the paths have more than %d bytes", maxHeader)
		}
		base[i] = dirs[index[i]] + name
	}
	return base, nil
}

// safe reports whether rpm may unpack to this path: an absolute one that does
// not lead upwards, or in a source package a plain name.
func safe(name string) bool {
	if strings.HasPrefix(name, "/") {
		return name == "/" || path.Clean(name) == strings.TrimSuffix(name, "/")
	}
	return name != "" && name != "." && name != ".." && !strings.Contains(name, "/")
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "rpm.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
