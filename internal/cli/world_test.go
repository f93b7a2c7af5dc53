package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/testreq"
)

// A shelf keeps demo worlds that tests share. A week takes some seconds, and
// most tests only look at what became of it; those that change a world take a
// copy.
type shelf struct {
	mu   sync.Mutex
	dir  string // "" until something is put on it
	once map[string]func() (string, error)
	busy chan struct{} // as many weeks at a time as a small machine has room for
}

var worlds = &shelf{once: map[string]func() (string, error){}, busy: make(chan struct{}, 2)}

// clear removes everything: TestMain calls it at the end.
func (s *shelf) clear() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// keep makes something in a folder of the shelf the first time it is asked
// for, and gives that folder.
func (s *shelf) keep(name string, fill func(dir string) error) (string, error) {
	get, err := s.maker(name, fill)
	if err != nil {
		return "", err
	}
	dir, err := get()
	if err != nil {
		return "", fmt.Errorf("world %q: %w", name, err)
	}
	return dir, nil
}

func (s *shelf) maker(name string, fill func(dir string) error) (func() (string, error), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "packmill-worlds-")
		if err != nil {
			return nil, err
		}
		s.dir = dir
	}
	if s.once[name] == nil {
		dir := filepath.Join(s.dir, name)
		s.once[name] = sync.OnceValues(func() (string, error) { return dir, fill(dir) })
	}
	return s.once[name], nil
}

// got is a folder of the shelf for a test.
func got(t *testing.T, dir string, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// packmill is a program that is packmill, by its name: this test binary under
// another name. See TestMain.
func (s *shelf) packmill() (string, error) {
	dir, err := s.keep("bin", func(dir string) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if os.Link(self, filepath.Join(dir, programName)) == nil {
			return nil
		}
		return copyFile(self, filepath.Join(dir, programName), 0o755)
	})
	return filepath.Join(dir, programName), err
}

// waypoints are the steps of the week before which worlds are kept; each goes on
// from the one before.
var waypoints = []string{"open", "dogfood", "revoke", "everyone"}

// until is the world of a seed before a waypoint, nobody killed.
func (s *shelf) until(seed int64, step string) (string, error) {
	i := slices.Index(waypoints, step)
	if i < 0 {
		return "", fmt.Errorf("no world is kept as it was before %q, but before %q", step, waypoints)
	}
	return s.keep(fmt.Sprintf("%s-%d", step, seed), func(dir string) error {
		if i > 0 {
			from, err := s.until(seed, waypoints[i-1])
			if err != nil {
				return err
			}
			if err := copyTree(from, dir); err != nil {
				return err
			}
		}
		return s.week(dir, seed, neverKill, step)
	})
}

// monday is the world of seed 1 on the eve of its last wave: everything before
// the step in which the runner is killed.
func (s *shelf) monday() (string, error) { return s.until(1, "everyone") }

// finished is the world of seed 1 at the end of the week whose runner was
// killed at a point.
func (s *shelf) finished(kill killPoint) (string, error) {
	return s.keep("finished-"+string(kill), func(dir string) error {
		monday, err := s.monday()
		if err != nil {
			return err
		}
		if err := copyTree(monday, dir); err != nil {
			return err
		}
		return s.week(dir, 1, kill, "")
	})
}

// week runs the demo in this process, its steps as processes of their own, up
// to a step. In a folder where a week has begun, it goes on with it.
func (s *shelf) week(dir string, seed int64, kill killPoint, until string) error {
	exe, err := s.packmill()
	if err != nil {
		return err
	}
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	if err := setKill(dir, kill); err != nil {
		return err
	}
	d, err := openDemo(context.Background(), exe, dir, seed, kill)
	if err != nil {
		return err
	}
	defer d.close()
	d.until = until
	return d.run(context.Background())
}

// openDemo opens a demo as the command would, whose steps run exe.
func openDemo(ctx context.Context, exe, dir string, seed int64, kill killPoint) (*demo, error) {
	a := &app{stdin: nil, stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}
	d, err := a.newDemo(ctx, dir, seed, kill)
	if err != nil {
		return nil, err
	}
	d.exe, d.quiet = exe, true
	return d, nil
}

// setKill plans the kill of a week that has begun.
func setKill(dir string, kill killPoint) error {
	file := filepath.Join(dir, "demo.json")
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	var journal demoJournal
	if err == nil {
		err = json.Unmarshal(data, &journal)
	}
	if err != nil {
		return err
	}
	journal.KillAt = kill
	if data, err = json.Marshal(journal); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// copyTree copies a folder with the modes of its files: keys that others may
// read are refused.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return copyFile(path, filepath.Join(to, rel), info.Mode().Perm())
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		return err
	}
	return os.Chmod(to, mode) // whatever the mask
}

// programName is how the test binary must be called to be packmill.
const programName = "packmill"

// dieEnv names the event after which a demo process ends itself by SIGKILL,
// and how often it must happen: "forge/merge 2".
const dieEnv = "PACKMILL_TEST_DIE"

// dyingDemo is the demo command in a process that kills itself.
func dyingDemo(dir, when string) int {
	var name, times string
	if n, err := fmt.Sscan(when, &name, &times); n != 2 {
		fmt.Fprintln(os.Stderr, err)
		return exitInvalid
	}
	left, err := strconv.Atoi(times)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitInvalid
	}
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitInternal
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitInternal
	}
	d, err := openDemo(context.Background(), exe, dir, 1, neverKill)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitCode(err)
	}
	d.mu.Lock()
	d.watch = func(e event.Event) {
		if e.Service+"/"+e.Name != name {
			return
		}
		if left--; left == 0 {
			_ = self.Kill() // SIGKILL
			select {}       // it is on its way
		}
	}
	d.mu.Unlock()
	if err := d.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitCode(err)
	}
	return exitDone
}

// long is for tests that need whole weeks: they run beside others, and neither
// under -short nor under the race detector.
func long(t *testing.T, why string) {
	t.Helper()
	if testing.Short() || raced {
		t.Skip(why)
	}
	t.Parallel()
}

// thorough is for long tests that a plain run leaves out.
func thorough(t *testing.T, why string) {
	t.Helper()
	testreq.Thorough(t, why)
	long(t, why)
}

// copied is a copy of a world for one test: opening a world changes it, and
// tests run side by side.
func copied(t *testing.T, dir string) string {
	t.Helper()
	own := t.TempDir()
	if err := copyTree(dir, own); err != nil {
		t.Fatal(err)
	}
	return own
}

// packmillProgram, mondayWorld and finishedWorld are what the shelf has, for tests
// that only read it.
func packmillProgram(t *testing.T) string {
	t.Helper()
	exe, err := worlds.packmill()
	return got(t, exe, err)
}

func mondayWorld(t *testing.T) string {
	t.Helper()
	dir, err := worlds.monday()
	return got(t, dir, err)
}

func finishedWorld(t *testing.T, kill killPoint) string {
	t.Helper()
	dir, err := worlds.finished(kill)
	return got(t, dir, err)
}
