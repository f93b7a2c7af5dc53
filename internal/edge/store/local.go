package store

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/packmill/packmill/internal/fleet"
)

// A Local is a file of an artifact on this machine, whole and verified, for
// readers that jump about in it. Close gives up what was made for it.
type Local struct {
	*os.File
	Size int64
	temp bool
}

// Close closes the file, and removes it if it was a copy.
func (l *Local) Close() error {
	err := l.File.Close()
	if l.temp {
		err = errors.Join(err, os.Remove(l.Name()))
	}
	return err
}

// Local opens a file of an artifact for random access: the stored file itself
// where the store is a layout, a copy below dir (the system's temporary folder
// when empty) otherwise. All bytes are compared with the digest first.
func (s *Store) Local(ctx context.Context, f fleet.BuiltFile, dir string) (*Local, error) {
	r, err := s.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if v, ok := r.(*verified); ok {
		if file, ok := v.ReadCloser.(*os.File); ok {
			return s.stored(r, file, f)
		}
	}
	file, err := os.CreateTemp(dir, "packmill-artifact-*")
	if err != nil {
		return nil, err
	}
	l := &Local{file, f.Size, true}
	if _, err := io.Copy(file, r); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// stored checks a file of the layout and opens it anew.
func (s *Store) stored(r io.Reader, file *os.File, f fleet.BuiltFile) (*Local, error) {
	again, err := os.Open(file.Name())
	if err != nil {
		return nil, err
	}
	before, err1 := file.Stat()
	after, err2 := again.Stat()
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(fleet.Errorf(fleet.Internal, "store.read", string(f.Digest), "the file was replaced while it was opened"), err, again.Close())
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, errors.Join(err, again.Close())
	}
	return &Local{again, f.Size, false}, nil
}
