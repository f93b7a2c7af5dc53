package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Listing is what an archive holds, in its own order.
type Listing struct {
	Format   string // zip, 7z, tar, tar.gz, tar.bz2, tar.xz, tar.zst
	Entries  []Entry
	Total    int64 // bytes of all files, as the archive states or as they were read
	Findings []Finding
}

// An Entry is one member. Name is as the archive has it, and may hold anything.
type Entry struct {
	Name      string
	Size      int64
	Mode      fs.FileMode // kind and permissions; 0 permissions where the archive has none
	Link      string      // target of a link; "" where it is not in the list
	Hard      bool        // the link is another name of a file
	Encrypted bool
}

// A Finding is something about an entry, or about the whole where Entry is "",
// that a person should see before the archive is unpacked somewhere.
type Finding struct{ Entry, Why string }

// Caps beyond Limits.
const (
	fineSize    = 64 << 20 // bytes that may unpack from anything
	fineRatio   = 1000     // unpacked bytes for each stored one, beyond that
	maxNames    = 64 << 20 // bytes of all names
	maxName     = 4096     // bytes of a name, and of a link's target
	maxDepth    = 128      // folders above an entry
	maxFindings = 1000
)

// List lists a zip, 7z or tar archive, the last plain or compressed with gzip,
// bzip2, xz or zstd. Of zip and 7z it reads the directory; tar is decompressed
// to its end. What no archive is, and what passes the limits, is an error of kind
// Invalid; what is only suspect is a finding.
func List(r io.ReaderAt, size int64, limits Limits) (*Listing, error) {
	limits = limits.orDefaults()
	head := make([]byte, min(size, 6))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, err
	}
	l := &lister{limits: limits, seen: map[string]string{}, links: map[string]bool{}}
	var err error
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		l.Format = "zip"
		err = l.zip(r, size)
	case bytes.HasPrefix(head, []byte(sevenMagic)):
		l.Format = "7z"
		err = l.seven(r, size)
	default:
		l.Format = "tar" + suffix(head)
		err = l.tar(r, size)
	}
	if err != nil {
		return nil, &fleet.Error{Op: "archive.list", Kind: fleet.Invalid, Err: fmt.Errorf("no archive that can be listed: %w", err)}
	}
	if l.Total > fineSize && l.Total/fineRatio > size {
		l.find("", fmt.Sprintf("%d bytes unpack to %d", size, l.Total))
	}
	return &l.Listing, nil
}

func suffix(head []byte) string {
	for mark, name := range map[string]string{"\x1f\x8b": ".gz", "BZh": ".bz2", "\xfd7zXZ\x00": ".xz", "\x28\xb5\x2f\xfd": ".zst"} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return name
		}
	}
	return ""
}

// lister collects entries and notices what is wrong with them.
type lister struct {
	Listing
	limits Limits
	names  int               // bytes
	seen   map[string]string // name as systems without case compare it → name
	links  map[string]bool   // names of symbolic links
}

func (l *lister) find(entry, why string) {
	if len(l.Findings) < maxFindings {
		l.Findings = append(l.Findings, Finding{entry, why})
	}
}

// add takes an entry in.
func (l *lister) add(e Entry) error {
	l.names += len(e.Name) + len(e.Link)
	switch {
	case len(l.Entries) >= l.limits.Entries:
		return fmt.Errorf("it has more than %d entries", l.limits.Entries)
	case l.names > maxNames:
		return fmt.Errorf("its names have more than %d bytes", maxNames)
	case len(e.Name) > maxName || len(e.Link) > maxName || strings.Count(e.Name, "/") > maxDepth:
		return fmt.Errorf("%.200q is a name that no system takes", e.Name)
	case e.Size < 0 || e.Size > l.limits.Member:
		return fmt.Errorf("%.200q has more than %d bytes", e.Name, l.limits.Member)
	case e.Size > l.limits.Total-l.Total:
		return fmt.Errorf("it unpacks to more than %d bytes", l.limits.Total)
	}
	l.Total += e.Size
	l.Entries = append(l.Entries, e)
	l.judge(e)
	return nil
}

