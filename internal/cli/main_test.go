package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestMain lets this test binary be packmill itself: as the policy lane's
// child, and under the name packmill, as tests and the demo's steps start it.
func TestMain(m *testing.M) {
	switch asPackmill := filepath.Base(os.Args[0]) == programName; {
	case asPackmill && os.Getenv(dieEnv) != "":
		os.Exit(dyingDemo(os.Args[1], os.Getenv(dieEnv)))
	case asPackmill || len(os.Args) > 1 && os.Args[1] == policyChildName:
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
	}
	code := m.Run()
	worlds.clear()
	os.Exit(code)
}

// run is one call of packmill in this process, with an environment of its own.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	code = Main(args, bytes.NewReader(nil), &out, &told, func(key string) string { return env[key] })
	return code, out.String(), told.String()
}
