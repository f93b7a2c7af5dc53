package factory_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
)

// The same release gives the same bytes, and the same key the same signatures,
// whatever the machine is set to and whoever builds. Each build is a process of
// its own: this test started again, on another day, in another zone, with
// another number of processors and other folders, and as another user where this
// one may.
func TestBuildTwiceIsTheSame(t *testing.T) {
	if path := os.Getenv("PACKMILL_BUILD_KEY"); path != "" {
		key, err := signing.Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		days, err := strconv.Atoi(os.Getenv("PACKMILL_BUILD_DAYS"))
		if err != nil {
			t.Fatal(err)
		}
		buildAll(t, key, days)
		return
	}
	path := filepath.Join(t.TempDir(), "mill.key")
	if _, err := signing.GenerateFile(path, nil); err != nil {
		t.Fatal(err)
	}
	var first string
	for i, env := range [][]string{
		{"TZ=UTC", "GOMAXPROCS=1", "LC_ALL=C", "PACKMILL_BUILD_DAYS=0"},
		{"TZ=Pacific/Auckland", "GOMAXPROCS=4", "LC_ALL=fi_FI.UTF-8", "PACKMILL_BUILD_DAYS=400"},
	} {
		cmd := elsewhere(t, path, i == 1)
		cmd.Args = append(cmd.Args, "-test.run=^TestBuildTwiceIsTheSame$", "-test.v")
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out[max(0, len(out)-2000):])
		}
		var built []string
		for line := range strings.Lines(string(out)) {
			if _, text, ok := strings.Cut(line, "built: "); ok {
				built = append(built, text)
			}
		}
		got := strings.Join(built, "")
		switch {
		case len(built) != 6:
			t.Fatalf("%d builds:\n%.4000s", len(built), out)
		case i == 0:
			first = got
		case got != first:
			t.Errorf("built\n%s\nthen\n%s", first, got)
		}
	}
}

// elsewhere is this test's program in folders of its own, with its own copy of
// the key. As somebody else it runs as the machine's nobody, if this is root
// and nobody can reach the tree.
func elsewhere(t *testing.T, key string, somebodyElse bool) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	own, program := filepath.Join(dir, "own.key"), os.Args[0]
	copyFile(t, key, own, 0o600)
	cmd := exec.CommandContext(t.Context(), program)
	if attributes := asNobody(); somebodyElse && attributes != nil {
		for _, open := range []string{filepath.Dir(dir), dir} {
			if err := os.Chmod(open, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		program = filepath.Join(dir, "program")
		copyFile(t, os.Args[0], program, 0o755)
		if err := os.Chown(own, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		probe := exec.CommandContext(t.Context(), "/bin/sh", "-c", "test -r ../format/pe/testdata/hello.exe && test -x "+program)
		probe.SysProcAttr = attributes
		if err := probe.Run(); err == nil {
			cmd = exec.CommandContext(t.Context(), program)
			cmd.SysProcAttr = attributes
		} else {
			t.Logf("not as another user: %v", err)
			own = key
		}
	}
	cmd.Env = append(os.Environ(), "PACKMILL_BUILD_KEY="+own, "TMPDIR="+dir, "HOME="+dir, "USER="+filepath.Base(dir))
	return cmd
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); errors.Join(err, out.Close()) != nil {
		t.Fatal(err)
	}
}

// buildAll logs everything that must not differ.
func buildAll(t *testing.T, key *signing.Key, days int) {
	w := settingsWorld(t)
	w.Attester = key
	w.Clock = fleet.NewManualClock(buildTime.AddDate(0, 0, days))
	for _, id := range []fleet.PackageID{"acme/hello", "acme/setup", "acme/linux", "acme/mac", "acme/proxy", "acme/baseline"} {
		p := w.make(t, id, w.repo.Packages[id].Versions()[0])
		t.Logf("built: %s %s %s %v %x %s %s %s", id, p.Built.Artifact, p.Built.Inputs, p.Built.Files, p.Sums, p.Built.Provenance, p.SumsBundle, p.BOMBundle)
	}
}
