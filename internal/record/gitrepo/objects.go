package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// The modes of tree entries, as git writes them.
const (
	modeFile       = "100644"
	modeExecutable = "100755"
	modeSymlink    = "120000"
	modeSubmodule  = "160000"
	modeTree       = "40000"
)

// An entry is one entry of a tree object.
type entry struct {
	name string
	mode string
	id   plumbing.Hash
}

func (e entry) isTree() bool { return e.mode == modeTree }

// sortName is what git orders a tree by: folders as if their names ended in a
// slash (fsck.c, verify_ordered).
func (e entry) sortName() string {
	if e.isTree() {
		return e.name + "/"
	}
	return e.name
}

// read reads an object of the given type, at most limit bytes of it.
func (r *Repo) read(t plumbing.ObjectType, id plumbing.Hash, limit int64) ([]byte, error) {
	o, err := r.store.EncodedObject(t, id)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, r.missing(t, id)
	}
	if err != nil {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.read", id.String(), "%s cannot be read: %w", t, err)
	}
	if o.Size() > limit {
		return nil, fleet.Errorf(fleet.Refused, "gitrepo.read", id.String(), "%s of %d bytes is larger than %d", t, o.Size(), limit)
	}
	in, err := o.Reader()
	if err != nil {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.read", id.String(), "%s cannot be read: %w", t, err)
	}
	defer in.Close()
	data := make([]byte, 0, max(o.Size(), 0)+bytes.MinRead)
	buf := bytes.NewBuffer(data)
	if _, err := io.Copy(buf, io.LimitReader(in, limit+1)); err != nil {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.read", id.String(), "%s cannot be read: %w", t, err)
	}
	if int64(buf.Len()) > limit {
		return nil, fleet.Errorf(fleet.Refused, "gitrepo.read", id.String(), "%s is larger than %d bytes", t, limit)
	}
	return buf.Bytes(), nil
}

// missing explains an absent object.
func (r *Repo) missing(t plumbing.ObjectType, id plumbing.Hash) error {
	e := fleet.Errorf(fleet.Invalid, "gitrepo.read", id.String(), "there is no such %s", t)
	if shallow, err := r.store.Shallow(); err == nil && len(shallow) > 0 {
		e.Hint = "this clone is shallow: git fetch --unshallow (actions/checkout: fetch-depth: 0)"
	}
	return e
}

// readTree reads and checks one tree object. Entries are in git's order.
func (r *Repo) readTree(id plumbing.Hash) ([]entry, error) {
	data, err := r.read(plumbing.TreeObject, id, maxBlob)
	if err != nil {
		return nil, err
	}
	entries, err := parseTree(data)
	if err != nil {
		return nil, fleet.Errorf(fleet.Refused, "gitrepo.read", id.String(), "tree is not safe: %w", err)
	}
	return entries, nil
}

// parseTree decodes a tree object: repeated "<mode> <name>\0<20 bytes>".
func parseTree(data []byte) ([]entry, error) {
	var entries []entry
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, spaced := strings.Cut(string(head), " ")
		if !ok || !spaced || len(rest) < len(plumbing.Hash{}) {
			return nil, errors.New("an entry is cut off")
		}
		switch mode {
		case modeFile, modeExecutable, modeSymlink, modeSubmodule, modeTree:
		case "100664": // group-writable, from the first years of git
			mode = modeFile
		default:
			return nil, fmt.Errorf("%.40q has mode %.20q", name, mode)
		}
		e := entry{name: name, mode: mode}
		data = rest[copy(e.id[:], rest):]
		if n := len(entries); n > 0 && entries[n-1].sortName() >= e.sortName() {
			return nil, fmt.Errorf("%.40q is out of order", name)
		}
		entries = append(entries, e)
	}
	return entries, checkNames(entries)
}

// write writes one object and returns its id.
func (r *Repo) write(t plumbing.ObjectType, data []byte) (plumbing.Hash, error) {
	o := &plumbing.MemoryObject{}
	o.SetType(t)
	if _, err := o.Write(data); err != nil {
		return plumbing.ZeroHash, fleet.Errorf(fleet.Internal, "gitrepo.write", t.String(), "%w", err)
	}
	if r.store.HasEncodedObject(o.Hash()) == nil {
		return o.Hash(), nil
	}
	id, err := r.store.SetEncodedObject(o)
	if err != nil {
		return id, &fleet.Error{Op: "gitrepo.write", Object: r.dir, Kind: fleet.Internal, Err: err}
	}
	return id, nil
}

// writeTree sorts, checks and writes one tree object.
func (r *Repo) writeTree(entries []entry) (plumbing.Hash, error) {
	if err := checkNames(entries); err != nil {
		return plumbing.ZeroHash, fleet.Errorf(fleet.Invalid, "gitrepo.write", "", "%w", err)
	}
	entries = slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return strings.Compare(a.sortName(), b.sortName()) })
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e.mode + " " + e.name + "\x00")
		b.Write(e.id[:])
	}
	return r.write(plumbing.TreeObject, b.Bytes())
}

// parseID reads a whole object id.
func parseID(id string) (plumbing.Hash, error) {
	if !plumbing.IsHash(id) || id != strings.ToLower(id) {
		return plumbing.ZeroHash, fleet.Errorf(fleet.Invalid, "gitrepo.read", id, "is no object id")
	}
	return plumbing.NewHash(id), nil
}

// ReadBlob reads the bytes of a blob by its id.
func (r *Repo) ReadBlob(id string) ([]byte, error) {
	h, err := parseID(id)
	if err != nil {
		return nil, err
	}
	return r.read(plumbing.BlobObject, h, maxBlob)
}

// WriteBlob writes a blob and returns its id.
func (r *Repo) WriteBlob(data []byte) (string, error) {
	id, err := r.write(plumbing.BlobObject, data)
	return id.String(), err
}
