package cli

import (
	"bytes"
	"os"
	"testing"
)

// TestMain lets this test binary be packmill itself when a test, or the policy
// lane, starts it as a child process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == policyChildName || os.Getenv("PACKMILL_TEST_MAIN") == "1" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
	}
	os.Exit(m.Run())
}

// run is one call of packmill in this process, with an environment of its own.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	code = Main(args, bytes.NewReader(nil), &out, &told, func(key string) string { return env[key] })
	return code, out.String(), told.String()
}
