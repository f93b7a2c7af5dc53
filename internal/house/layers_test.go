package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/packmill/packmill"

// below lists, for each room, the rooms its packages may import. A room that
// is not listed does not exist: a new one is an architectural decision.
var below = map[string][]string{
	"cmd":       {"cli"},
	"cli":       {"factory", "sim", "view", "edge", "record", "transport", "rules", "format", "fleet"},
	"factory":   {"view", "edge", "record", "transport", "rules", "format", "fleet"},
	"sim":       {"view", "edge", "record", "transport", "rules", "format", "fleet"},
	"view":      {"record", "rules", "fleet"},
	"edge":      {"transport", "format", "rules", "fleet"},
	"record":    {"rules", "format", "fleet"},
	"transport": {"fleet"},
	"rules":     {"fleet"},
	"format":    {"fleet"},
	"fleet":     {},
	"testreq":   {},
	"house":     {},
}

// belowInTests lists what tests may import beyond that.
var belowInTests = map[string][]string{
	"factory": {"sim"},
}

// apart are the rooms whose packages never import each other.
var apart = []string{"edge", "format"}

// A listed is what `go list -json` tells about a package, as far as needed.
type listed struct {
	ImportPath, Dir, Name, Doc           string
	Imports, TestImports, XTestImports   []string
	GoFiles, TestGoFiles, XTestGoFiles   []string
	CgoFiles, IgnoredGoFiles, EmbedFiles []string
}

func TestLayers(t *testing.T) {
	packages := list(t)
	if len(packages) < 3 {
		t.Fatalf("go list found %d packages: the test looks at nothing", len(packages))
	}
	for _, p := range packages {
		for _, imported := range p.Imports {
			if why := refused(p.ImportPath, imported, false); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if why := refused(p.ImportPath, imported, true); why != "" {
				t.Errorf("a test of %s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

// TestRefused tries the rule itself, so that a mistake in it cannot make
// TestLayers pass in silence.
func TestRefused(t *testing.T) {
	in := func(room string) string { return module + "/internal/" + room }
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{module + "/cmd/packmill", in("cli"), false, true},
		{module + "/cmd/packmill", in("factory"), false, false},
		{in("cli"), in("sim/forge"), false, true},
		{in("factory"), in("sim"), false, false},
		{in("factory"), in("sim"), true, true},
		{in("factory"), in("cli"), true, false},
		{in("edge/forge"), in("sim/forge"), true, false},
		{in("edge/forge"), in("edge/intune"), false, false},
		{in("edge/forge"), in("edge/forge"), true, true},
		{in("edge/forge"), in("edge/forge/internal/pages"), false, true},
		{in("edge/forge"), in("edge/forgery"), false, false},
		{in("edge/forge"), in("record/gitrepo"), false, false},
		{in("format/msi"), in("format/pe"), true, false},
		{in("record/desired"), in("record/schema"), false, true},
		{in("record/desired"), in("edge/store"), false, false},
		{in("rules/rollout"), in("rules/gate"), false, true},
		{in("rules/rollout"), in("format/msi"), false, false},
		{in("view"), in("edge/forge"), false, false},
		{in("fleet"), "slices", false, true},
		{in("fleet"), "golang.org/x/text/language", false, false},
		{in("rules/gate"), "net/http", false, false},
		{in("rules/gate"), "os", true, true},
		{in("format/msi"), "os/exec", false, false},
		{in("view"), in("testreq"), true, true},
		{in("view"), in("testreq"), false, false},
		{in("cellar"), in("fleet"), false, false},
	} {
		why := refused(c.from, c.to, c.test)
		if (why == "") != c.ok {
			t.Errorf("%s -> %s (test %v): %q, want allowed %v", c.from, c.to, c.test, why, c.ok)
		}
	}
}

// refused says why the package from may not import to, "" if it may.
func refused(from, to string, test bool) string {
	room, part := roomOf(from)
	if _, known := below[room]; !known {
		return "there is no room called " + room
	}
	if to != module && !strings.HasPrefix(to, module+"/") {
		return refusedOutside(room, to, test)
	}
	target, targetPart := roomOf(to)
	switch {
	case target == "testreq" && room != "testreq":
		if !test {
			return "testreq is for tests"
		}
		return ""
	case target == room && slices.Contains(apart, room) && part != targetPart:
		return "packages of " + room + " stand apart from each other"
	case target == room, slices.Contains(below[room], target):
		return ""
	case test && slices.Contains(belowInTests[room], target):
		return ""
	}
	return target + " is not below " + room
}

// refusedOutside judges imports from outside the module: the vocabulary takes
// nothing but the standard library, and decisions and formats reach for
// nothing outside their arguments.
func refusedOutside(room, to string, test bool) string {
	first, _, _ := strings.Cut(to, "/")
	if room == "fleet" && strings.Contains(first, ".") {
		return "fleet takes the standard library only"
	}
	impure := to == "os" || strings.HasPrefix(to, "os/") || to == "net" || to == "net/http"
	if (room == "rules" || room == "format") && impure && !test {
		return room + " is pure: no files, processes or network"
	}
	return ""
}

// roomOf splits an import path into its room and the part within it:
// "edge" and "forge" for …/internal/edge/forge/internal/pages.
func roomOf(path string) (room, part string) {
	rest := strings.TrimPrefix(strings.TrimPrefix(path, module+"/"), "internal/")
	rest = strings.TrimSuffix(strings.TrimSuffix(rest, ".test"), "_test")
	words := strings.Split(rest, "/")
	if len(words) > 1 {
		part = words[1]
	}
	return words[0], part
}

// list runs `go list` over the module.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", "./...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}
