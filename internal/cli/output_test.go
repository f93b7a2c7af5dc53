package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

func printer(env map[string]string) (*app, *bytes.Buffer) {
	var out bytes.Buffer
	return &app{stdout: &out, stderr: &bytes.Buffer{}, getenv: func(k string) string { return env[k] }}, &out
}

func listed() result {
	table := view.Table{Columns: view.Cols("package", "devices>")}
	table.Add("igor-pavlov/7-zip", "40")
	table.Add("=cmd|' /C calc'!A1\x1b[2J", "-3")
	return result{name: "schemas", value: schemaList{Documents: []schemaEntry{{Name: "x"}}}, table: table}
}

func TestFormats(t *testing.T) {
	tests := map[format]string{
		formatTable:    "PACKAGE                DEVICES\nigor-pavlov/7-zip           40\n=cmd|' /C calc'!A1[2J       -3\n",
		formatCSV:      "package,devices\nigor-pavlov/7-zip,40\n'=cmd|' /C calc'!A1[2J,-3\n",
		formatMarkdown: "| package | devices |\n| --- | ---: |\n| igor-pavlov/7-zip | 40 |\n| =cmd\\|' /C calc'!A1\\[2J | -3 |\n",
		formatJSON:     "{\n  \"schema\": \"packmill.dev/schemas/v1\",\n  \"documents\": [\n    {\n      \"name\": \"x\",\n      \"schema\": \"\",\n      \"about\": \"\"\n    }\n  ]\n}\n",
	}
	for f, want := range tests {
		a, out := printer(nil)
		if err := a.write(f, listed()); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("%s\n got %q\nwant %q", f, got, want)
		}
	}
}

func TestFormatFlag(t *testing.T) {
	code, _, stderr := run(t, nil, "schema", "--format", "xml")
	if code != exitInvalid || !strings.Contains(stderr, "not one of [table json csv]") {
		t.Errorf("code %d: %s", code, stderr)
	}
	cmd := &cobra.Command{Use: "x"}
	if f := formatFlag(cmd, formatText, formatJSON); *f != formatText {
		t.Errorf("default %s", *f)
	}
	if err := cmd.Flags().Set("format", "json"); err != nil {
		t.Error(err)
	}
}

// TestUnregistered makes sure that no JSON leaves without a schema: neither an
// unknown name nor another type under a known one.
func TestUnregistered(t *testing.T) {
	a, out := printer(nil)
	for _, r := range []result{{name: "nowhere", value: schemaList{}}, {name: "schemas", value: schemaEntry{}}, {name: "schemas"}} {
		if err := a.write(formatJSON, r); fleet.KindOf(err) != fleet.Internal {
			t.Errorf("%v: %v", r.value, err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", out)
	}
}

func TestAnnotations(t *testing.T) {
	var findings fleet.Errors
	for range 12 {
		findings = append(findings, &fleet.Error{Pos: fleet.Pos{File: "a,b:c.cue", Line: 3, Col: 4}, Object: "x", Kind: fleet.Invalid, Err: errors.New("100%\nwrong")})
	}
	findings = append(findings, &fleet.Error{Kind: fleet.Waiting, Err: errors.New("not yet")})
	summary := filepath.Join(t.TempDir(), "summary.md")
	a, out := printer(map[string]string{"GITHUB_STEP_SUMMARY": summary})
	r := listed()
	r.findings = findings
	if err := a.write(formatGitHub, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 12 || lines[0] != "::error file=a%2Cb%3Ac.cue,line=3,col=4::x: 100%25%0Awrong" ||
		lines[10] != "::warning::not yet" || !strings.HasPrefix(lines[11], "2 more") {
		t.Errorf("%q", lines)
	}
	text, err := os.ReadFile(summary)
	if err != nil || !strings.HasPrefix(string(text), "| package |") {
		t.Errorf("summary %q, %v", text, err)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	var b bytes.Buffer
	if err := writeDocument(&b, "schemas", schemaList{}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if list, ok := got["documents"].([]any); !ok || len(list) != 0 {
		t.Errorf("%v", got)
	}
}
