package pe

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a payload's table of contents may make the reader do.
const (
	maxShieldFiles = 4096
	maxZipNames    = 20_000
	maxZipList     = 4 << 20 // bytes of a zip's central directory
)

// installShield reads the list of files behind an InstallShield setup program:
// a header of 46 bytes, "InstallShield" or "ISSetupStream", the number of files
// at 14 and a type at 16, then each file behind its attributes
// (github.com/lifenjoiner/ISx, ISx.c). A debug record "NB10" may stand before
// it. An MSI among the files is what the setup installs.
func installShield(overlay span) (Installer, bool) {
	const header = 46
	if overlay.begins("NB10") {
		// Signature, offset, time, age, and the name of a file that ends with a zero.
		name := overlay.part(16, 1024)
		end := bytes.IndexByte(name, 0)
		if end < 0 {
			return Installer{}, false
		}
		overlay = overlay.sub(16 + int64(end) + 1)
	}
	stream := overlay.begins("ISSetupStream\x00")
	if !stream && !overlay.begins("InstallShield\x00") {
		return Installer{}, false
	}
	head := overlay.part(0, header)
	if len(head) < header {
		return Installer{}, false
	}
	found := Installer{Kind: fleet.InstallerInstallShield}
	files, at := int(binary.LittleEndian.Uint16(head[14:])), int64(header)
	for range min(files, maxShieldFiles) {
		name, length, next := shieldFile(overlay, at, stream, head[16] == 4)
		if name == "" {
			break
		}
		if strings.HasSuffix(strings.ToLower(name), ".msi") && found.Payload == "" {
			found.Kind, found.Payload = fleet.InstallerInstallShieldMSI, name
		}
		at = next + length
	}
	return found, true
}

// shieldFile is the file whose attributes stand at an offset, and where its
// content begins; its name is "" when that is no file.
func shieldFile(s span, at int64, stream, wide bool) (name string, length, next int64) {
	const plainAttributes, streamAttributes, nameSize = 312, 24, 260
	if !stream {
		a := s.part(at, plainAttributes)
		if len(a) < plainAttributes {
			return "", 0, 0
		}
		text, _, ends := bytes.Cut(a[:nameSize], []byte{0})
		if !ends {
			return "", 0, 0
		}
		return clean(string(text)), int64(binary.LittleEndian.Uint32(a[nameSize+8:])), at + plainAttributes
	}
	a := s.part(at, streamAttributes)
	if len(a) < streamAttributes {
		return "", 0, 0
	}
	at += streamAttributes
	if wide {
		at += streamAttributes // more of the like, which nothing here needs
	}
	chars := int64(binary.LittleEndian.Uint32(a))
	if chars >= 2*nameSize {
		return "", 0, 0
	}
	text, _, _ := utf16z(s.part(at, chars))
	return clean(text), int64(binary.LittleEndian.Uint32(a[10:])), at + chars
}

// zipNames are the names in the central directory of a zip that fills the span,
// nil when it is none: PKWARE's APPNOTE, sections 4.3.12 and 4.3.16. A Zip64
// directory is not followed: its payload is above 4 GiB, which no program is.
func zipNames(s span) []string {
	const endRecord, entry = 22, 46
	size := s.to - s.from
	if !s.begins("PK\x03\x04") {
		return nil
	}
	tail := s.part(max(0, size-endRecord-1<<16), endRecord+1<<16)
	end := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if end < 0 || len(tail)-end < endRecord {
		return nil
	}
	length, at := int64(binary.LittleEndian.Uint32(tail[end+12:])), int64(binary.LittleEndian.Uint32(tail[end+16:]))
	if length > maxZipList {
		return nil
	}
	list := s.part(at, length)
	var names []string
	for len(list) >= entry && bytes.HasPrefix(list, []byte("PK\x01\x02")) && len(names) < maxZipNames {
		name, extra, comment := int(binary.LittleEndian.Uint16(list[28:])), int(binary.LittleEndian.Uint16(list[30:])), int(binary.LittleEndian.Uint16(list[32:]))
		if len(list) < entry+name+extra+comment {
			break
		}
		names = append(names, string(list[entry:entry+name]))
		list = list[entry+name+extra+comment:]
	}
	return names
}
