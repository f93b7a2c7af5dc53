package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"

	"github.com/packmill/packmill/internal/fleet"
)

// ownBed is a bed of the test's own over the bases that tests share, so that
// what is left in it is the test's.
func ownBed(t testing.TB, shared Bed) Bed {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(shared.Dir, "base"), filepath.Join(dir, "base")); err != nil {
		t.Fatal(err)
	}
	shared.Dir = dir
	t.Cleanup(func() { noLeftovers(t, shared) })
	return shared
}

// napping is how the victim's maintainer script can be told from other processes.
const napping = "sleep 314159"

// TestVictim is the process that TestKilled kills. It does nothing by itself.
func TestVictim(t *testing.T) {
	dir := os.Getenv("PACKMILL_VICTIM")
	if dir == "" {
		t.Skip("only for TestKilled")
	}
	bed := Bed{Dir: dir, System: os.DirFS("/"), Getenv: os.Getenv}
	this := debFixture{version: "1", program: "#!/bin/sh\n", scripts: nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\n"+napping+"\n")}}.candidate(t)
	_, err := NewChroot(bed).Run(t.Context(), debSpec(this, nil))
	t.Fatalf("it was not killed: %v", err)
}

// napper reports whether a process of that name runs anywhere on the machine.
func napper() bool {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil && strings.Contains(strings.ReplaceAll(string(data), "\x00", " "), napping) {
			return true
		}
	}
	return false
}

// TestKilled kills a process with a cell in full swing, with the signal that
// nobody can catch. The kernel ends what ran inside, and the next run takes away
// what lies about.
func TestKilled(t *testing.T) {
	cell := chrootCell(t)
	bed := ownBed(t, cell.bed)
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
	victim.Env = append(os.Environ(), "PACKMILL_VICTIM="+bed.Dir)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the script sleeps", napper)
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := victim.Wait(); !errors.As(err, &exit) {
		t.Fatalf("it ended with %v", err)
	}
	until(t, "the sandbox is gone", func() bool { return !napper() })
	if left, _ := filepath.Glob(filepath.Join(bed.Dir, "run", "cell-*")); len(left) == 0 {
		t.Error("the killed run left nothing, so nothing is proven")
	}
	own := NewChroot(bed)
	steps, err := own.Run(t.Context(), debSpec(debFixture{version: "1", program: "#!/bin/sh\n"}.candidate(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "install:passed", "gone:passed")
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestParallel runs eight cells of three kinds at once, each of which looks for
// the others' traces.
func TestParallel(t *testing.T) {
	chroot, rpms, wine := chrootCell(t), rpmCell(t), wineCell(t)
	bed := ownBed(t, chroot.bed)
	chroot, rpms, wine = NewChroot(bed), NewRPM(bed), NewWine(bed)
	var wait sync.WaitGroup
	for i := range 8 {
		version := fmt.Sprintf("1.%d.0", i)
		alone := "#!/bin/sh\nset -e\nfor f in /opt/only-*; do if [ -e $f ]; then exit 9; fi; done\ntouch /opt/only-" + version + "\n"
		var run func() ([]fleet.TestStep, error)
		switch i % 4 {
		case 0, 1:
			this := debFixture{version: version, program: "#!/bin/sh\necho " + version + "\n", scripts: nfpm.Scripts{PostInstall: script(t, alone)}}.candidate(t)
			run = func() ([]fleet.TestStep, error) { return chroot.Run(t.Context(), debSpec(this, nil)) }
		case 2:
			this := rpmCandidate(t, version, nfpm.Scripts{PostInstall: script(t, alone)})
			run = func() ([]fleet.TestStep, error) { return rpms.Run(t.Context(), rpmSpec(this, nil)) }
		case 3:
			this := portable(t, version, `if exist C:\only exit /b 9`+"\r\nmkdir C:\\only")
			run = func() ([]fleet.TestStep, error) {
				return wine.Run(t.Context(), windowsSpec(portableInstaller(), this, nil))
			}
		}
		wait.Go(func() {
			steps, err := run()
			if err != nil {
				t.Errorf("%s: %v", version, err)
				return
			}
			wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "uninstall:passed", "gone:passed")
			if got := detailOf(steps, "launch"); !strings.Contains(got, version) {
				t.Errorf("%s: launch says %q", version, got)
			}
		})
	}
	wait.Wait()
}
