package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

// An example is a section of a page whose title begins with "Worked example",
// with what its console blocks say: commands, and what they print.
type example struct {
	title    string
	commands []shown
}

// A shown is a command line and what a text says that it prints.
type shown struct {
	line string
	want []string
}

var (
	consoleFence = regexp.MustCompile("(?ms)^```console\n(.*?)^```")
	workedTitle  = regexp.MustCompile(`(?m)^#+ (Worked example: .*)$`)
	anyTitle     = regexp.MustCompile(`(?m)^#{1,6} `)
)

// examplesIn are the worked examples of a Markdown page.
func examplesIn(page string) []example {
	var out []example
	for _, at := range workedTitle.FindAllStringSubmatchIndex(page, -1) {
		e := example{title: page[at[2]:at[3]]}
		section := page[at[1]:]
		if next := anyTitle.FindStringIndex(consoleFence.ReplaceAllStringFunc(section, func(s string) string { return strings.Repeat(".", len(s)) })); next != nil {
			section = section[:next[0]]
		}
		for _, block := range consoleFence.FindAllStringSubmatch(section, -1) {
			for line := range strings.Lines(block[1]) {
				line = strings.TrimRight(line, " \n")
				if command, ok := strings.CutPrefix(line, "$ "); ok {
					e.commands = append(e.commands, shown{line: command})
				} else if n := len(e.commands); n > 0 {
					e.commands[n-1].want = append(e.commands[n-1].want, line)
				}
			}
		}
		out = append(out, e)
	}
	return out
}

// unlike is the first line of what is wanted that output does not have in its
// place, "" when it is as wanted. A line "…" stands for any lines, … in a line
// for any text in it.
func unlike(want []string, output string) string {
	got := strings.Split(strings.TrimRight(output, "\n"), "\n")
	skip := false
	for _, w := range want {
		if w == "…" {
			skip = true
			continue
		}
		at := 0
		for skip && at < len(got) && !likeLine(w, got[at]) {
			at++
		}
		if at >= len(got) || !likeLine(w, got[at]) {
			return w
		}
		got, skip = got[at+1:], false
	}
	if len(got) > 0 && !skip && strings.Join(got, "") != "" {
		return "(no more after that, and there is: " + got[0] + ")"
	}
	return ""
}

func likeLine(want, got string) bool {
	parts := strings.Split(want, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `.*`) + `\s*$`).MatchString(got)
}

// TestRolloutPage runs the worked examples of docs/rollout.md, command by
// command, and compares what they print. The demo goes on in worlds that are
// kept for all tests, in place of making each again.
func TestRolloutPage(t *testing.T) {
	long(t, "runs a week")
	testreq.Program(t, "sh")
	testreq.Program(t, "git")
	if testing.Short() || raced {
		t.Skip("runs a week")
	}
	examples := examplesIn(read(t, os.DirFS(filepath.Join("..", "..")), "docs/rollout.md"))
	for _, about := range []string{"week", "gate", "rollback"} {
		found := false
		for _, e := range examples {
			found = found || strings.Contains(e.title, about) && len(e.commands) > 0
		}
		if !found {
			t.Errorf("no worked example of the %s", about)
		}
	}
	runExamples(t, examples)
}

// runExamples runs the commands of worked examples in one folder and compares
// what they print.
func runExamples(t *testing.T, examples []example) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Dir(packmillProgram(t)) + string(filepath.ListSeparator) + os.Getenv("PATH")
	for _, e := range examples {
		for _, c := range e.commands {
			shelve(t, dir, c.line)
			cmd := exec.CommandContext(t.Context(), "sh", "-c", c.line)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + path, "HOME=" + dir, "NO_COLOR=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: $ %s: %v\n%s", e.title, c.line, err, output)
			}
			if line := unlike(c.want, string(output)); line != "" {
				t.Errorf("%s: $ %s\nwants\n\t%s\nand prints\n%s", e.title, c.line, line, output)
			}
		}
	}
}

var demoLine = regexp.MustCompile(`^packmill demo --dir week(?: --until (\S+))?$`)

// shelve puts the kept world that a demo of a page would arrive at where the
// demo then finds it, and only tells it.
func shelve(t *testing.T, dir, line string) {
	t.Helper()
	m := demoLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	var from string
	var err error
	if m[1] != "" {
		from, err = worlds.until(1, m[1])
	} else {
		from, err = worlds.finished(afterCall)
	}
	from = got(t, from, err)
	to := filepath.Join(dir, "week")
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestUnlike proves that the comparison can tell.
func TestUnlike(t *testing.T) {
	t.Parallel()
	const output = "one\ntwo 2\nthree\n"
	for want, ok := range map[string]bool{
		"one\ntwo 2\nthree": true, "one\n…": true, "…\nthree": true, "…\ntwo …\n…": true, "one\ntwo …\nthree": true, "…": true,
		"one": false, "one\nthree": false, "…\nfour\n…": false, "three\n…": false, "…\nthree\ntwo 2\n…": false, "one\n…\ntwo\n…": false,
	} {
		if line := unlike(strings.Split(want, "\n"), output); (line == "") != ok {
			t.Errorf("%q: %q", want, line)
		}
	}
	page := "# A\n## Worked example: the week\n```console\n$ packmill version\n# packmill 1\n$ git status\n```\ntext\n## B\n```console\n$ no\n```\n"
	e := examplesIn(page)
	if len(e) != 1 || len(e[0].commands) != 2 || len(e[0].commands[0].want) != 1 || e[0].commands[1].line != "git status" {
		t.Errorf("got %+v", e)
	}
}

// TestReadmeWeek compares the week that README.md shows, shortened, with the
// demo: each of its lines is one of the demo's, in that order.
func TestReadmeWeek(t *testing.T) {
	long(t, "runs a week")
	_, section, found := strings.Cut(read(t, os.DirFS(filepath.Join("..", "..")), "README.md"), "## One week\n")
	_, block, fenced := strings.Cut(section, "\n```\n")
	block, _, closed := strings.Cut(block, "\n```\n")
	if !found || !fenced || !closed || !strings.Contains(block, "\n") {
		t.Fatal("README.md shows no week")
	}
	want := []string{"…"}
	for line := range strings.Lines(block) {
		want = append(want, strings.TrimSpace(line), "…")
	}
	dir := copied(t, finishedWorld(t, afterCall))
	output, err := exec.CommandContext(t.Context(), packmillProgram(t), "demo", "--dir", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if line := unlike(want, string(output)); line != "" {
		t.Errorf("README.md shows\n\t%s\nand the demo prints\n%s", line, output)
	}
}
