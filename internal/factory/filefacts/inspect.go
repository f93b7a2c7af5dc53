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
	sniff.MachO: readMachO,
}

// Read reads a file of the given name, size and digest. A format that packmill
// does not read gives its kind alone. A file that claims a format and breaks it is
// an error of kind Invalid that names the structure.
func Read(r io.ReaderAt, size int64, name string, sum fleet.Digest) (*fleet.Inspection, error) {
	kind, err := kindOf(r, size)
	if err != nil {
		return nil, err
	}
	f := &found{out: &fleet.Inspection{
		Name: path.Base(strings.ReplaceAll(name, `\`, "/")), Size: size, SHA256: sum, Kind: string(kind), Signer: fleet.SignedBy{Unsigned: true},
	}}
	if read := readers[kind]; read != nil {
		if err := read(f, r, size); err != nil {
			return nil, named(f.out.Name, err)
		}
	}
	return f.out, nil
}

// kindOf tells the kind of a file by its first bytes and its last.
func kindOf(r io.ReaderAt, size int64) (sniff.Kind, error) {
	head := make([]byte, min(size, sniff.Window))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	const trailer = 512
	tail := make([]byte, min(size, trailer))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return sniff.Tail(sniff.Bytes(head), tail), nil
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
type found struct{ out *fleet.Inspection }

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
