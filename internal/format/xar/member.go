package xar

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/hex"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// A Member is one entry of the archive.
type Member struct {
	Path     string // relative, with slashes
	Type     string // file, directory, symlink, hardlink and others
	Size     int64  // bytes when unpacked
	Offset   int64  // of its bytes in the heap
	Stored   int64  // bytes in the heap; 0 where it has none
	Encoding string // "application/octet-stream", "application/x-gzip", …

	archived, extracted checksum
	element             *element
}

// A checksum is what the table states of bytes; without digest it states nothing.
type checksum struct {
	style  string
	digest []byte
}

// readMembers lists the files of the table of contents.
func (f *File) readMembers(toc *element) error {
	seen := map[string]bool{}
	var list func(inside *element, dir string) error
	list = func(inside *element, dir string) error {
		for _, e := range inside.all("file") {
			m, err := f.member(e, dir)
			if err != nil {
				return err
			}
			if seen[m.Path] || len(f.Members) == maxMembers {
				return e.fail("%.80q stands twice, or is one of more than %d files", m.Path, maxMembers)
			}
			seen[m.Path] = true
			f.Members = append(f.Members, m)
			if err := list(e, m.Path); err != nil {
				return err
			}
		}
		return nil
	}
	return list(toc, "")
}

func (f *File) member(e *element, dir string) (Member, error) {
	name, err := e.only("name")
	if err != nil {
		return Member{}, err
	}
	text := name.text
	if name.attr("enctype") == "base64" {
		plain, err := base64Of(text)
		if err != nil {
			return Member{}, name.fail("malformed base64")
		}
		text = string(plain)
	}
	if strings.Contains(text, "/") || printable(text) != text || !fs.ValidPath(text) || text == "." {
		return Member{}, name.fail("%.80q is no file name", text)
	}
	m := Member{Path: path.Join(dir, text), element: e}
	if len(m.Path) > maxPath {
		return m, name.fail("a path of %d bytes", len(m.Path))
	}
	kind, err := e.only("type")
	if err != nil {
		return m, err
	}
	m.Type = printable(kind.text)
	if !e.has("data") {
		return m, nil
	}
	data, err := e.only("data")
	if err != nil {
		return m, err
	}
	return m, f.data(&m, data)
}

// data reads where a member's bytes are and what they must be.
func (f *File) data(m *Member, data *element) (err error) {
	if m.Size, err = data.number("size"); err != nil {
		return err
	}
	if m.Offset, err = data.number("offset"); err != nil {
		return err
	}
	if m.Stored, err = data.number("length"); err != nil {
		return err
	}
	if m.Offset > f.heap.Size()-m.Stored {
		return data.fail("%.80q: %d bytes at %d of a heap of %d", m.Path, m.Stored, m.Offset, f.heap.Size())
	}
	if data.has("encoding") {
		encoding, err := data.only("encoding")
		if err != nil {
			return err
		}
		m.Encoding = encoding.attr("style")
	}
	if m.archived, err = checksumOf(data, "archived-checksum"); err != nil {
		return err
	}
	m.extracted, err = checksumOf(data, "extracted-checksum")
	return err
}

func checksumOf(data *element, name string) (checksum, error) {
	if !data.has(name) {
		return checksum{}, nil
	}
	e, err := data.only(name)
	if err != nil {
		return checksum{}, err
	}
	hash, known := hashOf(e.attr("style"))
	digest, err := hex.DecodeString(e.text)
	if !known || err != nil || hash != 0 && len(digest) != hash.Size() {
		return checksum{}, e.fail("%.20q %.80q is no checksum", e.attr("style"), e.text)
	}
	if hash == 0 {
		return checksum{}, nil
	}
	return checksum{e.attr("style"), digest}, nil
}

// text reads a small member, and compares it with both its checksums.
func (f *File) text(m Member) ([]byte, error) {
	if m.Size > maxText || m.Stored > maxText {
		return nil, m.element.fail("%.80q has %d bytes, stored in %d", m.Path, m.Size, m.Stored)
	}
	stored := make([]byte, m.Stored)
	if _, err := f.heap.ReadAt(stored, m.Offset); err != nil && m.Stored > 0 {
		return nil, m.element.fail("%.80q: %w", m.Path, err)
	}
	if err := m.archived.of(stored); err != nil {
		return nil, m.element.fail("%.80q, as stored, %w", m.Path, err)
	}
	plain, err := m.unpack(bytes.NewReader(stored))
	if err != nil {
		return nil, m.element.fail("%.80q: %w", m.Path, err)
	}
	text, err := io.ReadAll(io.LimitReader(plain, m.Size+1))
	if err == nil && int64(len(text)) != m.Size {
		err = errShort
	}
	if err != nil {
		return nil, m.element.fail("%.80q: %w", m.Path, err)
	}
	if err := m.extracted.of(text); err != nil {
		return nil, m.element.fail("%.80q %w", m.Path, err)
	}
	return text, nil
}

// of compares bytes with a checksum.
func (c checksum) of(data []byte) error {
	if c.digest == nil {
		return nil
	}
	hash, _ := hashOf(c.style)
	h := hash.New()
	h.Write(data)
	return c.same(h.Sum(nil))
}

func (c checksum) same(digest []byte) error {
	if !bytes.Equal(digest, c.digest) {
		return invalid("was altered: its %s is %x, the table of contents states %x", c.style, digest, c.digest)
	}
	return nil
}

func (m Member) unpack(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	switch m.Encoding {
	case "application/octet-stream", "":
		return b, nil
	case "application/x-gzip": // which is zlib in xar, and gzip where a writer takes it at its word
		if head, _ := b.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
			return gzip.NewReader(b)
		}
		return zlib.NewReader(b)
	case "application/x-bzip2":
		return bzip2.NewReader(b), nil
	case "application/x-xz":
		return xz.ReaderConfig{DictCap: 16 << 20}.NewReader(b)
	}
	return nil, invalid("compressed as %.40q, which is not supported", m.Encoding)
}

// CheckMembers reads every member that has bytes, the Payloads too, and compares
// it as stored with its checksum. A signature is of the table of contents, so it
// speaks for the files only by these checksums: a member without one, or with
// MD5, is an error, as is one that differs; both of kind Invalid.
func (f *File) CheckMembers() error {
	var with []Member
	for _, m := range f.Members {
		if m.Stored > 0 {
			with = append(with, m)
		}
	}
	slices.SortFunc(with, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Stored, b.Stored))
	})
	end, last := int64(0), Member{}
	for _, m := range with {
		if m.Offset == last.Offset && m.Stored == last.Stored && m.archived.style == last.archived.style && bytes.Equal(m.archived.digest, last.archived.digest) {
			continue // equal files may share their bytes
		}
		if m.Offset < end {
			return m.element.fail("%.80q overlaps %.80q", m.Path, last.Path)
		}
		end, last = m.Offset+m.Stored, m
		hash, _ := hashOf(m.archived.style)
		if m.archived.digest == nil || strings.EqualFold(m.archived.style, "md5") {
			return m.element.fail("%.80q has no checksum that could be trusted", m.Path)
		}
		h := hash.New()
		if _, err := io.Copy(h, io.NewSectionReader(f.heap, m.Offset, m.Stored)); err != nil {
			return m.element.fail("%.80q: %w", m.Path, err)
		}
		if err := m.archived.same(h.Sum(nil)); err != nil {
			return m.element.fail("%.80q, as stored, %w", m.Path, err)
		}
	}
	return nil
}
