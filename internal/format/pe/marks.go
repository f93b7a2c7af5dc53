package pe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// burn looks for the section .wixburn, which begins with the magic 0x00f14300, a
// version and the bundle's id (github.com/wixtoolset/wix3,
// src/burn/stub/StubSection.cpp).
func (f *File) burn() (Installer, bool) {
	for _, s := range f.Sections {
		if s.Name != ".wixburn" {
			continue
		}
		head := f.whole().part(int64(s.Offset), 24)
		if len(head) < 24 || binary.LittleEndian.Uint32(head) != 0x00f14300 {
			continue
		}
		return Installer{Kind: fleet.InstallerBurn, Version: strconv.Itoa(int(binary.LittleEndian.Uint32(head[4:]))), Bundle: guid(head[8:])}, true
	}
	return Installer{}, false
}

// guid is a GUID as Windows stores it: its first three groups are numbers.
func guid(b []byte) string {
	return fmt.Sprintf("{%08X-%04X-%04X-%X-%X}", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
}

// Inno Setup's loader finds its data by a table with an identification of twelve
// bytes: since 5.1.5 in resource 11111 of RT_RCDATA, before that where a pointer
// at offset 0x30 says (github.com/dscharrer/innoextract, src/loader/offsets.cpp;
// TSetupLdrOffsetTable of github.com/jrsoftware/issrc, where revision 2 has
// 64-bit offsets).
const (
	innoTable   = 11111
	innoPointer = 0x30
	innoNew     = "rDlPtS\xcd\xe6\xd7{\x0b*"
)

var innoOld = regexp.MustCompile(`^rDlPtS0[24567]\x{87}eVx`)

// innoData is what the data begin with, in 64 bytes: "Inno Setup Setup Data
// (6.2.0)", with " (u)" behind it in some versions.
var innoData = regexp.MustCompile(`^Inno Setup Setup Data \(([0-9]+(?:\.[0-9]+){1,3}[a-z]?)\)`)

func (f *File) inno(t resources) (Installer, bool) {
	found := Installer{Kind: fleet.InstallerInno}
	table := t.load(key{id: typeData}, key{id: innoTable}, 4096)
	if !bytes.HasPrefix(table, []byte(innoNew)) {
		return found, f.innoLegacy()
	}
	var at int64
	switch {
	case len(table) >= 44 && binary.LittleEndian.Uint32(table[12:]) == 1:
		if crc32.ChecksumIEEE(table[:40]) != binary.LittleEndian.Uint32(table[40:]) {
			return found, false
		}
		at = int64(binary.LittleEndian.Uint32(table[32:]))
	case len(table) >= 56 && binary.LittleEndian.Uint32(table[12:]) == 2:
		at = int64(binary.LittleEndian.Uint64(table[40:]))
	}
	if m := innoData.FindSubmatch(f.whole().part(at, 64)); m != nil {
		found.Version = string(m[1])
	}
	return found, true
}

// innoLegacy follows the pointer of versions before 5.1.5: "Inno", an offset, and
// its complement.
func (f *File) innoLegacy() bool {
	head := f.whole().part(innoPointer, 12)
	if len(head) < 12 || string(head[:4]) != "Inno" {
		return false
	}
	at := binary.LittleEndian.Uint32(head[4:])
	if at != ^binary.LittleEndian.Uint32(head[8:]) {
		return false
	}
	id := f.whole().part(int64(at), 12)
	return innoOld.Match(latin1(id)) || bytes.HasPrefix(id, []byte(innoNew))
}

// latin1 makes bytes text for a regular expression, a character a byte.
func latin1(b []byte) []byte {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return []byte(string(runes))
}

// nsisMark is the signature in NSIS's first header, behind four bytes of flags:
// 0xDEADBEEF and "NullsoftInst" (github.com/kichik/nsis,
// Source/exehead/fileform.h).
const nsisMark = "\xef\xbe\xad\xdeNullsoftInst"

var nsisVersion = regexp.MustCompile(`Nullsoft Install System v?([0-9][0-9A-Za-z.+-]{0,31})`)

// nsis looks where NSIS's own program looks: it reads itself in blocks of 512
// bytes until one is the first header. What stands before the overlay are its
// sections.
func (f *File) nsis(t resources, overlay span) (Installer, bool) {
	const block, blocks = 512, 64
	start := (overlay.from+block-1)/block*block - overlay.from
	window := overlay.part(start, block*blocks)
	for at := 0; at < len(window); at += block {
		if len(window) < at+4+len(nsisMark) || string(window[at+4:at+4+len(nsisMark)]) != nsisMark {
			continue
		}
		found := Installer{Kind: fleet.InstallerNSIS}
		// length_of_all_following_data counts from the header's own beginning.
		const lengthAt = 4 + 16 + 4
		if len(window) >= at+lengthAt+4 {
			stated := int64(binary.LittleEndian.Uint32(window[at+lengthAt:]))
			found.missing = max(0, stated-(overlay.to-overlay.from-start-int64(at)))
		}
		manifest := t.load(key{id: typeManifest}, key{any: true}, maxResource)
		if m := nsisVersion.FindSubmatch(manifest); m != nil {
			found.Version = string(m[1])
		}
		return found, true
	}
	return Installer{}, false
}

// advanced looks for the footer of Advanced Installer: ten numbers and a hash,
// of which the signature "ADVINSTSFX" stands at byte 64, behind 32 hexadecimal
// digits at 28, and the file's own footer offset among the first (described by
// github.com/SabreTools/SabreTools.Serialization, AdvancedInstaller/Footer.cs).
func advanced(overlay span) (Installer, bool) {
	const window, signature, hexAt = 10_000, 64, 28
	size := overlay.to - overlay.from
	tail := overlay.part(max(0, size-window), window)
	for end := len(tail); end > 0; {
		at := bytes.LastIndex(tail[:end], []byte("ADVINSTSFX"))
		if at < signature {
			return Installer{}, false
		}
		if hexDigits(tail[at-signature+hexAt : at-signature+hexAt+32]) {
			return Installer{Kind: fleet.InstallerAdvanced}, true
		}
		end = at
	}
	return Installer{}, false
}

func hexDigits(b []byte) bool {
	return len(bytes.Trim(b, "0123456789abcdefABCDEF")) == 0
}

// squirrel looks for resource 131 of type "DATA", the zip with Update.exe and the
// package that Squirrel.Windows' Setup.exe unpacks to SquirrelTemp
// (github.com/Squirrel/Squirrel.Windows, src/Setup/UpdateRunner.cpp and
// src/WriteZipToSetup). Others call a zip 131 too, so that it must name
// Update.exe.
func (f *File) squirrel(t resources) (Installer, bool) {
	at, length, found, err := t.find(key{name: "DATA"}, key{id: 131})
	place, ok := t.place(at, int64(length))
	if err != nil || !found || !ok {
		return Installer{}, false
	}
	names := zipNames(span{f, place, place + int64(length)})
	for _, name := range names {
		if strings.EqualFold(name, "Update.exe") {
			return Installer{Kind: fleet.InstallerSquirrel}, true
		}
	}
	return Installer{}, false
}

// msix looks for a program that carries an app package: behind its sections, or
// as RT_RCDATA, a zip with the footprint files of one ("App packages and
// deployment" and "App bundles", Microsoft's documentation). No vendor documents
// a mark of its bootstrapper.
func (f *File) msix(t resources, overlay span) (Installer, bool) {
	parts := []span{overlay}
	if at, length, found, err := t.find(key{id: typeData}, key{any: true}); err == nil && found {
		if place, ok := t.place(at, int64(length)); ok {
			parts = append(parts, span{f, place, place + int64(length)})
		}
	}
	for _, part := range parts {
		for _, name := range zipNames(part) {
			if name == "AppxManifest.xml" || name == "AppxMetadata/AppxBundleManifest.xml" {
				return Installer{Kind: fleet.InstallerMSIX}, true
			}
		}
	}
	return Installer{}, false
}

// sevenZip looks for a 7z archive behind the program, with the configuration of
// an installer before it or not (7-zip.org, LZMA SDK, DOC/installer.txt and
// DOC/7zFormat.txt).
func sevenZip(overlay span) (Installer, bool) {
	const config, end, archive = ";!@Install@!UTF-8!", ";!@InstallEnd@!", "7z\xbc\xaf\x27\x1c"
	head := bytes.TrimPrefix(overlay.part(0, 64<<10), []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(head, []byte(config)) {
		_, after, found := bytes.Cut(head, []byte(end))
		if !found {
			return Installer{}, false
		}
		head = bytes.TrimLeft(after, "\r\n")
	}
	return Installer{Kind: fleet.InstallerSevenZip}, bytes.HasPrefix(head, []byte(archive))
}
