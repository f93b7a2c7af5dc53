// Package testreq decides what a test does when a real part it needs (root,
// Wine, a chroot, a server) is not on this machine: it skips with the reason,
// or fails where PACKMILL_REQUIRE=all says that every part must be there.
package testreq

import (
	"os"
	"os/exec"
	"testing"
)

// Need goes on if have is true. Otherwise it skips the test with the reason,
// or fails it under PACKMILL_REQUIRE=all.
func Need(t testing.TB, part string, have bool, reason string) {
	t.Helper()
	if have {
		return
	}
	if os.Getenv("PACKMILL_REQUIRE") == "all" {
		t.Fatalf("PACKMILL_REQUIRE=all, but %s is missing: %s", part, reason)
	}
	t.Skipf("needs %s: %s", part, reason)
}

// Program needs a program on PATH and returns its path.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	Need(t, name, err == nil, "not on PATH")
	return path
}

// Root needs the user to be root.
func Root(t testing.TB) {
	t.Helper()
	Need(t, "root", os.Geteuid() == 0, "the test changes file ownership or mounts")
}

// Thorough is for tests that take minutes: they try in more ways what others
// try in one. They run where PACKMILL_REQUIRE=all asks for everything; a plain
// run of a package ends within go test's ten minutes on a small machine.
func Thorough(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("PACKMILL_REQUIRE") != "all" {
		t.Skipf("%s; set PACKMILL_REQUIRE=all", why)
	}
}
