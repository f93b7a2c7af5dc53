package msi

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/richardlehane/mscfb"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a file may make the reader hold.
const (
	maxDirectory = 16 << 20 // bytes read to find the streams
	maxPool      = 64 << 20 // bytes of a string pool stream
	maxTable     = 4 << 20  // bytes of the Property table
	maxSummary   = 1 << 20
	maxSignature = 4 << 20
)

// A File is a Windows Installer package.
type File struct {
	Facts       fleet.MSIFacts
	ProductName string
	Publisher   string            // property Manufacturer
	Arch        string            // x64, arm64, x86, "" when the template names none of them
	PackageCode string            // of this very file
	Properties  map[string]string // the Property table
	Signature   []byte            // PKCS #7 SignedData, nil when unsigned

	streams []*mscfb.File
	r       io.ReaderAt
	size    int64
}

// Read reads an MSI. What is none is an error of kind Invalid.
func Read(r io.ReaderAt, size int64) (f *File, err error) {
	defer guard(&err)
	limited := &budget{r: io.NewSectionReader(r, 0, size), left: maxDirectory}
	compound, err := mscfb.New(limited)
	if err != nil {
		return nil, invalid("no MSI: %w", err)
	}
	limited.left = -1
	f = &File{streams: compound.File, r: r, size: size}
	if err := f.readProperties(); err != nil {
		return nil, err
	}
	if err := f.readSummary(); err != nil {
		return nil, err
	}
	f.Signature, err = f.stream(signatureName, maxSignature)
	if errors.Is(err, errNoStream) {
		err = nil
	}
	return f, err
}

// readProperties reads the Property table.
func (f *File) readProperties() error {
	pool, err := f.stream("!_StringPool", maxPool)
	if err != nil {
		return invalid("no MSI: %w", err)
	}
	data, err := f.stream("!_StringData", maxPool)
	if err != nil {
		return invalid("no MSI: %w", err)
	}
	texts, err := newPool(pool, data)
	if err != nil {
		return err
	}
	table, err := f.stream("!Property", maxTable)
	if err != nil {
		return invalid("the MSI has no Property table: %w", err)
	}
	rows := len(table) / (2 * texts.refSize)
	if rows*2*texts.refSize != len(table) {
		return invalid("the Property table has a broken row")
	}
	f.Properties = make(map[string]string, rows)
	for i := range rows { // column by column: all names, then all values
		name, ok1 := texts.at(table[i*texts.refSize:])
		value, ok2 := texts.at(table[(rows+i)*texts.refSize:])
		if _, twice := f.Properties[name]; !ok1 || !ok2 || twice {
			return invalid("the Property table names a text that is not there, or a property twice")
		}
		f.Properties[name] = value
	}
	f.Facts = fleet.MSIFacts{
		ProductCode:    f.Properties["ProductCode"],
		UpgradeCode:    f.Properties["UpgradeCode"],
		ProductVersion: f.Properties["ProductVersion"],
	}
	f.ProductName, f.Publisher = f.Properties["ProductName"], f.Properties["Manufacturer"]
	if f.Facts.ProductCode == "" {
		return invalid("the Property table has no ProductCode")
	}
	return nil
}

var errNoStream = errors.New("the stream is not there")

// stream reads a stream of the root by its decoded name.
func (f *File) stream(name string, limit int64) ([]byte, error) {
	for _, s := range f.streams {
		if len(s.Path) > 0 || s.FileInfo().IsDir() || decodeName(rawName(s)) != name {
			continue
		}
		if s.Size > limit {
			return nil, invalid("stream %q has %d bytes", name, s.Size)
		}
		data := make([]byte, s.Size)
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return nil, invalid("stream %q: %w", name, err)
		}
		if _, err := io.ReadFull(s, data); err != nil {
			return nil, invalid("stream %q: %w", name, err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("%q: %w", name, errNoStream)
}

// rawName is a stream's name with the control character the reader cuts off.
func rawName(s *mscfb.File) string {
	if s.Initial != 0 && s.Initial < ' ' {
		return string(rune(s.Initial)) + s.Name
	}
	return s.Name
}

// decodeName undoes the packing of stream names: two characters of an alphabet
// of 64 in one CJK character, so that 31 characters hold 62; the mark of a
// table is shown as "!".
func decodeName(name string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 0x3800 && r < 0x4800:
			b.WriteByte(alphabet[(r-0x3800)&63])
			b.WriteByte(alphabet[(r-0x3800)>>6&63])
		case r >= 0x4800 && r < 0x4840:
			b.WriteByte(alphabet[r-0x4800])
		case r == 0x4840:
			b.WriteByte('!')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// budget lets a number of bytes pass, all when left is negative.
type budget struct {
	r    io.ReaderAt
	left int64
}

// ReadAt reads from the file below.
func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		if int64(len(p)) > b.left {
			return 0, errors.New("its directory is too large")
		}
		b.left -= int64(len(p))
	}
	return b.r.ReadAt(p, off)
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "msi.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
