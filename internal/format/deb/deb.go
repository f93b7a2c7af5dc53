// Package deb reads Debian packages: the control archive, and the list of files:
// deb(5), deb-control(5) and deb-md5sums(5) of dpkg's manual.
//
// The package streams by. Read goes no further than its control archive, which
// has all that decisions need; ReadContents lists the files too. Sizes are
// capped; nothing is unpacked to disk.
package deb

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
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
	maxControl = 1 << 20  // bytes of the control file, and of each script
	maxSums    = 32 << 20 // bytes of the list of digests
	maxEntries = 10_000   // files of the control archive
)

// A File is what a package says of itself.
type File struct {
	Facts  fleet.DebFacts
	Fields map[string]string // all fields of the control file; names as written, folded lines joined by "\n"

	// Relations by the name of their field (Depends, Pre-Depends, Recommends,
	// Conflicts, …): what all of must hold, each with its alternatives as written,
	// "a (>= 1) | b".
	Relations map[string][]string
	Installed int64 // KiB, as the package estimates; 0 where it does not

	Control   []ControlFile
	Conffiles []string          // paths that keep an administrator's changes
	Sums      map[string]string // path without a leading slash → MD5 in hexadecimal digits

	// Contents are the files that the package installs; only ReadContents reads
	// them.
	Contents []Entry
}

// A ControlFile is one of the control archive. Text is that of a maintainer
// script and of triggers, without control characters, and "" for others.
type ControlFile struct {
	Name string
	Size int64
	Text string
}

// Scripts are the maintainer scripts: preinst, postinst, prerm, postrm, config.
func (f *File) Scripts() []ControlFile {
	return slices.DeleteFunc(slices.Clone(f.Control), func(c ControlFile) bool { return !isScript(c.Name) })
}

func isScript(name string) bool {
	return slices.Contains([]string{"preinst", "postinst", "prerm", "postrm", "config"}, name)
}

// Read reads the control archive. What is no package is an error of kind Invalid.
func Read(r io.Reader) (*File, error) {
	f, _, _, err := read(r)
	return f, err
}

// read leaves the package behind its control archive, which body is.
func read(r io.Reader) (*File, *bufio.Reader, *arBody, error) {
	b := bufio.NewReader(r)
	fail := func(err error) (*File, *bufio.Reader, *arBody, error) { return nil, nil, nil, err }
	var magic [8]byte
	if _, err := io.ReadFull(b, magic[:]); err != nil || string(magic[:]) != "!<arch>\n" {
		return fail(invalid("no Debian package: it is no ar archive"))
	}
	name, body, err := member(b, maxMember)
	if err != nil {
		return fail(err)
	}
	version, err := io.ReadAll(io.LimitReader(body, 64))
	if name != "debian-binary" || err != nil || !bytes.HasPrefix(version, []byte("2.")) {
		return fail(invalid("no Debian package of format 2"))
	}
	for range 16 {
		if err := finish(b, body); err != nil {
			return fail(err)
		}
		if name, body, err = member(b, maxMember); err != nil {
			return fail(err)
		}
		switch {
		case strings.HasPrefix(name, "control.tar"):
			f, err := control(name, body)
			return f, b, body, err
		case !strings.HasPrefix(name, "_"): // which readers must pass over
			return fail(invalid("%q stands where the control archive should", name))
		}
	}
	return fail(invalid("the package has no control archive"))
}

// arBody is an ar member's content; its length in the archive is even.
type arBody struct {
	io.LimitedReader
	padded bool
}

// member reads the next ar header: name 16, date 12, owner 6, group 6, mode 8,
// size 10, all in text, and two bytes of end mark.
func member(b *bufio.Reader, limit int64) (string, *arBody, error) {
	var h [60]byte
	if _, err := io.ReadFull(b, h[:]); err != nil {
		return "", nil, invalid("the package is truncated")
	}
	size, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
	if string(h[58:]) != "`\n" || err != nil || size < 0 || size > limit {
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

// decompress opens a member of this suffix; what names it in errors.
func decompress(what, suffix string, r io.Reader) (io.Reader, func(), error) {
	nothing := func() {}
	switch suffix {
	case "":
		return r, nothing, nil
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, invalid("%s: %w", what, err)
		}
		return z, nothing, nil
	case ".xz":
		z, err := xz.ReaderConfig{DictCap: 64 << 20}.NewReader(bufio.NewReader(r))
		if err != nil {
			return nil, nil, invalid("%s: %w", what, err)
		}
		return z, nothing, nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, invalid("%s: %w", what, err)
		}
		return z, z.Close, nil
	case ".bz2":
		return bzip2.NewReader(r), nothing, nil
	default:
		return nil, nil, invalid("%s is compressed as %q, which is not supported", what, suffix)
	}
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
