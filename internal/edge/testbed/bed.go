package testbed

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Bed is this machine's place for cells: prepared bases and, while cells run,
// the layers above them.
type Bed struct {
	Dir    string              // cache folder; may be removed when no cell runs
	System fs.FS               // the machine's file system, for its package sources
	Getenv func(string) string // for the address of a proxy, while a base is fetched
	Say    func(what string)   // progress of what takes long; may be nil
}

// say tells progress.
func (b Bed) say(what string) {
	if b.Say != nil {
		b.Say(what)
	}
}

// program finds a program of this machine.
func program(cell, name, apt string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", waiting(cell, "apt-get install "+apt, "%s is not on this machine", name)
	}
	return filepath.EvalSymlinks(path)
}

// base is the folder of a prepared base. It is made by fill if there is none,
// once: others that want it at the same time wait for it, and a preparation
// that was killed is thrown away.
func (b Bed) base(ctx context.Context, name string, fill func(dir string) error) (string, error) {
	if strings.ContainsAny(b.Dir, ":,\\\n") {
		return "", fleet.Errorf(fleet.Invalid, "testbed.base", b.Dir, "the cache folder's path holds a character that mount options do not take")
	}
	dir := filepath.Join(b.Dir, "base", name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return "", err
	}
	if err := fill(partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	return dir, os.Rename(partial, dir)
}

// A layer is a writable view of a base, for one endpoint. Its lock is held as
// long as it is in use, so that a later run can tell what a killed one left.
type layer struct {
	dir    string // of this layer: upper, work, root
	root   string // what the cell sees
	unlock func()
}

// layer lays a writable view over base: an overlay for root, a copy for others.
func (b Bed) layer(ctx context.Context, base string) (*layer, error) {
	l, err := b.scratch(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.cover(ctx, base); err != nil {
		return nil, errors.Join(err, l.remove())
	}
	return l, nil
}

// scratch is a folder for as long as something runs, which goes like a layer.
func (b Bed) scratch(ctx context.Context) (*layer, error) {
	runs := filepath.Join(b.Dir, "run")
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return nil, err
	}
	// A folder whose lock is not held yet looks like one that a killed run left:
	// nobody sweeps while somebody makes one.
	done, err := lock(ctx, filepath.Join(b.Dir, "run.lock"))
	if err != nil {
		return nil, err
	}
	defer done()
	if err := sweep(ctx, runs); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(runs, "cell-")
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &layer{dir: dir, root: filepath.Join(dir, "root"), unlock: unlock}, nil
}

func (l *layer) cover(ctx context.Context, base string) error {
	if os.Geteuid() != 0 {
		return tool(ctx, "cp", "-a", "--reflink=auto", base, l.root)
	}
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(l.dir, name), 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=" + base + ",upperdir=" + filepath.Join(l.dir, "upper") + ",workdir=" + filepath.Join(l.dir, "work")
	return tool(ctx, "mount", "-t", "overlay", "-o", options, "overlay", l.root)
}

// remove takes the layer away, whatever became of the context it was made for.
func (l *layer) remove() error {
	defer l.unlock()
	return errors.Join(discard(context.Background(), l.dir), os.Remove(l.dir+".lock"))
}

// discard unmounts and deletes a layer's folder. Nothing is deleted while
// something is still mounted below it.
func discard(ctx context.Context, dir string) error {
	root := filepath.Join(dir, "root")
	if mounted(root) {
		if err := tool(ctx, "umount", root); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// mounted reports whether a folder is a mount point of its own.
func mounted(dir string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == dir {
			return true
		}
	}
	return false
}

// sweep discards the layers of runs that are no more: those whose lock is free.
func sweep(ctx context.Context, runs string) error {
	locks, err := filepath.Glob(filepath.Join(runs, "cell-*.lock"))
	if err != nil {
		return err
	}
	for _, name := range locks {
		unlock, free := tryLock(name)
		if !free {
			continue
		}
		err := errors.Join(discard(ctx, strings.TrimSuffix(name, ".lock")), os.Remove(name))
		unlock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// tool runs a program of the machine that is no part of any package.
func tool(ctx context.Context, name string, args ...string) error {
	return toolEnv(ctx, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, name, args...)
}

func toolEnv(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	out := &cappedBuffer{limit: maxOutput}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fleet.Errorf(fleet.Internal, "testbed.tool", name, "%w: %s", err, detail(out.String()))
	}
	return nil
}
