package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage"
)

// go-git empties a ref or the config file and then fills it: a kill in between
// leaves a clone in which nothing works any more. So these files are made
// beside their place and renamed into it, as git does.

// SetReference writes one ref, wherever it stood.
func (s *store) SetReference(ref *plumbing.Reference) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setReference(ref)
}

// CheckAndSetReference writes one ref if it stands at old. Between processes
// that is no swap: it is for the refs that a fetch keeps, where the last one to
// look is right. Branches are moved by SetBranch, under a lock.
func (s *store) CheckAndSetReference(ref, old *plumbing.Reference) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old != nil {
		is, err := s.Storage.Reference(old.Name())
		if err != nil {
			return err
		}
		if is.Hash() != old.Hash() {
			return storage.ErrReferenceHasChanged
		}
	}
	return s.setReference(ref)
}

func (s *store) setReference(ref *plumbing.Reference) error {
	name := ref.Name().String()
	if ref.Type() != plumbing.HashReference || !strings.HasPrefix(name, "refs/") || ref.Name().Validate() != nil {
		return s.Storage.SetReference(ref)
	}
	path := filepath.Join(s.root(), filepath.FromSlash(name))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if err := os.Remove(path); err != nil { // an empty folder is nobody's
			return err
		}
	}
	return s.replace(path, ref.Hash().String()+"\n")
}

// SetConfig writes the repository's config file.
func (s *store) SetConfig(c *config.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	data, err := c.Marshal()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replace(filepath.Join(s.root(), "config"), string(data))
}

func (s *store) root() string { return s.Storage.Filesystem().Root() }

// replace makes the file at path hold text, whole or not at all.
func (s *store) replace(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(s.root(), "replace-*.tmp")
	if err != nil {
		return err
	}
	_, err = temp.WriteString(text)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}