// judge says what a person should see.
func (l *lister) judge(e Entry) {
	name := strings.TrimSuffix(strings.TrimPrefix(e.Name, "./"), "/")
	if name == "" || name == "." {
		name = "."
	}
	if leads(name) {
		l.find(e.Name, "its name leads out of the folder that it is unpacked to, or is no name everywhere")
	}
	folded := strings.ToLower(name)
	if other, twice := l.seen[folded]; twice && !(e.Mode.IsDir() && other == name) {
		l.find(e.Name, "another entry has this name, or one that differs in case only")
	}
	l.seen[folded] = name
	for parent := path.Dir(name); parent != "." && parent != "/"; parent = path.Dir(parent) {
		if l.links[parent] {
			l.find(e.Name, "it lies below a link")
			break
		}
	}
	switch {
	case e.Hard:
		if leads(strings.TrimPrefix(e.Link, "./")) {
			l.find(e.Name, "it is a link that leads elsewhere")
		}
	case e.Mode&fs.ModeSymlink != 0:
		l.links[name] = true
		if e.Link == "" {
			l.find(e.Name, "it is a link, whose target is not read")
		} else if path.IsAbs(e.Link) || leads(path.Join(path.Dir(name), e.Link)) {
			l.find(e.Name, "it is a link that leads elsewhere")
		}
	case e.Mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeIrregular) != 0:
		l.find(e.Name, "it is no file, folder or link")
	}
	if e.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		l.find(e.Name, "it runs with its owner's or group's rights")
	}
	if e.Encrypted {
		l.find(e.Name, "it is encrypted")
	}
}

// leads reports whether a name may lead out of a folder, on any system, or is
// written differently than it is shown.
func leads(name string) bool {
	return !fs.ValidPath(name) || strings.ContainsAny(name, "\\:") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

func (l *lister) zip(r io.ReaderAt, size int64) error {
	z, err := openZip(r, size, l.limits)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if f.UncompressedSize64 > 1<<62 {
			return fmt.Errorf("%.200q states %d bytes", f.Name, f.UncompressedSize64)
		}
		e := Entry{Name: f.Name, Size: int64(f.UncompressedSize64), Mode: f.Mode(), Encrypted: f.Flags&1 != 0}
		if e.Mode&fs.ModeSymlink != 0 && !e.Encrypted {
			e.Link = linkOf(f)
		}
		if err := l.add(e); err != nil {
			return err
		}
		if f.UncompressedSize64 > fineSize && f.UncompressedSize64/fineRatio > f.CompressedSize64 {
			l.find(f.Name, fmt.Sprintf("%d bytes unpack to %d", f.CompressedSize64, f.UncompressedSize64))
		}
	}
	return nil
}

// linkOf is the target of a symbolic link, which a zip keeps as content; "" when
// it cannot be read.
func linkOf(f *zip.File) string {
	in, err := f.Open()
	if err != nil {
		return ""
	}
	defer in.Close()
	target, err := io.ReadAll(io.LimitReader(in, maxName+1))
	if err != nil || len(target) > maxName {
		return ""
	}
	return string(target)
}

func (l *lister) tar(r io.ReaderAt, size int64) error {
	plain, closer, err := decompress(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	defer closer()
	total := l.limits.Total
	if size < total/fineRatio {
		total = min(total, fineSize+fineRatio*size)
	}
	capped := &capReader{r: plain, left: total}
	t := tar.NewReader(capped)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			if _, err := io.Copy(io.Discard, capped); err != nil {
				return err
			}
			if total-capped.left < 1024 { // two blocks of zeros end the shortest tar
				return errors.New("it has no header of any kind")
			}
			return nil
		}
		if err != nil {
			return err
		}
		e := Entry{Name: h.Name, Size: h.Size, Mode: h.FileInfo().Mode(), Link: h.Linkname, Hard: h.Typeflag == tar.TypeLink}
		if err := l.add(e); err != nil {
			return err
		}
	}
}
