package msi

import (
	"fmt"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// A source is the file below, read within its stated size and, while a limit
// stands, no more than that many bytes of it.
type source struct {
	r    io.ReaderAt
	size int64
	left int64 // bytes that may still be read; negative when there is no limit
	at   int64 // where the last read began, for errors of the library
}

// ReadAt reads from the file below. A read outside of it is an error that says
// where, not the end of the file: whoever asked followed a pointer.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.at = off
	if off < 0 || off > s.size || int64(len(p)) > s.size-off {
		return 0, fmt.Errorf("%d bytes at offset %d lie past the end of %d", len(p), off, s.size)
	}
	if s.left >= 0 {
		if int64(len(p)) > s.left {
			return 0, fmt.Errorf("more than %d bytes describe where its streams are", maxDirectory)
		}
		s.left -= int64(len(p))
	}
	return s.r.ReadAt(p, off)
}

// invalid is an error about a whole file.
func invalid(format string, args ...any) error {
	return fleet.Errorf(fleet.Invalid, "msi.read", "", format, args...)
}

// damaged is an error about a structure: what it is, and at which of its bytes
// it is wrong. The offset of a container's structure is the file's, any other
// that of the stream which the structure names.
func damaged(structure string, offset int64, format string, args ...any) error {
	return invalid("%s, offset %d: %w", structure, offset, fmt.Errorf(format, args...))
}

// guard runs what indexes by numbers that a file states, in code that is not
// ours, and makes a panic an error.
func guard(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = invalid("malformed compound file (%v)", p)
		}
	}()
	return run()
}
