package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/testreq"
)

const intunePage = "docs/intune.md"

// permissionTable is the table of permissions as the page has it.
func permissionTable() string {
	var b strings.Builder
	b.WriteString("| permission (application) | needed | for |\n| --- | --- | --- |\n")
	for _, p := range msgraph.Permissions() {
		needed := "when used"
		if p.Always {
			needed = "always"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Role, needed, p.For)
	}
	return b.String()
}

// TestIntunePermissions compares the page, and the commands on it that grant
// them, with the one table of permissions. UPDATE=1 writes the table.
func TestIntunePermissions(t *testing.T) {
	t.Parallel()
	page := read(t, os.DirFS(filepath.Join("..", "..")), intunePage)
	const begin, end = "<!-- permissions -->\n", "<!-- /permissions -->\n"
	from, to := strings.Index(page, begin), strings.Index(page, end)
	if from < 0 || to < from {
		t.Fatal("the page has no place for the table of permissions")
	}
	from += len(begin)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(filepath.Join("..", "..", intunePage), []byte(page[:from]+permissionTable()+page[to:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page[from:to] != permissionTable() {
		t.Errorf("the page has\n%s\nand the code\n%s", page[from:to], permissionTable())
	}
	_, loop, found := strings.Cut(page, "for role in ")
	loop, _, closed := strings.Cut(loop, "; do")
	var roles []string
	for _, p := range msgraph.Permissions() {
		roles = append(roles, p.Role)
	}
	if got := strings.Join(strings.Fields(strings.ReplaceAll(loop, "\\", "")), " "); !found || !closed || got != strings.Join(roles, " ") {
		t.Errorf("the page grants\n%s\nand the code wants\n%s", got, strings.Join(roles, " "))
	}
}

// TestIntuneClouds looks for every cloud's addresses on the page.
func TestIntuneClouds(t *testing.T) {
	t.Parallel()
	page := read(t, os.DirFS(filepath.Join("..", "..")), intunePage)
	for _, name := range []string{"global", "usGov", "usGovDoD", "china"} {
		c, err := msgraph.CloudNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		if row := fmt.Sprintf("| `%s` | `%s` | `%s` | `%s` |", c.Name, c.Authority, c.Graph, c.Audience); !strings.Contains(page, row) {
			t.Errorf("the page lacks the row %s", row)
		}
	}
}

var fromForge = regexp.MustCompile(`(?:vars|secrets)\.([A-Z_]+)`)

// TestIntuneJob looks on the page for all that the week's workflow takes from the
// forge, and in the workflow for every cloud's application.
func TestIntuneJob(t *testing.T) {
	t.Parallel()
	root := os.DirFS(filepath.Join("..", ".."))
	page, week := read(t, root, intunePage), read(t, root, ".github/workflows/week.yml")
	names := fromForge.FindAllStringSubmatch(week, -1)
	if len(names) == 0 {
		t.Fatal("the workflow takes nothing from the forge")
	}
	for _, m := range names {
		if whole, suffix := "`"+m[1]+"`", "`"+strings.TrimPrefix(m[1], "AZURE_CLIENT_ID")+"`"; !strings.Contains(page, whole) && !strings.Contains(page, suffix) {
			t.Errorf("the page does not name %s", m[1])
		}
	}
	for _, name := range []string{"usGov", "usGovDoD", "china"} {
		setting := "AZURE_CLIENT_ID_" + strings.ToUpper(name)
		if !strings.Contains(week, setting+": ${{ vars."+setting+" }}") {
			t.Errorf("the workflow hands the job no %s", setting)
		}
	}
}

var shFence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestIntuneListing runs the page's reads of what is left in a tenant against a
// client that has each collection in two pages.
func TestIntuneListing(t *testing.T) {
	t.Parallel()
	testreq.Program(t, "sh")
	testreq.Program(t, "jq")
	script := ""
	for _, m := range shFence.FindAllStringSubmatch(read(t, os.DirFS(filepath.Join("..", "..")), intunePage), -1) {
		if strings.Contains(m[1], "az rest") {
			script = m[1]
		}
	}
	if script == "" {
		t.Fatal("the page reads nothing")
	}
	bin := t.TempDir()
	const az = `#!/bin/sh
[ "$1 $2" = "rest --url" ] || exit 2
case "$3" in
*page2) echo '{"value":[{"id":"second","description":"packmill: {}"}]}' ;;
*) printf '{"value":[{"id":"first"}],"@odata.nextLink":"%s-page2"}\n' "$3" ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "az"), []byte(az), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Env = []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH")}
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if first, second := strings.Count(string(output), `"first"`), strings.Count(string(output), `"second"`); first != 2 || second != 10 {
		t.Errorf("%d first pages and %d second ones, want 2 and 10:\n%s", first, second, output)
	}
}

var cueFence = regexp.MustCompile("(?ms)^```cue\n(.*?)^```")

// TestIntunePage checks the tenant's file that the page shows in a new
// repository, and runs its worked examples.
func TestIntunePage(t *testing.T) {
	long(t, "runs half a week")
	testreq.Program(t, "sh")
	testreq.Program(t, "git")
	if testing.Short() || raced {
		t.Skip("runs half a week")
	}
	page := read(t, os.DirFS(filepath.Join("..", "..")), intunePage)
	files := cueFence.FindAllStringSubmatch(page, -1)
	if len(files) == 0 {
		t.Fatal("the page shows no tenant's file")
	}
	dir := t.TempDir()
	program := packmillProgram(t)
	run := func(args ...string) {
		t.Helper()
		if output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
			t.Fatalf("packmill %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	run("init", filepath.Join(dir, "fleet"))
	file := filepath.Join(dir, "fleet", "tenants", "example-partner", "first-customer", "tenant.cue")
	for _, f := range files {
		if err := os.WriteFile(file, []byte(f[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		run("validate", "-C", filepath.Join(dir, "fleet"))
	}
	examples := examplesIn(page)
	if len(examples) == 0 {
		t.Error("the page has no worked example")
	}
	runExamples(t, examples)
}
