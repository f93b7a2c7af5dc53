package cli

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestKilledRunner kills the runner at each of the points after which a crash
// is most awkward. The next run reaches what a run that nobody killed reaches.
func TestKilledRunner(t *testing.T) {
	long(t, "runs the end of the week five times")
	want := endOf(t, finishedWorld(t, neverKill))
	if len(want.Receipts) == 0 || len(want.Apps) == 0 || len(want.Devices) == 0 || len(want.Groups) == 0 || len(want.Mail) == 0 {
		t.Fatalf("nothing to compare with: %s", asText(t, want))
	}
	want.same(t, want)
	for _, point := range killPoints() {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := finishedWorld(t, killPoint(point))
			if d := journalOf(t, dir); !d.Killed {
				t.Fatal("nobody was killed")
			}
			endOf(t, dir).same(t, want)
		})
	}
}

// TestKilledDemo kills the demo itself again and again: the simulators die
// with it while their answers are on the way, in the middle of every kind of
// step, and steps outlive it for a moment. Each time it is run again on its
// folder, and in the end reaches what it reaches in one go.
func TestKilledDemo(t *testing.T) {
	thorough(t, "runs a whole week, and parts of it again")
	exe := packmillProgram(t)
	want := endOf(t, finishedWorld(t, neverKill))
	dir := t.TempDir()
	for _, when := range []string{
		"forge/push 1",    // main is there, and nobody was told
		"forge/push 3",    // the second bump branch
		"forge/merge 2",   // merged, but not answered
		"forge/push 5",    // a build is in evidence
		"forge/open 1",    // the cycle is proposed
		"graph/assign 4",  // own devices, half of them
		"forge/merge 1",   // the revocation
		"graph/commit 20", // the big wave
	} {
		died(t, exe, dir, when)
	}
	random := rand.New(rand.NewPCG(2, 47))
	for _, by := range []os.Signal{os.Kill, os.Interrupt, os.Kill} {
		stopAfter(t, exe, dir, by, time.Duration(300+random.IntN(2500))*time.Millisecond)
	}
	if out, err := exec.Command(exe, "demo", "--dir", dir, "--format", "json").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	endOf(t, dir).same(t, want)
}

// died runs a demo that must die of a SIGKILL.
func died(t *testing.T, exe, dir, when string) {
	t.Helper()
	cmd := exec.Command(exe, dir)
	cmd.Env = append(os.Environ(), dieEnv+"="+when)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() >= 0 {
		t.Fatalf("%s: %v, want it to be killed\n%s", when, err, out)
	}
	t.Logf("killed after %s: %s", when, doneSteps(t, dir))
}

// stopAfter ends a demo by a signal at some instant, unless it is done before.
// Interrupted, it says so by its exit code.
func stopAfter(t *testing.T, exe, dir string, by os.Signal, after time.Duration) {
	t.Helper()
	cmd := exec.Command(exe, "demo", "--dir", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(by) })
	defer timer.Stop()
	if exit := (*exec.ExitError)(nil); errors.As(cmd.Wait(), &exit) && exit.ExitCode() >= 0 && (by == os.Kill || exit.ExitCode() != exitInterrupted) {
		t.Fatalf("exit %d\n%s", exit.ExitCode(), out.String())
	}
	t.Logf("%s after %s: %s", by, after, doneSteps(t, dir))
}

func doneSteps(t *testing.T, dir string) string {
	t.Helper()
	return strings.Join(journalOf(t, dir).Done, " ")
}

func journalOf(t *testing.T, dir string) demoJournal {
	t.Helper()
	d := &demo{dir: dir}
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	return d.journal
}
