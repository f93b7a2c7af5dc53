package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script/<command>_<case>.txtar: packmill as people
// call it, in an empty folder, with an empty environment. In a script,
//
//	exec packmill …   runs this very test binary as packmill
//	exec git …        runs the machine's git, with an identity and no settings
//
// UPDATE=1 rewrites the files that cmp compares with.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(worlds.packmill(t))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") == "1",
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"PATH":         bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
				"HOME":         env.WorkDir,
				"CUE_REGISTRY": "none",
				"NO_COLOR":     "1",

				"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull,
				"GIT_AUTHOR_NAME": "A. Author", "GIT_AUTHOR_EMAIL": "author@operator.example",
				"GIT_COMMITTER_NAME": "A. Author", "GIT_COMMITTER_EMAIL": "author@operator.example",
			} {
				env.Setenv(name, value)
			}
			return nil
		},
	})
}
