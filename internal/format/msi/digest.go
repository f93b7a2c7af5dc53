package msi

import (
	"bytes"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// maxNested is how deep storages may lie in each other to be digested.
const maxNested = 8

// Digest writes to h, which must be fresh, the bytes that an Authenticode
// signature of an MSI covers: the contents of all streams but the signature's
// own, in the order of their raw names, storages after their contents by class
// id; before them all the extended digest of names, sizes and times, where the
// file has one. An extended digest that is not that of the file is an error of
// kind Refused.
func (f *File) Digest(h hash.Hash) error {
	stated, err := f.container.readAll(digestStream, maxSignature)
	if errors.Is(err, errNoStream) {
		return f.DigestWith(h, nil)
	}
	if err != nil {
		return err
	}
	extended, err := f.Extended(h)
	if err != nil {
		return err
	}
	if !bytes.Equal(extended, stated) {
		return fleet.Errorf(fleet.Refused, "msi.read", "", "the package was altered after it was signed: names, sizes or times have another digest")
	}
	return f.DigestWith(h, extended)
}

// DigestWith writes to h, which must be fresh, what a signature is to cover of
// a package that carries this extended digest, nil for none.
func (f *File) DigestWith(h hash.Hash, extended []byte) error {
	root, err := f.container.tree()
	if err != nil {
		return err
	}
	h.Write(extended)
	return root.walk(func(n *node) error {
		if n.raw[atType] != entryStream {
			return nil
		}
		return n.copyTo(h, f.container)
	}, func(storage *node) error {
		h.Write(storage.raw[atClass : atClass+16])
		return nil
	})
}

// Extended is the digest of what the directory says of all entries: their
// names, sizes, class ids, flags and times. It uses h, and leaves it fresh.
func (f *File) Extended(h hash.Hash) ([]byte, error) {
	root, err := f.container.tree()
	if err != nil {
		return nil, err
	}
	h.Reset()
	err = root.walk(func(n *node) error {
		b, err := n.metadata()
		h.Write(b)
		return err
	}, func(*node) error { return nil })
	sum := h.Sum(nil)
	h.Reset()
	return sum, err
}

// A node is an entry with what it holds.
type node struct {
	dirEntry
	children []*node // in the order of their raw names
	content  []byte  // of a stream that is not in the file yet
	index    uint32  // in a directory that is written anew
}

// size is a stream's length.
func (n *node) size() int64 {
	if n.file == nil {
		return int64(len(n.content))
	}
	return n.file.Size
}

// tree is the directory without the signature's own streams.
func (c *container) tree() (*node, error) {
	entries, err := c.stored()
	if err != nil {
		return nil, err
	}
	if entries[0].raw[atType] != entryRoot {
		return nil, invalid("directory: it does not begin with a root")
	}
	root := &node{dirEntry: entries[0]}
	known := map[string]*node{"": root}
	for _, e := range entries[1:] {
		name := rawName(e.file)
		path := strings.Join(e.file.Path, "\x00")
		if path == "" && (name == signatureStream || name == digestStream) {
			continue
		}
		parent, n := known[path], &node{dirEntry: e}
		if len(e.file.Path) > maxNested || parent == nil || parent.raw[atType] == entryStream {
			return nil, invalid("directory: entry %q lies in no storage, or more than %d deep", decodeName(name), maxNested)
		}
		parent.children = append(parent.children, n)
		if e.raw[atType] != entryStream {
			within := strings.Join(append(slices.Clone(e.file.Path), e.file.Name), "\x00")
			if known[within] != nil {
				return nil, invalid("directory: two storages are called %q", decodeName(name))
			}
			known[within] = n
		}
	}
	for _, n := range known {
		slices.SortStableFunc(n.children, func(a, b *node) int { return bytes.Compare(a.raw[:64], b.raw[:64]) })
	}
	return root, nil
}

// walk visits a storage, then what it holds, and leaves it at the end.
func (n *node) walk(visit, leave func(*node) error) error {
	if err := visit(n); err != nil {
		return err
	}
	if n.raw[atType] == entryStream {
		return nil
	}
	for _, c := range n.children {
		if err := c.walk(visit, leave); err != nil {
			return err
		}
	}
	return leave(n)
}

// copyTo writes a stream's content.
func (n *node) copyTo(w io.Writer, c *container) error {
	if n.file == nil {
		_, err := w.Write(n.content)
		return err
	}
	_, err := io.Copy(w, c.open(n.file))
	return err
}
