package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/world"
)

// TestScripts runs testdata/script/<command>_<case>.txtar: packmill as people
// call it, in an empty folder, with an empty environment. In a script,
//
//	exec packmill …   runs this very test binary as packmill
//	exec git …        runs the machine's git, with an identity and no settings
//	world STEP        serves a copy of the demo's world as it was before a step
//	                  (see waypoints), or at the "end", in the folder world;
//	                  world/work is the mill's clone, $FORGE the forge's
//	                  repository, $NOW the instant of the step
//	merge BRANCH      lets people review and merge a branch of the forge
//	$FORMATS          the folder of the formats, whose testdata holds installers
//	portal TENANT COLLECTION NAME JSON   changes an object of a tenant of the
//	                  served world as a person in the portal does
//	document NAME     checks that standard output is the JSON document of that name
//
// UPDATE=1 rewrites the files that cmp compares with.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin := filepath.Dir(packmillProgram(t))
	formats, err := filepath.Abs("../format")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") == "1",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"world": serveScript, "merge": mergeScript, "document": checkScript, "portal": portalScript},
		Condition: func(cond string) (bool, error) {
			return cond == "long" && !testing.Short() && !raced, nil
		},
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"PATH":         bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
				"HOME":         env.WorkDir,
				"CUE_REGISTRY": "none",
				"NO_COLOR":     "1",
				"FORMATS":      formats,

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

// serveScript is the command world.
func serveScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: world STEP")
	}
	var from string
	var now time.Time
	var err error
	steps := demoSteps()
	for _, s := range steps {
		if s.name == args[0] {
			now = s.at
		}
	}
	switch {
	case args[0] == "end":
		now = steps[len(steps)-1].at
		from, err = worlds.finished(afterCall)
	default:
		from, err = worlds.until(1, args[0])
	}
	ts.Check(err)
	dir := ts.MkAbs("world")
	ts.Check(copyTree(from, dir))
	w, err := world.Open(context.Background(), world.Options{Dir: dir, Seed: 1})
	ts.Check(err)
	ts.Defer(func() { ts.Check(w.Close()) })
	served.Store(ts.MkAbs("."), w)
	w.SetTime(now)
	repo, err := gitrepo.Open(filepath.Join(dir, "work"))
	ts.Check(err)
	ts.Check(repo.SetRemote(w.RemoteURL()))
	for name, value := range w.Env(world.Bot) {
		ts.Setenv(name, value)
	}
	ts.Setenv("NOW", now.Format(time.RFC3339))
	ts.Setenv("FORGE", w.GitDir())
}

// served are the worlds that scripts serve, by the script's folder.
var served sync.Map

// portalScript is the command portal.
func portalScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: portal TENANT COLLECTION NAME JSON")
	}
	w, ok := served.Load(ts.MkAbs("."))
	if !ok {
		ts.Fatalf("no world is served")
	}
	var props map[string]any
	ts.Check(json.Unmarshal([]byte(args[3]), &props))
	ts.Check(w.(*world.World).Portal(fleet.TenantID(args[0]), args[1], args[2], props))
}

// checkScript is the command document.
func checkScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: document NAME")
	}
	if err := validDocument(args[0], ts.ReadFile("stdout")); err != nil {
		ts.Fatalf("%s: %v", args[0], strings.TrimSpace(err.Error()))
	}
}
