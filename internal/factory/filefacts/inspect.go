// Package filefacts tells what one file says of itself: it picks the reader of the
// file's format and puts what that found into one form, whichever format it is.
//
// It judges nothing. What a package should be made of it is for rules/adopt to
// propose, and what a release needs of it for the factory to compare.
package filefacts

import (
	"errors"
	"io"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/sniff"
)

// A reader reads one kind of file.
type reader func(f *found, r io.ReaderAt, size int64) error

// readers are the kinds that tell something.
var readers = map[sniff.Kind]reader{
	sniff.PE:    readPE,
	sniff.OLE:   readMSI,
	sniff.Deb:   readDeb,
	sniff.RPM:   readRPM,
	sniff.Xar:   readPkg,
	sniff.MachO: readMachO,
	sniff.ELF:   readELF,
	sniff.XML:   readProfile,
	sniff.Zip:   readZip,
	sniff.Tar:   readArchive,
	sniff.Gzip:  readArchive,
	sniff.XZ:    readArchive,
	sniff.Zstd:  readArchive,
	sniff.Bzip2: readArchive,
	sniff.Seven: readArchive,
	sniff.Cab:   readCabinet,

	sniff.Unknown: readDocument,
}

// Read reads a file of the given name, size and digest. Keys are armored OpenPGP
// keys that may have signed an RPM package, "" for none; code signatures are judged
// as of an instant. A format that packmill
// does not read gives its kind alone. A file that claims a format and breaks it is
// an error of kind Invalid that names the structure.
func Read(r io.ReaderAt, size int64, name string, sum fleet.Digest, keys string, at time.Time) (*fleet.Inspection, error) {
	kind, err := sniff.File(r, size)
	if err != nil {
		return nil, err
	}
	f := &found{keys: keys, at: at, out: &fleet.Inspection{
		Name: path.Base(strings.ReplaceAll(name, `\`, "/")), Size: size, SHA256: sum, Kind: string(kind), Signer: fleet.SignedBy{Unsigned: true},
	}}
	if read := readers[kind]; read != nil {
		if err := read(f, r, size); err != nil {
			return nil, named(f.out.Name, err)
		}
	}
	return f.out, nil
}

// named says of an error which file it is about.
func named(name string, err error) error {
	var own *fleet.Error
	if errors.As(err, &own) && own.Object == "" {
		with := *own
		with.Object = name
		return &with
	}
	return err
}

// found collects what a reader finds.
type found struct {
	out  *fleet.Inspection
	keys string
	at   time.Time
}

// fact notes a value unless it is empty.
func (f *found) fact(name, value string) {
	if value != "" {
		f.out.Facts = append(f.out.Facts, fleet.InspectedFact{Name: name, Value: value})
	}
}

// archIn is the processor that a file's name tells, "" when it tells none.
func archIn(name string) string {
	name = strings.ToLower(name)
	for _, w := range []struct{ word, arch string }{
		{"arm64", "arm64"}, {"aarch64", "arm64"}, {"x86_64", "x64"}, {"x86-64", "x64"}, {"amd64", "x64"}, {"win64", "x64"}, {"x64", "x64"},
		{"64-bit", "x64"}, {"64bit", "x64"}, {"ia32", "x86"}, {"win32", "x86"}, {"x86", "x86"}, {"i386", "x86"}, {"32-bit", "x86"},
	} {
		if strings.Contains(name, w.word) {
			return w.arch
		}
	}
	return ""
}
