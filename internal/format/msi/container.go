package msi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/richardlehane/mscfb"
)

// Names of streams that are stored as they are.
const (
	signatureStream = "\x05DigitalSignature"
	digestStream    = "\x05MsiDigitalSignatureEx"
	summaryStream   = "\x05SummaryInformation"
)

// A Stream is a stream of the file that belongs to no table's rows: a cabinet,
// a binary or an icon (named Table.key), a signature, the summary information.
type Stream struct {
	Name string
	Size int64 // bytes
}

// maxNesting is how deep storages may stand in each other; an MSI with a patch
// or a transform in it needs two.
const maxNesting = 8

// container is the compound file: storages and streams.
type container struct {
	src     *source
	entries []*mscfb.File          // the root first
	root    map[string]*mscfb.File // streams of the root by their packed names
}

func openContainer(r io.ReaderAt, size int64) (*container, error) {
	c := &container{src: &source{r: r, size: size, left: maxDirectory}, root: map[string]*mscfb.File{}}
	if _, err := surveyContainer(c.src); err != nil {
		return nil, err
	}
	err := guard(func() error {
		compound, err := mscfb.New(c.src)
		if err != nil {
			return damaged("compound file", c.src.at, "%w", err)
		}
		c.entries = compound.File
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.entries) == 0 {
		return nil, invalid("no MSI: it holds nothing")
	}
	c.src.left = -1
	names := map[string]bool{}
	for _, e := range c.entries {
		if e == c.entries[0] {
			continue
		}
		if len(e.Path) > maxNesting {
			return nil, invalid("directory: storages are nested more than %d deep", maxNesting)
		}
		name := rawName(e)
		full := strings.Join(append(slices.Clone(e.Path), name), "\x00")
		if names[full] || name == "" {
			return nil, invalid("directory: two entries have the name %q in one storage", decodeName(name))
		}
		names[full] = true
		if len(e.Path) == 0 && !e.FileInfo().IsDir() {
			c.root[name] = e
		}
	}
	return c, nil
}

var errNoStream = errors.New("the stream is not there")

// readAll reads a stream of the root by its packed name, no more than limit bytes.
func (c *container) readAll(name string, limit int64) ([]byte, error) {
	s, ok := c.root[name]
	if !ok {
		return nil, fmt.Errorf("%q: %w", decodeName(name), errNoStream)
	}
	if s.Size > limit {
		return nil, invalid("stream %q has %d bytes, more than the %d that are read", decodeName(name), s.Size, limit)
	}
	data := make([]byte, s.Size)
	if _, err := io.ReadFull(c.open(s), data); err != nil {
		return nil, err
	}
	return data, nil
}

// open gives a stream's bytes from its beginning.
func (c *container) open(s *mscfb.File) io.Reader {
	own := *s // with its own place; the library's stays at the beginning
	return &streamReader{src: c.src, file: &own, left: s.Size}
}

// A streamReader reads a stream whole or fails. It asks the library for little
// at once, since that works by the square of the sectors it is asked for.
type streamReader struct {
	src  *source
	file *mscfb.File
	left int64
	done int64
}

// Read reads on; a stream that ends early is an error.
func (r *streamReader) Read(p []byte) (n int, err error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	const chunk = 32 << 10
	p = p[:min(int64(len(p)), r.left, chunk)]
	err = guard(func() error {
		if n, err = r.file.Read(p); err != nil && (n < len(p) || !errors.Is(err, io.EOF)) || n < len(p) {
			return damaged(fmt.Sprintf("stream %q", decodeName(rawName(r.file))), r.done+int64(n),
				"its %d bytes end at offset %d of the file: %w", r.file.Size, r.src.at, err)
		}
		return nil
	})
	r.left -= int64(n)
	r.done += int64(n)
	return n, err
}

// Streams are the streams that hold no table, in the order of their names.
// Nothing of them is read.
func (f *File) Streams() []Stream {
	var list []Stream
	for name, s := range f.container.root {
		if !strings.HasPrefix(name, string(tableMark)) {
			list = append(list, Stream{Name: decodeName(name), Size: s.Size})
		}
	}
	slices.SortFunc(list, func(a, b Stream) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Open reads a stream that [File.Streams] lists. One that turns out shorter than
// its directory entry says ends in an error of kind Invalid.
func (f *File) Open(stream string) (io.Reader, error) {
	for _, name := range []string{encodeName(stream), stream} {
		if s, ok := f.container.root[name]; ok {
			return f.container.open(s), nil
		}
	}
	return nil, invalid("%q: %w", stream, errNoStream)
}

// Storages are the names of storages directly below the root, sorted: embedded
// transforms (named by language or by an id) and, in a patch, its transforms.
func (f *File) Storages() []string {
	var list []string
	for _, e := range f.container.entries[1:] {
		if len(e.Path) == 0 && e.FileInfo().IsDir() {
			list = append(list, clean(decodeName(rawName(e))))
		}
	}
	slices.Sort(list)
	return list
}
