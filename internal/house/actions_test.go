package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A step is one step of a job or of a composite action.
type step struct {
	Name string
	Uses string
	Run  string
	With map[string]any
	Env  map[string]any
}

// A workflow is what the rules below look at.
type workflow struct {
	On          any `yaml:"on"`
	Permissions any
	Jobs        map[string]struct {
		Permissions any
		Environment any
		Steps       []step
	}
}

var pinned = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+@[0-9a-f]{40}$`)

// parse reads a YAML file and gives its text too.
func parse(t *testing.T, name string, into any) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(data)
}

// yamls are the files of a pattern below the repository.
func yamls(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v %v", pattern, names, err)
	}
	return names
}

// checkStep is what every step owes: other people's actions by full commit id,
// and no expression inside a script, where its value would be read as shell.
func checkStep(t *testing.T, where string, s step) {
	t.Helper()
	if s.Uses != "" && !strings.HasPrefix(s.Uses, "./") && !pinned.MatchString(s.Uses) {
		t.Errorf("%s: %s is not pinned by a full commit id", where, s.Uses)
	}
	if strings.Contains(s.Run, "${{") {
		t.Errorf("%s: an expression inside run is shell injection; hand it over in env: %q", where, s.Run)
	}
	if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
		t.Errorf("%s: checkout leaves its token behind; set persist-credentials: false", where)
	}
}

// TestActions: a composite action is one command a step; only setup, which
// brings packmill, may be a script.
func TestActions(t *testing.T) {
	for _, name := range yamls(t, "actions/*/action.yml") {
		var action struct {
			Name, Description string
			Inputs            map[string]struct{ Description string }
			Runs              struct {
				Using string
				Steps []step
			}
		}
		parse(t, name, &action)
		if action.Name == "" || action.Description == "" || action.Runs.Using != "composite" || len(action.Runs.Steps) == 0 {
			t.Errorf("%s says nothing of itself, or is no composite action", name)
		}
		for input, about := range action.Inputs {
			if about.Description == "" {
				t.Errorf("%s: the input %s has no description", name, input)
			}
		}
		for _, s := range action.Runs.Steps {
			checkStep(t, name, s)
			setup := filepath.Base(filepath.Dir(name)) == "setup"
			if !setup && (!strings.HasPrefix(s.Run, "packmill ") || strings.ContainsAny(strings.TrimSpace(s.Run), "\n;|&")) {
				t.Errorf("%s: a step is one packmill command, not %q", name, s.Run)
			}
		}
	}
}

// TestWorkflows: nothing is permitted but what a job asks for itself, and what a
// pull request starts can only read.
func TestWorkflows(t *testing.T) {
	for _, name := range yamls(t, ".github/workflows/*.yml") {
		var w workflow
		text := parse(t, name, &w)
		if p, ok := w.Permissions.(map[string]any); !ok || len(p) != 1 || p["contents"] != "read" {
			t.Errorf("%s: the permissions of all jobs must be contents: read alone", name)
		}
		for job, j := range w.Jobs {
			if len(j.Steps) == 0 {
				t.Errorf("%s: job %s has no steps", name, job)
			}
			for _, s := range j.Steps {
				checkStep(t, name+" "+job, s)
			}
			if j.Permissions != nil && strings.Contains(text, "pull_request") {
				t.Errorf("%s: job %s of a pull request asks for more than reading", name, job)
			}
		}
		if strings.Contains(text, "pull_request_target") {
			t.Errorf("%s: pull_request_target gives strangers' code a token", name)
		}
		if strings.Contains(text, "pull_request") && (strings.Contains(text, "secrets.") || strings.Contains(text, "github.token")) {
			t.Errorf("%s: what a pull request starts is given a secret", name)
		}
	}
}
