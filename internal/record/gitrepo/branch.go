package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
)

// ErrMoved says that a branch is not where the caller thought: someone else
// moved it first. Read it again and decide anew.
var ErrMoved = errors.New("the branch has moved")

// SetBranch moves the branch (a name without refs/heads/) from the commit old
// to the commit new, if it stands at old; otherwise it fails with an error that
// is ErrMoved, kind Waiting. An empty old means that the branch must not exist
// yet, an empty new that it is removed.
//
// The branch that a work tree has checked out is not moved, kind Refused: its
// files would look changed.
func (r *Repo) SetBranch(name, old, new string) error {
	ref := plumbing.NewBranchReferenceName(name)
	if err := ref.Validate(); err != nil {
		return fleet.Errorf(fleet.Invalid, "gitrepo.branch", name, "is no name of a branch")
	}
	if new != "" {
		id, err := parseID(new)
		if err != nil {
			return err
		}
		if _, err := r.readCommit(id); err != nil {
			return err
		}
	}
	if head, err := r.store.Reference(plumbing.HEAD); err == nil && !r.bare && head.Target() == ref && old != "" {
		return &fleet.Error{Op: "gitrepo.branch", Object: name, Kind: fleet.Refused, Err: errors.New("is checked out in the work tree"),
			Hint: "git switch --detach, then run the command again"}
	}
	return r.setRef(ref, old, new)
}

// setRef is the compare-and-swap itself.
//
// Two locks guard it. An advisory lock on a file of packmill's own, which the
// system drops when a process dies, keeps packmill's processes apart. The
// <ref>.lock file keeps git's own processes out, as git's do among themselves;
// one that a killed packmill left behind is known by its content and taken
// over, which is safe under the first lock.
func (r *Repo) setRef(ref plumbing.ReferenceName, old, new string) error {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(r.dir, filepath.FromSlash(ref.String()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fleet.Errorf(fleet.Invalid, "gitrepo.branch", ref.Short(), "a branch of a shorter name is in the way: %w", err)
	}
	if err := r.holdRef(path); err != nil {
		return err
	}
	defer os.Remove(path + ".lock")
	is, err := r.Ref(ref.String())
	if err != nil {
		return err
	}
	if is != old {
		return fleet.Errorf(fleet.Waiting, "gitrepo.branch", ref.Short(), "%w: it is at %s, not at %s", ErrMoved, shown(is), shown(old))
	}
	if new == "" {
		err = r.store.RemoveReference(ref)
	} else {
		err = r.replace(path, new+"\n")
	}
	if err != nil {
		return &fleet.Error{Op: "gitrepo.branch", Object: ref.Short(), Kind: fleet.Internal, Err: err}
	}
	return nil
}

func shown(id string) string {
	if id == "" {
		return "nothing"
	}
	return id[:12]
}

// lock takes the advisory lock of the repository, under which refs move.
func (r *Repo) lock() (unlock func(), err error) {
	unlock, err = r.lockFile(context.Background(), "packmill.lock")
	if err == nil {
		r.sweep()
	}
	return unlock, err
}

// Occupy waits until nobody else occupies this clone, which release, or the end
// of the process, gives up again. Refs can be moved by others meanwhile.
func (r *Repo) Occupy(ctx context.Context) (release func(), err error) {
	return r.lockFile(ctx, "packmill-run.lock")
}

// lockFile takes an advisory lock, and waits for it as long as ctx lasts.
func (r *Repo) lockFile(ctx context.Context, name string) (unlock func(), err error) {
	f, err := osfs.New(r.dir).OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, &fleet.Error{Op: "gitrepo.lock", Object: r.dir, Kind: fleet.Internal, Err: err}
	}
	done := make(chan error, 1)
	go func() { done <- f.Lock() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		go func() { <-done; f.Close() }() // nobody can be told to stop waiting for a lock
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(&fleet.Error{Op: "gitrepo.lock", Object: r.dir, Kind: fleet.Internal, Err: err}, f.Close())
	}
	return func() { f.Unlock(); f.Close() }, nil
}

// sweep removes what a killed process left: temporary files are made under the
// lock alone, so any that is there when it is taken is nobody's. One that
// cannot be removed is in nobody's way.
func (r *Repo) sweep() {
	left, _ := filepath.Glob(filepath.Join(r.dir, "packmill-*.tmp"))
	for _, name := range left {
		os.Remove(name)
	}
}

// lockMark is what packmill writes into a ref's lock file.
const lockMark = "held by packmill\n"

// holdRef makes path.lock with lockMark in it, in one step: a file that is
// made first and written later could be left empty by a kill, and would then
// look like git's.
func (r *Repo) holdRef(path string) error {
	temp, err := r.temporary(lockMark)
	if err != nil {
		return &fleet.Error{Op: "gitrepo.lock", Object: path, Kind: fleet.Internal, Err: err}
	}
	defer os.Remove(temp)
	lock := path + ".lock"
	err = os.Link(temp, lock)
	if !errors.Is(err, fs.ErrExist) {
		if err != nil {
			err = &fleet.Error{Op: "gitrepo.lock", Object: lock, Kind: fleet.Internal, Err: err}
		}
		return err
	}
	if mark, err := os.ReadFile(lock); err == nil && string(mark) == lockMark {
		return nil
	}
	return &fleet.Error{Op: "gitrepo.lock", Object: lock, Kind: fleet.Waiting, Err: errors.New("another git process holds the branch"),
		Hint: "try again; if no git is running, remove the file"}
}

// replace makes the file at path hold text, whole or not at all.
func (r *Repo) replace(path, text string) error {
	temp, err := r.temporary(text)
	if err != nil {
		return err
	}
	// git leaves an empty folder where branches of a longer name were.
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if err := os.Remove(path); err != nil {
			os.Remove(temp)
			return fmt.Errorf("branches of a longer name are in the way: %w", err)
		}
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

// temporary writes a new file. It lies beside refs and not among them, so that
// nobody takes it for one.
func (r *Repo) temporary(text string) (string, error) {
	f, err := os.CreateTemp(r.dir, "packmill-*.tmp")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// hasUserInfo reports whether an address carries a user or a password. The
// user of ssh ("git@host:path", "ssh://git@host/path") is no credential.
func hasUserInfo(address string) bool {
	_, rest, ok := strings.Cut(address, "://")
	if !ok || strings.HasPrefix(address, "ssh://") {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains(host, "@")
}
