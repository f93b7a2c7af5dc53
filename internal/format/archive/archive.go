// Package archive takes one named file out of an archive, the program in an npm
// package or in a vendor's zip, and lists what an archive holds.
//
// An archive is hostile. Members are found by exact path, only one may have it,
// nothing is written to a path an archive names, links are refused, and what is
// decompressed is capped whether it is wanted or not. A list says what a
// reviewer should see: names that lead elsewhere, names that stand twice, links,
// sizes that do not fit.
package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
)

// Limits cap what an archive may make its reader do. Zero fields take the
// values of Defaults.
type Limits struct {
	Member  int64 // bytes of the member
	Total   int64 // decompressed bytes that are read on the way to it
	Entries int   // entries that are looked at
}

// Defaults are limits that fit installers.
func Defaults() Limits { return Limits{Member: 4 << 30, Total: 16 << 30, Entries: 200_000} }

func (l Limits) orDefaults() Limits {
	d := Defaults()
	if l.Member == 0 {
		l.Member = d.Member
	}
	if l.Total == 0 {
		l.Total = d.Total
	}
	if l.Entries == 0 {
		l.Entries = d.Entries
	}
	return l
}

// ExtractTar copies the member with this exact path from a tar archive, plain
// or compressed with gzip, bzip2, xz or zstd, to w, and returns its size. The archive
// is read to its end, since a second member of that path is refused. Errors of
// kind Invalid: no such member, no archive, a link, a limit.
func ExtractTar(w io.Writer, r io.Reader, path string, limits Limits) (int64, error) {
	limits = limits.orDefaults()
	if !fs.ValidPath(path) || path == "." {
		return 0, invalid(path, "is no path inside an archive")
	}
	plain, closer, err := decompress(r)
	if err != nil {
		return 0, err
	}
	defer closer()
	capped := &capReader{r: plain, left: limits.Total}
	t := tar.NewReader(capped)
	size, found := int64(0), false
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && found:
			return size, drain(capped)
		case errors.Is(err, io.EOF):
			return 0, invalid(path, "is not in the archive")
		case err != nil:
			return 0, readError(path, err)
		case n >= limits.Entries:
			return 0, invalid(path, "the archive has more than %d entries", limits.Entries)
		case h.Name != path:
			continue
		case found:
			return 0, invalid(path, "stands twice in the archive")
		case h.Typeflag != tar.TypeReg:
			return 0, invalid(path, "is no plain file in the archive")
		}
		found = true
		if size, err = copyMember(w, t, path, limits.Member); err != nil {
			return 0, err
		}
	}
}

// ExtractZip is ExtractTar for a zip archive, which is not read in order.
func ExtractZip(w io.Writer, r io.ReaderAt, size int64, path string, limits Limits) (int64, error) {
	limits = limits.orDefaults()
	z, err := openZip(r, size, limits)
	if err != nil {
		return 0, invalid(path, "%w", err)
	}
	var member *zip.File
	for _, f := range z.File {
		if f.Name != path {
			continue
		}
		if member != nil {
			return 0, invalid(path, "stands twice in the archive")
		}
		member = f
	}
	if member == nil {
		return 0, invalid(path, "is not in the archive")
	}
	if !member.Mode().IsRegular() {
		return 0, invalid(path, "is no plain file in the archive")
	}
	in, err := member.Open()
	if err != nil {
		return 0, invalid(path, "%w", err)
	}
	defer in.Close()
	return copyMember(w, in, path, limits.Member)
}

// copyMember tells an archive that cannot be read from a place that cannot be
// written.
func copyMember(w io.Writer, r io.Reader, path string, limit int64) (int64, error) {
	out := &watched{w: w}
	n, err := io.Copy(out, io.LimitReader(r, limit+1))
	switch {
	case out.err != nil:
		return 0, out.err
	case err != nil:
		return 0, readError(path, err)
	case n > limit:
		return 0, invalid(path, "has more than %d bytes", limit)
	}
	return n, nil
}

// drain reads what is left, so that a digest taken on the way covers the file.
func drain(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return readError("", err)
	}
	return nil
}

// decompress tells the compression by the first bytes.
func decompress(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(6) // a short file is no archive; tar says so
	nothing := func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, readError("", err)
		}
		return z, nothing, nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		z, err := xz.ReaderConfig{DictCap: 64 << 20}.NewReader(b)
		if err != nil {
			return nil, nil, readError("", err)
		}
		return z, nothing, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(b), nothing, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, readError("", err)
		}
		return z, z.Close, nil
	default:
		return b, nothing, nil
	}
}

// errTotal ends the reading of a bomb.
var errTotal = errors.New("the archive unpacks to more than is allowed")

type capReader struct {
	r    io.Reader
	left int64
}

func (c *capReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTotal
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// watched remembers that it was the writing that failed.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func readError(path string, err error) error {
	return invalid(path, "the archive cannot be read: %w", err)
}

func invalid(path, format string, args ...any) error {
	return &fleet.Error{Op: "archive.extract", Object: path, Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
