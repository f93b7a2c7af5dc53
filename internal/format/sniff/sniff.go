// Package sniff tells what kind of file bytes are from how they begin, as far
// as packmill ships or refuses the kind.
//
// Its main use is to notice that an address which should give an installer
// gives a page for people: a sign-in form, an error, a captive portal.
package sniff

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// A Kind is what bytes are.
type Kind string

// The kinds that are told apart.
const (
	Empty   Kind = "nothing"
	PE      Kind = "a Windows program"
	OLE     Kind = "an MSI package" // or another OLE compound file
	Deb     Kind = "a Debian package"
	RPM     Kind = "an RPM package"
	Zip     Kind = "a zip archive" // also msix, jar, nupkg
	Gzip    Kind = "a gzip archive"
	XZ      Kind = "an xz archive"
	Zstd    Kind = "a zstd archive"
	Bzip2   Kind = "a bzip2 archive"
	Seven   Kind = "a 7z archive"
	Cab     Kind = "a cabinet"
	Tar     Kind = "a tar archive"
	Xar     Kind = "a macOS package"
	DMG     Kind = "a macOS disk image"
	ELF     Kind = "a Linux program"
	MachO   Kind = "a macOS program"
	HTML    Kind = "an HTML page"
	JSON    Kind = "a JSON document"
	XML     Kind = "an XML document"
	Script  Kind = "a script"
	Unknown Kind = "of an unknown kind"
)

// Window is how many leading bytes Bytes looks at.
const Window = 1024

// magics are the kinds that a fixed byte string at a fixed place tells.
func magics() []struct {
	at   int
	text string
	kind Kind
} {
	return []struct {
		at   int
		text string
		kind Kind
	}{
		{0, "MZ", PE},
		{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE},
		{0, "!<arch>\ndebian-binary", Deb},
		{0, "\xed\xab\xee\xdb", RPM},
		{0, "PK\x03\x04", Zip},
		{0, "PK\x05\x06", Zip},
		{0, "\x1f\x8b", Gzip},
		{0, "\xfd7zXZ\x00", XZ},
		{0, "\x28\xb5\x2f\xfd", Zstd},
		{0, "BZh", Bzip2},
		{0, "MSCF\x00\x00\x00\x00", Cab},
		{0, "7z\xbc\xaf\x27\x1c", Seven},
		{257, "ustar", Tar},
		{0, "xar!", Xar},
		{0, "\x7fELF", ELF},
		{0, "\xcf\xfa\xed\xfe", MachO},
		{0, "\xca\xfe\xba\xbe", MachO},
		{0, "#!", Script},
	}
}

// Bytes tells the kind of a file from its first bytes, Window of them if there
// are as many. A disk image has its mark at the end; Tail tells it.
func Bytes(head []byte) Kind {
	if len(head) == 0 {
		return Empty
	}
	for _, m := range magics() {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.text)) {
			return m.kind
		}
	}
	return text(head)
}

// File tells the kind of a file by how it begins and how it ends.
func File(r io.ReaderAt, size int64) (Kind, error) {
	head := make([]byte, min(size, Window))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	kind := Bytes(head)
	if size < trailer {
		return kind, nil
	}
	tail := make([]byte, trailer)
	if _, err := r.ReadAt(tail, size-trailer); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return Tail(kind, tail), nil
}

// Advice is what to do with a file of a kind that is not read, "" for others. A
// console distributes a disk image, but nothing off a Mac can tell what is in one:
// its compression and file system are not read here. A package that says type
// "dmg" names the application itself.
func (k Kind) Advice() string {
	if k != DMG {
		return ""
	}
	return "disk images are not read: take the vendor's .pkg, which many offer for managed devices beside the image; " +
		"where there is none, open the image on a Mac, make a package of the application in it " +
		"(pkgbuild --component Tool.app --install-location /Applications Tool.pkg), sign that, and hand it in as an upload; " +
		"or state type \"dmg\" and the application's bundle in the package"
}

// trailer is how many bytes a disk image ends with.
const trailer = 512

// Tail refines a kind by the file's last 512 bytes.
func Tail(kind Kind, tail []byte) Kind {
	if len(tail) >= trailer && bytes.HasPrefix(tail[len(tail)-trailer:], []byte("koly")) {
		return DMG
	}
	return kind
}

// text tells documents apart; a page may begin with a comment or a declaration.
func text(head []byte) Kind {
	s := strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), Window)]), "\ufeff"), " \t\r\n")
	for strings.HasPrefix(s, "<!--") {
		_, after, closed := strings.Cut(s, "-->")
		if !closed {
			break
		}
		s = strings.TrimLeft(after, " \t\r\n")
	}
	lower := strings.ToLower(s)
	switch {
	case strings.HasPrefix(lower, "<?xml"):
		if strings.Contains(lower, "<html") || strings.Contains(lower, "<!doctype html") {
			return HTML
		}
		return XML
	case strings.HasPrefix(s, "{"), strings.HasPrefix(s, "["):
		return JSON
	}
	for _, mark := range []string{"<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta", "<!--"} {
		if strings.HasPrefix(lower, mark) {
			return HTML
		}
	}
	return Unknown
}

// Fits reports whether a file of this kind may be an installer of the given
// type (msi, exe, msix, pkg, dmg, deb, rpm, portable); a type that has no kind of
// its own takes anything but a page, a document or nothing.
func (k Kind) Fits(installerType string) bool {
	switch installerType {
	case "msi":
		return k == OLE
	case "exe":
		return k == PE
	case "msix":
		return k == Zip
	case "pkg":
		return k == Xar
	case "dmg":
		return k == DMG
	case "deb":
		return k == Deb
	case "rpm":
		return k == RPM
	case "portable":
		return k == PE || k == ELF || k == MachO || k == Zip
	default:
		return k != HTML && k != Empty
	}
}
