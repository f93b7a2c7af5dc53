package sip

import (
	"archive/zip"
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"io"
)

// An App is an app package or bundle (.msix, .appx, .msixbundle, .appxbundle):
// a zip archive whose last member is its signature.
type App struct {
	Signature []byte // nil when unsigned

	r         io.ReaderAt
	zip       *zip.Reader
	end       *zipEnd
	signature int64 // where the signature's local header begins
	entry     int   // where its entry begins in the directory
}

// Names of the members that a signature names one by one.
const (
	appSignature = "AppxSignature.p7x"
	appTypes     = "[Content_Types].xml"
	appBlocks    = "AppxBlockMap.xml"
	appIntegrity = "AppxMetadata/CodeIntegrity.cat"
)

// Caps on what a package may make its reader do.
const (
	maxDirectory = 32 << 20  // bytes of the central directory
	maxMember    = 128 << 20 // bytes of one of the members above, decompressed
)

// ReadApp finds a package's signature. What is no zip archive, and members that
// its signature would not cover, are errors of kind Invalid.
func ReadApp(r io.ReaderAt, size int64) (*App, error) {
	end, err := findEnd(r, size)
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, invalid("no app package: %w", err)
	}
	a := &App{r: r, zip: archive, end: end}
	if err := a.findSignature(); err != nil || a.entry == 0 {
		return a, err
	}
	data, err := a.member(appSignature, maxSignature)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte("PKCX")) || len(data) == 4 {
		return nil, invalid("%s does not begin with PKCX", appSignature)
	}
	a.Signature = data[4:]
	return a, nil
}

// findSignature walks the directory to its last entry.
func (a *App) findSignature() error {
	count, last := uint64(0), ""
	for at := 0; at < len(a.end.directory); count++ {
		e, err := readEntry(a.end.directory[at:], a.end.at+int64(at))
		if err != nil {
			return err
		}
		if last == appSignature {
			return invalid("offset %d: %q stands behind the signature, which does not cover it", a.end.at+int64(at), e.name)
		}
		if last = e.name; last == appSignature {
			a.entry, a.signature = at, e.offset
			if err := a.closed(e); err != nil {
				return err
			}
		}
		at += e.length
	}
	if count != a.end.count || count != uint64(len(a.zip.File)) {
		return invalid("the directory has %d entries and states %d", count, a.end.count)
	}
	return nil
}

// closed checks that the signature is the last thing before the directory.
func (a *App) closed(e zipEntry) error {
	var h [30]byte
	if e.offset < 0 || e.offset > a.end.at-int64(len(h)) || a.entry == 0 {
		return invalid("the signature lies outside the package")
	}
	if _, err := a.r.ReadAt(h[:], e.offset); err != nil {
		return err
	}
	if string(h[:4]) != "PK\x03\x04" {
		return invalid("offset %d: no local header of the signature", e.offset)
	}
	over := a.end.at - e.offset - int64(len(h)) - int64(binary.LittleEndian.Uint16(h[26:])) - int64(binary.LittleEndian.Uint16(h[28:])) - e.size
	// A data descriptor has 12 or 20 bytes, 4 more with its mark.
	if streamed := binary.LittleEndian.Uint16(h[6:])&8 != 0; over < 0 || over > 24 || over > 0 && !streamed {
		return invalid("offset %d: %d bytes between the signature and the directory, which it does not cover", e.offset, over)
	}
	return nil
}

// member is the content of a member that occurs once.
func (a *App) member(name string, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if err := a.copyMember(&b, name, limit); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

var errNoMember = errors.New("it has no such member")

func (a *App) copyMember(w io.Writer, name string, limit int64) error {
	var found *zip.File
	for _, f := range a.zip.File {
		if f.Name != name {
			continue
		}
		if found != nil {
			return invalid("the package has two members %s", name)
		}
		found = f
	}
	if found == nil {
		return invalid("%s: %w", name, errNoMember)
	}
	in, err := found.Open()
	if err != nil {
		return invalid("%s: %w", name, err)
	}
	n, err := io.Copy(w, io.LimitReader(in, limit+1))
	if err != nil {
		return invalid("%s: %w", name, err)
	}
	if n > limit {
		return invalid("%s has more than %d bytes", name, limit)
	}
	return in.Close()
}

// Digest is what a signature states of a package: five digests, each behind its
// name: of the members as stored, of the directory as it was before the
// signature came, of the content types, of the block map, and of the catalog of
// the programs inside, where there is one.
func (a *App) Digest(algorithm crypto.Hash) ([]byte, error) {
	if a.Signature == nil {
		return nil, invalid("the package has no signature")
	}
	out := []byte("APPX")
	h := algorithm.New()
	if _, err := io.Copy(h, io.NewSectionReader(a.r, 0, a.signature)); err != nil {
		return nil, err
	}
	out = h.Sum(append(out, "AXPC"...))
	h.Reset()
	a.end.without(h, a.end.directory[:a.entry], a.signature)
	out = h.Sum(append(out, "AXCD"...))
	for _, m := range []struct{ tag, name string }{{"AXCT", appTypes}, {"AXBM", appBlocks}, {"AXCI", appIntegrity}} {
		h.Reset()
		err := a.copyMember(h, m.name, maxMember)
		if errors.Is(err, errNoMember) && m.name == appIntegrity {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = h.Sum(append(out, m.tag...))
	}
	return out, nil
}
