package intunewin

import (
	"bytes"
	"context"
	"crypto/aes"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Package is what a container is made of.
type Package struct {
	Name        string // shown name; the setup file's name where there is no better one
	Description string // left out when empty
	SetupFile   string // the entry that is run
	Entries     []Entry
	MSI         *MSIInfo // for an .msi setup file
	Keys        *Keys    // nil: derived from the entries
}

// Info is what was written.
type Info struct {
	Size            int64 // bytes of the container
	UnencryptedSize int64 // bytes of the inner zip
	Encryption      EncryptionInfo
}

// Write writes the container to w from offset 0, in one pass over the entries.
// The same package gives the same bytes. Entries whose bytes are not those that
// were scanned end it with an error of kind Refused; what w holds is then of no
// use.
func Write(ctx context.Context, w io.WriterAt, p Package) (Info, error) {
	if err := check(p); err != nil {
		return Info{}, err
	}
	keys := p.Keys
	if keys == nil {
		derived, err := Derive(p.SetupFile, p.Entries)
		if err != nil {
			return Info{}, err
		}
		keys = &derived
	}
	inner := newInnerZip(sorted(p.Entries))
	defer inner.Close()
	cipherSize := (inner.size/aes.BlockSize + 1) * aes.BlockSize
	content := zipEntry{name: contentPath, size: prefix + cipherSize}
	start := int64(len(content.local()))

	sealed, err := seal(ctx, io.NewOffsetWriter(w, start+prefix), inner, keys)
	if err != nil {
		return Info{}, err
	}
	encryption := encryptionOf(keys, sealed)
	head := append(bytes.Clone(sealed.mac), keys.IV[:]...)
	content.crc = crcJoin(crc32.ChecksumIEEE(head), sealed.crc, cipherSize)

	text := detectionXML(p, inner.size, encryption)
	detection := zipEntry{name: detectionPath, size: int64(len(text)), crc: crc32.ChecksumIEEE(text), offset: start + content.size}
	tail := append(detection.local(), text...)
	tail = append(tail, directory([]zipEntry{content, detection}, detection.offset+int64(len(tail)))...)
	if _, err := w.WriteAt(append(content.local(), head...), 0); err != nil {
		return Info{}, err
	}
	if _, err := w.WriteAt(tail, detection.offset); err != nil {
		return Info{}, err
	}
	return Info{Size: detection.offset + int64(len(tail)), UnencryptedSize: inner.size, Encryption: encryption}, nil
}

// check refuses a package that could not be installed from.
func check(p Package) error {
	seen := map[string]bool{}
	for _, e := range p.Entries {
		fold := strings.ToLower(e.Name) // Windows does not tell cases apart
		switch {
		case !safeName(e.Name):
			return fleet.Errorf(fleet.Invalid, "intunewin.write", e.Name, "is no relative path inside the setup folder")
		case seen[fold]:
			return fleet.Errorf(fleet.Invalid, "intunewin.write", e.Name, "stands twice in the setup folder")
		}
		seen[fold] = true
	}
	for _, e := range p.Entries {
		if e.Name == p.SetupFile {
			return nil
		}
	}
	return fleet.Errorf(fleet.Invalid, "intunewin.write", p.SetupFile, "the setup file is not among the entries")
}

// safeName reports whether a name stays inside the folder it is unpacked to, on
// Windows as elsewhere.
func safeName(name string) bool {
	return fs.ValidPath(name) && name != "." && len(name) <= 1024 && !strings.ContainsAny(name, "\\:\x00")
}
