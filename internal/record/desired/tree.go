package desired

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A Tree is the content of one commit. Paths are relative to its root, with
// forward slashes.
type Tree interface {
	// Commit is the hex id of the commit, "" for a work tree.
	Commit() string
	// Files lists everything below prefix that is not a folder, sorted by
	// path; nothing when there is no such folder. It never follows a symlink.
	Files(prefix string) ([]File, error)
	// Read is the content of a file that Files listed, up to MaxPayload bytes.
	Read(path string) ([]byte, error)
}

// A File is one entry of a Tree.
type File struct {
	Path string
	Blob string // git blob id, hex SHA-1
	Size int64
	Mode Mode
}

// A Mode says what an entry of a tree is.
type Mode int

// The modes. Only Regular files are read; the others are refused.
const (
	Regular   Mode = iota
	Symlink        // mode 120000
	Submodule      // mode 160000
	Other          // a device, a socket: work trees only
)

// MaxPayload is the largest file that is read from a tree, in bytes: icons,
// scripts, transforms. Installers are not kept in git.
const MaxPayload = 16 << 20

// Dir is the work tree at root. It is read through os.Root, which symlinks
// cannot leave. Close it after use.
func Dir(root string) (*DirTree, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return &DirTree{root: r}, nil
}

// A DirTree is a folder on disk as a Tree.
type DirTree struct{ root *os.Root }

// Close ends the use of the tree.
func (t *DirTree) Close() error { return t.root.Close() }

// Commit is empty: a work tree need not be any commit's.
func (t *DirTree) Commit() string { return "" }

// Files lists the files below prefix. Folders named .git are left out.
func (t *DirTree) Files(prefix string) ([]File, error) {
	start := path.Clean(prefix)
	if !fs.ValidPath(start) {
		return nil, fmt.Errorf("list %q: %w", prefix, fs.ErrInvalid)
	}
	if info, err := t.root.Lstat(start); err == nil && !info.IsDir() {
		file, err := t.file(start, fs.FileInfoToDirEntry(info))
		return []File{file}, err
	}
	var files []File
	err := fs.WalkDir(t.root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if name == start && errors.Is(err, fs.ErrNotExist) {
				return fs.SkipAll
			}
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		file, err := t.file(name, entry)
		if err != nil {
			return err
		}
		files = append(files, file)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", prefix, err)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

func (t *DirTree) file(name string, entry fs.DirEntry) (File, error) {
	info, err := entry.Info()
	if err != nil {
		return File{}, err
	}
	file := File{Path: name, Size: info.Size()}
	switch {
	case entry.Name() == ".git": // a submodule's link to its repository
		return File{Path: path.Dir(name), Mode: Submodule}, nil
	case info.Mode()&fs.ModeSymlink != 0:
		file.Mode = Symlink
		return file, nil
	case !info.Mode().IsRegular():
		file.Mode = Other
		return file, nil
	case file.Size > MaxPayload:
		return file, nil // refused later, not worth hashing
	}
	data, err := t.Read(name)
	if err != nil {
		return File{}, err
	}
	file.Blob = blobID(data)
	return file, nil
}

// Read is the content of a file.
func (t *DirTree) Read(name string) ([]byte, error) {
	f, err := t.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > MaxPayload {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, MaxPayload)
	}
	return data, nil
}

// blobID is the id git gives the content as a blob.
func blobID(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// MapTree is a tree in memory: path → content. It serves what packmill is about
// to write, and tests.
type MapTree map[string][]byte

// Commit is empty.
func (m MapTree) Commit() string { return "" }

// Files lists the files below prefix.
func (m MapTree) Files(prefix string) ([]File, error) {
	var files []File
	prefix = strings.TrimSuffix(prefix, "/") + "/"
	for name, data := range m {
		if prefix == "./" || strings.HasPrefix(name, prefix) {
			files = append(files, File{Path: name, Blob: blobID(data), Size: int64(len(data))})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// Read is the content of a file.
func (m MapTree) Read(name string) ([]byte, error) {
	data, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return data, nil
}
