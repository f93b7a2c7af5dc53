package msi

import (
	"bytes"
	"errors"
	"hash"
	"io"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Streams that hold a signature and the extended digest it covers.
const (
	signatureName = "\x05DigitalSignature"
	extendedName  = "\x05MsiDigitalSignatureEx"
)

// maxDepth is how deep storages may nest.
const maxDepth = 8

// Digest writes to h, which must be fresh, the bytes that an Authenticode
// signature of an MSI covers: the contents of all streams but the signature's
// own, in the order of their raw names, storages after their contents by class
// id; before them all the extended digest of names, sizes and times, where the
// file has one. An extended digest that is not that of the file is an error of
// kind Refused.
func (f *File) Digest(h hash.Hash) (err error) {
	defer guard(&err)
	stated, err := f.stream(extendedName, maxSignature)
	if errors.Is(err, errNoStream) {
		return f.digest(h, nil)
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
	return f.digest(h, extended)
}

// DigestWith writes to h, which must be fresh, what a signature is to cover of
// a package that is going to carry this extended digest, nil for none.
func (f *File) DigestWith(h hash.Hash, extended []byte) (err error) {
	defer guard(&err)
	return f.digest(h, extended)
}

// guard turns a panic of the compound-file reader, which indexes by numbers the
// file states, into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = invalid("no MSI: malformed compound file (%v)", p)
	}
}

// Extended is the digest of what the directory says of all entries: their
// names, sizes, class ids, flags and times. It uses h, and leaves it fresh.
func (f *File) Extended(h hash.Hash) (sum []byte, err error) {
	defer guard(&err)
	root, err := f.tree()
	if err != nil {
		return nil, err
	}
	h.Reset()
	err = root.walk(func(n *node) error {
		b, err := n.metadata()
		h.Write(b)
		return err
	}, func(*node) error { return nil })
	sum = h.Sum(nil)
	h.Reset()
	return sum, err
}

func (f *File) digest(h hash.Hash, extended []byte) error {
	root, err := f.tree()
	if err != nil {
		return err
	}
	h.Write(extended)
	return root.walk(func(n *node) error {
		if n.raw[entryType] != typeStream {
			return nil
		}
		return n.copyTo(h)
	}, func(storage *node) error {
		h.Write(storage.raw[entryClass : entryClass+16])
		return nil
	})
}

// A node is an entry with what it holds.
type node struct {
	entry
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
func (f *File) tree() (*node, error) {
	entries, err := f.entries()
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 || entries[0].raw[entryType] != typeRoot {
		return nil, invalid("no MSI: its first entry is no root")
	}
	root := &node{entry: entries[0]}
	known, total := map[string]*node{"": root}, int64(0)
	for _, e := range entries[1:] {
		name := rawName(e.file)
		path := pathKey(e.file.Path)
		if path == "" && (name == signatureName || name == extendedName) {
			continue
		}
		parent, n := known[path], &node{entry: e}
		if len(e.file.Path) > maxDepth || parent == nil || parent.raw[entryType] == typeStream {
			return nil, invalid("entry %q lies in no storage, or more than %d deep", decodeName(name), maxDepth)
		}
		// Sectors belong to one stream each; without this a small file could have
		// the same bytes read a hundred thousand times.
		if n.raw[entryType] == typeStream {
			total += n.size()
		}
		if total > f.size {
			return nil, invalid("stream %q: the streams have more bytes than the file", decodeName(name))
		}
		parent.children = append(parent.children, n)
		if e.raw[entryType] != typeStream {
			within := pathKey(append(slices.Clone(e.file.Path), e.file.Name))
			if known[within] != nil {
				return nil, invalid("two storages are called %q", decodeName(name))
			}
			known[within] = n
		}
	}
	for _, n := range known {
		slices.SortStableFunc(n.children, func(a, b *node) int { return bytes.Compare(a.raw[:64], b.raw[:64]) })
	}
	return root, nil
}

// pathKey is a path as one string; names of storages hold no NUL.
func pathKey(path []string) string {
	out := ""
	for _, p := range path {
		out += p + "\x00"
	}
	return out
}

// walk visits a storage, then what it holds, and leaves it at the end.
func (n *node) walk(visit, leave func(*node) error) error {
	if err := visit(n); err != nil {
		return err
	}
	if n.raw[entryType] == typeStream {
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
func (n *node) copyTo(w io.Writer) error {
	s := n.file
	if s == nil {
		_, err := w.Write(n.content)
		return err
	}
	if s.Size == 0 {
		return nil
	}
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return invalid("stream %q: %w", decodeName(rawName(s)), err)
	}
	if n, err := io.Copy(w, s); err != nil || n != s.Size {
		return invalid("stream %q cannot be read: %v", decodeName(rawName(s)), err)
	}
	return nil
}
