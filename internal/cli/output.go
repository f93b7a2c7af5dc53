package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// A format is how a result is printed.
type format string

// The formats. A command names those it knows with formatFlag.
const (
	formatTable    format = "table"    // aligned columns, for people
	formatText     format = "text"     // sentences, for people
	formatJSON     format = "json"     // for programs, with a schema field
	formatCSV      format = "csv"      // for spreadsheets
	formatMarkdown format = "markdown" // for pull requests and job summaries
	formatGitHub   format = "github"   // annotations, and Markdown to the job's summary
)

// A result is what a command found, in every form it can be printed in. The
// command fills the forms of the formats it offers.
type result struct {
	name     string       // of the JSON document, as documents lists it
	value    any          // the JSON document: a struct of the type registered under name
	table    view.Table   // table, csv, markdown, github
	also     []view.Table // further tables; csv leaves them out
	text     string       // text and, unless md is set, markdown in place of the tables
	md       string       // markdown, in place of the tables
	findings fleet.Errors // annotated by github
}

// formatFlag adds --format to a command. The first format is the default; an
// unknown one is a usage error that lists the known ones.
func formatFlag(cmd *cobra.Command, known ...format) *format {
	f := &formatValue{chosen: known[0], known: known}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	cmd.Flags().Var(f, "format", "how to print the result: "+strings.Join(names, ", "))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("format", complete); err != nil {
		panic("cli: --format registered twice: " + err.Error())
	}
	return &f.chosen
}

// A formatValue is the flag's value; it implements pflag.Value.
type formatValue struct {
	chosen format
	known  []format
}

func (v *formatValue) String() string { return string(v.chosen) }

func (v *formatValue) Type() string { return "format" }

func (v *formatValue) Set(s string) error {
	if !slices.Contains(v.known, format(s)) {
		return fmt.Errorf("not one of %v", v.known)
	}
	v.chosen = format(s)
	return nil
}

// write prints a result on standard output in the chosen format.
func (a *app) write(f format, r result) error {
	a.endProgress()
	switch f {
	case formatJSON:
		return writeDocument(a.stdout, r.name, r.value)
	case formatCSV:
		return r.table.CSV(a.stdout)
	case formatText:
		_, err := io.WriteString(a.stdout, r.text)
		return err
	case formatMarkdown:
		return r.markdown(a.stdout)
	case formatGitHub:
		return a.writeGitHub(r)
	default:
		return r.tables(func(t *view.Table) error { return t.Text(a.stdout) }, a.stdout)
	}
}

func (r result) markdown(w io.Writer) error {
	if text := cmp.Or(r.md, r.text); text != "" {
		_, err := io.WriteString(w, text)
		return err
	}
	return r.tables(func(t *view.Table) error { return t.Markdown(w) }, w)
}

// tables writes all tables, a blank line between two.
func (r result) tables(write func(*view.Table) error, w io.Writer) error {
	if err := write(&r.table); err != nil {
		return err
	}
	for i := range r.also {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := write(&r.also[i]); err != nil {
			return err
		}
	}
	return nil
}

// summaryCap keeps a job summary below the size at which a runner silently
// drops it (1 MiB a step).
const summaryCap = 900 << 10

// writeGitHub annotates the findings and writes the tables as Markdown to the
// job's summary, or to standard output where there is none.
func (a *app) writeGitHub(r result) error {
	a.annotate(r.findings)
	path := a.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return r.markdown(a.stdout)
	}
	var b strings.Builder
	if err := r.markdown(&b); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(view.Cut(b.String(), summaryCap)); err != nil {
		return err
	}
	return f.Close()
}

// A runner shows ten errors and ten warnings of a step and drops the others.
const shownAnnotations = 10

// annotate prints findings as GitHub workflow commands: errors, and warnings
// for what merely waits. What a runner would drop is counted in a last line.
func (a *app) annotate(findings fleet.Errors) {
	counts := map[string]int{}
	for _, e := range findings {
		level := "error"
		if e.Kind == fleet.Waiting {
			level = "warning"
		}
		counts[level]++
		if counts[level] > shownAnnotations {
			continue
		}
		place := ""
		if e.Pos.File != "" {
			place = fmt.Sprintf(" file=%s,line=%d,col=%d", escapeProperty(e.Pos.File), max(e.Pos.Line, 1), max(e.Pos.Col, 1))
		}
		message := *e
		message.Pos = fleet.Pos{}
		fmt.Fprintf(a.stdout, "::%s%s::%s\n", level, place, escapeCommand(message.Error()))
	}
	for _, level := range []string{"error", "warning"} {
		if more := counts[level] - shownAnnotations; more > 0 {
			fmt.Fprintf(a.stdout, "%d more: see the job summary (level %s)\n", more, level)
		}
	}
}
