package gitrepo

import (
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// A store is go-git's storage in a folder, made fit for a process that lives
// for hours beside others: go-git fills its pack index without a lock and
// never looks for packs that came later, so a fetch by git would leave objects
// unseen.
type store struct {
	*filesystem.Storage
	mu sync.Mutex
}

// retry runs f under the lock, and once more with a fresh pack index if the
// object was not found.
func (s *store) retry(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := f()
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return err
	}
	s.Reindex()
	return f()
}

// EncodedObject reads one object.
func (s *store) EncodedObject(t plumbing.ObjectType, id plumbing.Hash) (o plumbing.EncodedObject, err error) {
	err = s.retry(func() error {
		o, err = s.Storage.EncodedObject(t, id)
		return err
	})
	return o, err
}

// EncodedObjectSize is an object's size without reading it whole.
func (s *store) EncodedObjectSize(id plumbing.Hash) (n int64, err error) {
	err = s.retry(func() error {
		n, err = s.Storage.EncodedObjectSize(id)
		return err
	})
	return n, err
}

// HasEncodedObject is nil if the object is there. It does not look for new
// packs: asking for what is absent is its ordinary use.
func (s *store) HasEncodedObject(id plumbing.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.HasEncodedObject(id)
}

// DeltaObject reads one object as a delta, if it is stored as one.
func (s *store) DeltaObject(t plumbing.ObjectType, id plumbing.Hash) (o plumbing.EncodedObject, err error) {
	err = s.retry(func() error {
		o, err = s.Storage.DeltaObject(t, id)
		return err
	})
	return o, err
}

// HashesWithPrefix lists objects by the beginning of their id.
func (s *store) HashesWithPrefix(prefix []byte) ([]plumbing.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Reindex()
	return s.Storage.HashesWithPrefix(prefix)
}

// SetEncodedObject writes one object.
func (s *store) SetEncodedObject(o plumbing.EncodedObject) (plumbing.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.SetEncodedObject(o)
}

// PackfileWriter takes a pack from the network; closing it adds to the index,
// which therefore happens under the lock.
func (s *store) PackfileWriter() (io.WriteCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.Storage.PackfileWriter()
	if err != nil {
		return nil, err
	}
	return &packWriter{WriteCloser: w, mu: &s.mu}, nil
}

type packWriter struct {
	io.WriteCloser
	mu *sync.Mutex
}

func (w *packWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.WriteCloser.Close()
}

// Reference reads one ref.
func (s *store) Reference(name plumbing.ReferenceName) (*plumbing.Reference, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.Reference(name)
}

// IterReferences lists refs. go-git takes lock files for refs, and fails on
// one that git has just made and not yet filled; such a moment passes.
func (s *store) IterReferences() (storer.ReferenceIter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	iter, err := s.Storage.IterReferences()
	for tries := 0; errors.Is(err, dotgit.ErrEmptyRefFile) && tries < 50; tries++ {
		iter, err = s.Storage.IterReferences()
	}
	if err != nil {
		return nil, err
	}
	var refs []*plumbing.Reference
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		if !strings.HasSuffix(ref.Name().String(), ".lock") {
			refs = append(refs, ref)
		}
		return nil
	})
	return storer.NewReferenceSliceIter(refs), err
}
