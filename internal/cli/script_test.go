package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/graph"
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
//	meddle TENANT [LOGIN]  changes an app of packmill's in a tenant of the world:
//	                  as a person, or with packmill's credential behind its back
//	merge BRANCH      lets people review and merge a branch of the forge
//	$FORMATS          the folder of the formats, whose testdata holds installers
//	portal TENANT COLLECTION NAME JSON   changes an object of a tenant of the
//	                  served world as a person in the portal does
//	decide TENANT STATUS   an administrator approves, rejects or cancels what waits
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world": serveScript, "merge": mergeScript, "meddle": meddleScript, "decide": decideScript, "document": checkScript, "portal": portalScript,
		},
		Condition: func(cond string) (bool, error) {
			return cond == "long" && !testing.Short() && !raced, nil
		},
		Setup: func(env *testscript.Env) error {
			env.Values[servedWorld] = new(*world.World)
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
	if len(args) < 1 {
		ts.Fatalf("usage: world STEP [TENANT=WHAT...]")
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
	w, err := world.Open(context.Background(), world.Options{Dir: dir, Seed: 1, Tenant: odd(args[1:])})
	ts.Check(err)
	ts.Defer(func() { ts.Check(w.Close()) })
	w.SetTime(now)
	*ts.Value(servedWorld).(**world.World) = w
	repo, err := gitrepo.Open(filepath.Join(dir, "work"))
	ts.Check(err)
	ts.Check(repo.SetRemote(w.RemoteURL()))
	for name, value := range w.Env(world.Bot) {
		ts.Setenv(name, value)
	}
	ts.Setenv("NOW", now.Format(time.RFC3339))
	ts.Setenv("FORGE", w.GitDir())
}

// portalScript is the command portal.
func portalScript(ts *testscript.TestScript, _ bool, args []string) {
	w := *ts.Value(servedWorld).(**world.World)
	if len(args) != 4 || w == nil {
		ts.Fatalf("usage: portal TENANT COLLECTION NAME JSON, after world")
	}
	var props map[string]any
	ts.Check(json.Unmarshal([]byte(args[3]), &props))
	ts.Check(w.Portal(fleet.TenantID(args[0]), args[1], args[2], props))
}

// servedWorld is where a script keeps the world that it serves.
const servedWorld = "world"

// meddleScript is the command meddle.
func meddleScript(ts *testscript.TestScript, _ bool, args []string) {
	w := *ts.Value(servedWorld).(**world.World)
	if len(args) < 1 || len(args) > 2 || w == nil {
		ts.Fatalf("usage: meddle TENANT [LOGIN], after world")
	}
	ts.Check(w.Meddle(context.Background(), fleet.TenantID(args[0]), strings.Join(args[1:], "")))
}

// odd makes tenants odd: "unconsented" does not know the application, "groups"
// did not grant it groups, "approvals" wants a second person for changes of apps,
// "comanaged" has devices that Configuration Manager serves.
func odd(list []string) func(fleet.TenantID, *graph.Tenant) {
	what := map[string]func(*graph.Tenant){
		"unconsented": func(t *graph.Tenant) { t.SignIn = 700016 },
		"approvals":   func(t *graph.Tenant) { t.Approvals = []string{"app"} },
		"groups": func(t *graph.Tenant) {
			for _, p := range msgraph.Permissions() {
				if p.Role != "Group.ReadWrite.All" {
					t.Roles = append(t.Roles, p.Role)
				}
			}
		},
		"comanaged": func(t *graph.Tenant) {
			for i := range 2 {
				t.Devices[i].Agent, t.Devices[i].Owned = "configurationManagerClientMdm", []string{"apps"}
			}
		},
	}
	return func(id fleet.TenantID, t *graph.Tenant) {
		for _, arg := range list {
			if name, how, _ := strings.Cut(arg, "="); name == string(id) {
				what[how](t)
			}
		}
	}
}

// decideScript is the command decide.
func decideScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: decide TENANT STATUS")
	}
	n, err := (*ts.Value(servedWorld).(**world.World)).Decide(fleet.TenantID(args[0]), args[1], "")
	ts.Check(err)
	if n == 0 {
		ts.Fatalf("nothing of %s waits", args[0])
	}
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
