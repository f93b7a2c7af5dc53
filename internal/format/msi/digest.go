package msi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/richardlehane/mscfb"
)

// Digest writes to h the bytes that an Authenticode signature of an MSI covers:
// the contents of all streams but the signature's own, in the order of their
// raw names, storages after their contents by class id; before them all the
// extended digest of names and times, where the signature has one. That
// extended digest itself is not computed again.
func (f *File) Digest(h hash.Hash) error {
	extended, err := f.container.readAll(digestStream, maxSignature)
	if err == nil {
		h.Write(extended)
	} else if !errors.Is(err, errNoStream) {
		return err
	}
	return f.container.digest(h, nil, f.container.entries[0])
}

func (c *container) digest(h hash.Hash, path []string, storage *mscfb.File) error {
	var children []*mscfb.File
	for _, s := range c.entries[1:] {
		name := rawName(s)
		if !slices.Equal(s.Path, path) || len(path) == 0 && (name == signatureStream || name == digestStream) {
			continue
		}
		children = append(children, s)
	}
	slices.SortFunc(children, func(a, b *mscfb.File) int {
		return bytes.Compare(utf16le(rawName(a)), utf16le(rawName(b)))
	})
	for _, s := range children {
		if s.FileInfo().IsDir() {
			if err := c.digest(h, append(slices.Clone(path), s.Name), s); err != nil {
				return err
			}
			continue
		}
		if _, err := io.Copy(h, c.open(s)); err != nil {
			return err
		}
	}
	h.Write(classID(storage.ID()))
	return nil
}

// utf16le is a name as it is stored, with its end mark.
func utf16le(s string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// classID is a GUID's text as its 16 stored bytes: three numbers little-endian,
// then eight bytes in order.
func classID(text string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer("{", "", "}", "", "-", "").Replace(text))
	if err != nil || len(b) != 16 {
		return make([]byte, 16)
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}
