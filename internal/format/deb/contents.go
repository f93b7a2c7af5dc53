package deb

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
	"time"
)

// Caps on what a package's files may make the reader do.
const (
	maxData     = 16 << 30 // bytes of the data archive, as stored and decompressed
	maxContents = 300_000  // files
	maxPaths    = 64 << 20 // bytes of all their names
	maxRatio    = 1000     // decompressed bytes for each that is stored, beyond maxUnpack
)

// An Entry is a file that the package installs. Path begins with "/"; Mode are
// permissions with set-id and sticky bits.
type Entry struct {
	Path        string
	Type        byte // as tar has it: '0' file, '1' hard link, '2' symbolic link, '5' folder, …
	Size        int64
	Mode        int64
	User, Group string
	Link        string // what a link of either kind points to
	Changed     time.Time
}

// ReadContents reads the control archive and lists the files of the data archive,
// which it decompresses to its end. A path that leads upwards is an error.
func ReadContents(r io.Reader) (*File, error) {
	f, b, body, err := read(r)
	if err != nil {
		return nil, err
	}
	for range 16 {
		if err := finish(b, body); err != nil {
			return nil, err
		}
		var name string
		if name, body, err = member(b, maxData); err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(name, "data.tar"):
			return f, f.contents(name, body, min(maxData, maxUnpack+maxRatio*body.N))
		case !strings.HasPrefix(name, "_"):
			return nil, invalid("%q stands where the data archive should", name)
		}
	}
	return nil, invalid("the package has no data archive")
}

// contents lists an archive of at most limit decompressed bytes.
func (f *File) contents(name string, body io.Reader, limit int64) error {
	plain, closer, err := decompress("the data archive", strings.TrimPrefix(name, "data.tar"), body)
	if err != nil {
		return err
	}
	defer closer()
	t := tar.NewReader(&capped{plain, limit})
	total := 0
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("the data archive, behind %d files: %w", len(f.Contents), err)
		}
		e := Entry{
			Path: printable("/" + strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")), Type: h.Typeflag, Size: h.Size, Mode: h.Mode & 0o7777,
			User: printable(h.Uname), Group: printable(h.Gname), Link: printable(h.Linkname), Changed: h.ModTime.UTC(),
		}
		if h.Typeflag == tar.TypeLink {
			e.Link = "/" + strings.TrimPrefix(strings.TrimPrefix(e.Link, "."), "/")
		}
		total += len(h.Name) + len(h.Linkname)
		switch {
		case e.Path != path.Clean(e.Path):
			return invalid("file %d of the data archive has the path %.200q, which leads elsewhere", len(f.Contents)+1, h.Name)
		case len(f.Contents) >= maxContents || total > maxPaths:
			return invalid("the data archive has more than %d files, or too long names", maxContents)
		}
		f.Contents = append(f.Contents, e)
	}
}

// capped ends the reading of a bomb.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("it unpacks to more than is allowed")
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
