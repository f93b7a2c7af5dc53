// Package deb reads the control file of a Debian package: deb(5) and
// deb-control(5) of dpkg's manual.
//
// The package streams by and is read no further than its control archive.
// Sizes are capped; nothing is unpacked to disk.
package deb

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a package may make its reader do.
const (
	maxMember  = 64 << 20 // bytes of the control archive, as stored
	maxUnpack  = 64 << 20 // the same, decompressed
	maxControl = 1 << 20  // bytes of the control file
	maxEntries = 10_000   // files of the control archive
)

// A File is what a package says of itself.
type File struct {
	Facts  fleet.DebFacts
	Fields map[string]string // all fields of the control file; names as written, folded lines joined by "\n"
}

// Read reads the control file. What is no package is an error of kind Invalid.
func Read(r io.Reader) (*File, error) {
	b := bufio.NewReader(r)
	var magic [8]byte
	if _, err := io.ReadFull(b, magic[:]); err != nil || string(magic[:]) != "!<arch>\n" {
		return nil, invalid("no Debian package: it is no ar archive")
	}
	name, body, err := member(b)
	if err != nil {
		return nil, err
	}
	version, err := io.ReadAll(io.LimitReader(body, 64))
	if name != "debian-binary" || err != nil || !bytes.HasPrefix(version, []byte("2.")) {
		return nil, invalid("no Debian package of format 2")
	}
	for range 16 {
		if err := finish(b, body); err != nil {
			return nil, err
		}
		if name, body, err = member(b); err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(name, "control.tar"):
			return control(name, body)
		case !strings.HasPrefix(name, "_"): // which readers must pass over
			return nil, invalid("%q stands where the control archive should", name)
		}
	}
	return nil, invalid("the package has no control archive")
}

// arBody is an ar member's content; its length in the archive is even.
type arBody struct {
	io.LimitedReader
	padded bool
}

// member reads the next ar header: name 16, date 12, owner 6, group 6, mode 8,
// size 10, all in text, and two bytes of end mark.
func member(b *bufio.Reader) (string, *arBody, error) {
	var h [60]byte
	if _, err := io.ReadFull(b, h[:]); err != nil {
		return "", nil, invalid("the package is truncated")
	}
	size, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
	if string(h[58:]) != "`\n" || err != nil || size < 0 || size > maxMember {
		return "", nil, invalid("the package's ar header is malformed")
	}
	name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	return name, &arBody{io.LimitedReader{R: b, N: size}, size%2 == 1}, nil
}

func finish(b *bufio.Reader, body *arBody) error {
	_, err := io.Copy(io.Discard, body)
	if err == nil && body.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && body.padded {
		_, err = b.ReadByte()
	}
	if err != nil {
		return invalid("the package is truncated")
	}
	return nil
}

// control finds the control file in its archive.
func control(name string, body io.Reader) (*File, error) {
	plain, closer, err := decompress(strings.TrimPrefix(name, "control.tar"), body)
	if err != nil {
		return nil, err
	}
	defer closer()
	t := tar.NewReader(io.LimitReader(plain, maxUnpack))
	for range maxEntries {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, invalid("the control archive: %w", err)
		}
		if strings.TrimPrefix(h.Name, "./") != "control" || h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(t, maxControl+1))
		if err != nil || len(text) > maxControl {
			return nil, invalid("the control file cannot be read or is too long")
		}
		return parse(text)
	}
	return nil, invalid("the control archive has no control file")
}

func decompress(suffix string, r io.Reader) (io.Reader, func(), error) {
	nothing := func() {}
	switch suffix {
	case "":
		return r, nothing, nil
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, invalid("the control archive: %w", err)
		}
		return z, nothing, nil
	case ".xz":
		z, err := xz.ReaderConfig{DictCap: 64 << 20}.NewReader(bufio.NewReader(r))
		if err != nil {
			return nil, nil, invalid("the control archive: %w", err)
		}
		return z, nothing, nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, invalid("the control archive: %w", err)
		}
		return z, z.Close, nil
	default:
		return nil, nil, invalid("the control archive is compressed as %q, which is not supported", suffix)
	}
}

// parse reads the fields of the first paragraph.
func parse(text []byte) (*File, error) {
	f := &File{Fields: map[string]string{}}
	last := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			if len(f.Fields) > 0 {
				return f.complete()
			}
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil, invalid("the control file begins with a continued line")
			}
			f.Fields[last] += "\n" + printable(line[1:])
		case line[0] == '#':
		default:
			name, value, ok := strings.Cut(line, ":")
			if _, twice := f.Fields[name]; !ok || twice || name == "" {
				return nil, invalid("the control file has a malformed or doubled field %.40q", name)
			}
			last = printable(name)
			f.Fields[last] = printable(strings.TrimSpace(value))
		}
	}
	return f.complete()
}

func (f *File) complete() (*File, error) {
	f.Facts = fleet.DebFacts{Package: f.Fields["Package"], Version: f.Fields["Version"], Architecture: f.Fields["Architecture"]}
	if f.Facts.Package == "" || f.Facts.Version == "" || f.Facts.Architecture == "" {
		return nil, invalid("the control file does not name package, version and architecture")
	}
	return f, nil
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "deb.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
