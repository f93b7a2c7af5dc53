package cli

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// A call is a command line of packmill that some text tells people or runners
// to run.
type call struct {
	where string
	words []string // after "packmill"
}

// TestCalls checks that every packmill command line in the documentation, the
// help texts, the composite actions and the workflows exists: command, flags, number of
// arguments. A text that tells commands which are gone is worse than none.
func TestCalls(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	var calls []call
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		for _, name := range glob(t, root, pattern) {
			calls = append(calls, callsIn(name, shellBlocks(read(t, root, name)))...)
		}
	}
	for _, pattern := range []string{"actions/*/action.yml", ".github/workflows/*.yml"} {
		for _, name := range glob(t, root, pattern) {
			calls = append(calls, callsIn(name, runLines(t, name, read(t, root, name)))...)
		}
	}
	eachCommand(newRoot(&app{getenv: func(string) string { return "" }}), func(cmd *cobra.Command) {
		calls = append(calls, callsIn("example of "+cmd.CommandPath(), cmd.Example)...)
	})
	if len(calls) < 5 {
		t.Fatalf("%d calls were found: the test looks at nothing", len(calls))
	}
	for _, c := range calls {
		if err := callable(c.words); err != nil {
			t.Errorf("%s: packmill %s: %v", c.where, strings.Join(c.words, " "), err)
		}
	}
}

// TestCallable proves that the check can tell.
func TestCallable(t *testing.T) {
	for line, ok := range map[string]bool{
		"version": true, "-C fleet validate --format json": true, "diff main..HEAD": true, `validate --rev "$REV" --format github`: true,
		"nonsense": false, "version --loud": false, "version extra": false, "validate --format": false, "": true,
	} {
		if err := callable(words(line)); (err == nil) != ok {
			t.Errorf("%q: %v", line, err)
		}
	}
	text := "text\n```sh\n$ cd x && packmill version\nKEY=a packmill \\\n  validate # packmill nonsense\nls | packmill diff | cat\ngo run ./cmd/packmill demo --dir 'a b'\necho packmill x\n```\n```\npackmill nonsense\n```\n"
	var got []string
	for _, c := range callsIn("a.md", shellBlocks(text)) {
		got = append(got, strings.Join(c.words, "|"))
	}
	if want := []string{"version", "validate", "diff", "demo|--dir|a b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func eachCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, child := range cmd.Commands() {
		eachCommand(child, do)
	}
}

// callable reports why a command line cannot be run.
func callable(args []string) error {
	root := newRoot(&app{getenv: func(string) string { return "" }})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if help := cmd.Flags().Lookup("help"); help != nil && help.Changed || !cmd.Runnable() {
		return nil
	}
	return checkArgs(cmd)
}

func checkArgs(cmd *cobra.Command) error {
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}

func glob(t *testing.T, root fs.FS, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(root, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, root fs.FS, name string) string {
	t.Helper()
	data, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var shellFence = regexp.MustCompile("(?ms)^```(?:sh|bash|console)\n(.*?)^```")

// shellBlocks are the fenced blocks of a Markdown text that hold shell.
func shellBlocks(text string) string {
	var b strings.Builder
	for _, m := range shellFence.FindAllStringSubmatch(text, -1) {
		b.WriteString(m[1] + "\n")
	}
	return b.String()
}

// runLines are the run: texts of a workflow or composite action.
func runLines(t *testing.T, name, text string) string {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%s: %v", path.Base(name), err)
	}
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if run, ok := v["run"].(string); ok {
				b.WriteString(run + "\n")
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
	return b.String()
}

var (
	joined    = regexp.MustCompile(`\\\n\s*`)
	comment   = regexp.MustCompile(`(^|\s)#.*$`)
	separator = regexp.MustCompile(`&&|\|\||[;|]|\$\(|\(`)
	prefix    = regexp.MustCompile(`^(\$ )?\s*([A-Za-z_][A-Za-z0-9_]*=("[^"]*"|'[^']*'|\S*)\s+)*(go run \./cmd/packmill|packmill)(\s|$)`)
)

// callsIn finds the packmill commands of a shell text: at the start of a simple
// command, after variables that are set for it.
func callsIn(where, text string) []call {
	var out []call
	for line := range strings.Lines(joined.ReplaceAllString(text, " ")) {
		line = comment.ReplaceAllString(strings.TrimRight(line, "\n"), "")
		for _, part := range separator.Split(line, -1) {
			part = strings.TrimSpace(part)
			if head := prefix.FindString(part); head != "" {
				out = append(out, call{where, words(strings.TrimRight(part[len(head):], ")"))})
			}
		}
	}
	return out
}

var word = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+`)

// words splits a simple command, quotes removed and redirections left out.
func words(line string) []string {
	var out []string
	for _, w := range word.FindAllString(line, -1) {
		if strings.ContainsAny(w[:1], "<>") || strings.HasPrefix(w, "2>") {
			break
		}
		out = append(out, strings.Trim(w, `"'`))
	}
	return out
}
