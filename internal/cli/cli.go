// Package cli is packmill's command line: commands, flags, the terminal, exit
// codes. It is the only room that prints, and the one that wires the edges to
// the factory.
//
// One file holds one command, built by a constructor that is listed in
// newRoot. Results go to standard output, everything else to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// An app is what every command is given: the process around it, as values, and
// the flags that all commands share.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string

	repo  string // --repo: work tree or bare repository
	now   string // --now: instant, "" for the machine's clock
	yes   bool   // --yes: act outside this machine
	debug bool   // --debug

	running *progress // the progress line that stands, nil for none
}

// Main runs packmill with the given arguments (without the program's name) and
// returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv}
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		fmt.Fprintln(stderr, "packmill: interrupted")
		return exitInterrupted
	}
	return a.report(err)
}

// clock is the machine's clock, or one that stands at --now.
func (a *app) clock() (fleet.Clock, error) {
	if a.now == "" {
		return fleet.SystemClock{}, nil
	}
	t, err := time.Parse(time.RFC3339, a.now)
	if err != nil {
		return nil, usageErrorf("--now %q is not an instant such as 2026-11-18T06:00:00Z", a.now)
	}
	return fleet.NewManualClock(t), nil
}

// log is where the rooms below write what is of interest when something is
// wrong.
func (a *app) log() *slog.Logger {
	level := slog.LevelWarn
	if a.debug {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if a.getenv("CI") != "" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}

// Exit codes. They are part of the contract: scripts and workflows read them.
const (
	exitDone        = 0
	exitInternal    = 1 // or any tenant failed
	exitInvalid     = 2
	exitRefused     = 3 // or a failed audit or verification
	exitStalled     = 4 // a person must act
	exitDifferences = 5 // with --exit-code only
	exitInterrupted = 130
)

// errTold means that the command has told everything itself; only the exit
// code is left to set.
type errTold struct{ code int }

func (e errTold) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// A usageError is a wrong call: flags or arguments.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// exitCode maps kinds to exit codes. Waiting is listed and is no failure.
func exitCode(err error) int {
	var told errTold
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &usage):
		return exitInvalid
	case errors.As(err, new(failedTenants)):
		return exitInternal
	}
	switch fleet.KindOf(err) {
	case fleet.Invalid:
		return exitInvalid
	case fleet.Refused:
		return exitRefused
	case fleet.Stalled:
		return exitStalled
	case fleet.Waiting:
		return exitDone
	default:
		return exitInternal
	}
}

// report prints err for people, once, with its hints, and gives the exit code.
func (a *app) report(err error) int {
	a.endProgress()
	code := exitCode(err)
	var told errTold
	if err == nil || errors.As(err, &told) {
		return code
	}
	for _, e := range findings(err) {
		a.reportOne(e)
	}
	return code
}

func (a *app) reportOne(err error) {
	var e *fleet.Error
	if !errors.As(err, &e) {
		fmt.Fprintf(a.stderr, "packmill: error: %s\n", onTerminal(err.Error()))
		return
	}
	if a.getenv("GITHUB_ACTIONS") == "true" && e.Pos.File != "" {
		fmt.Fprintf(a.stderr, "::error file=%s,line=%d,col=%d::%s\n", e.Pos.File, e.Pos.Line, e.Pos.Col, escapeCommand(e.Error()))
	}
	fmt.Fprintf(a.stderr, "packmill: error: %s\n", onTerminal(e.Error()))
	if e.Hint != "" {
		fmt.Fprintf(a.stderr, "packmill: hint: %s\n", onTerminal(e.Hint))
	}
}

// onTerminal is a text for a terminal: names of files and vendors' words in it cannot
// move the cursor. Lines stay lines.
func onTerminal(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = view.Plain(line)
	}
	return strings.Join(lines, "\n")
}

// asked is the error of work that a person asked for by name: what a run would
// wait for is for that person to mend.
func asked(err error) error {
	var e *fleet.Error
	if fleet.KindOf(err) != fleet.Waiting || !errors.As(err, &e) {
		return err
	}
	with := *e
	with.Kind = fleet.Stalled
	return &with
}

// findings flattens joined errors into those to tell one by one.
func findings(err error) []error {
	var failed failedTenants
	if errors.As(err, &failed) {
		return findings(failed.error)
	}
	var list fleet.Errors
	if errors.As(err, &list) {
		return list.Unwrap()
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, findings(e)...)
		}
		return out
	}
	return []error{err}
}

// newRoot is the packmill command with all its children.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "packmill",
		Short: "The GitOps package mill for managed fleets",
		Long: `packmill keeps the applications and configurations of many tenants current
from one git repository. Everything it may do is written there as CUE;
everything it did is written there as signed evidence; every approval is a merge.

See the whole of it in seconds:  packmill demo`,
		Version:           buildVersion(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.repo, "repo", "C", ".", "the repository: a work tree or a bare one; without it, the one this folder lies in")
	flags.StringVar(&a.now, "now", "", "act as if it were this instant (RFC 3339)")
	flags.BoolVar(&a.debug, "debug", false, "say more on standard error")
	root.PersistentPreRun = func(*cobra.Command, []string) {
		if !flags.Changed("repo") {
			a.repo = repositoryAbove(a.repo)
		}
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	root.AddCommand(commands(a)...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	wrongCalls(root)
	return root
}

// commands are packmill's, but for those that cobra adds.
func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newVersionCmd(a),
		newDiffCmd(a),
		newDetectCmd(a),
		newProposeCmd(a),
		newBuildCmd(a),
		newVerifyCmd(a),
		newTestCmd(a),
		newMatrixCmd(a),
		newKeysCmd(a),
		newSchemaCmd(a),
		newInitCmd(a),
		newInspectCmd(a),
		newCatalogCmd(a),
		newValidateCmd(a),
		newPolicyEvalCmd(a),
		newTenantsCmd(a),
		newPlanCmd(a),
		newCycleCmd(a),
		newExplainCmd(a),
		newPatchesCmd(a),
		newWhatIfCmd(a),
		newApplyCmd(a),
		newRevokeCmd(a),
		newRunCmd(a),
		newNotifyCmd(a),
		newReportCmd(a),
		newInventoryCmd(a),
		newAuditCmd(a),
		newSimulateCmd(a),
		newDemoCmd(a),
		newSimCmd(a),
	}
}

// wrongCalls makes a wrong number of arguments, and a word that is no
// subcommand, a wrong call like a wrong flag: cobra gives plain errors, or the
// help and no error at all.
func wrongCalls(cmd *cobra.Command) {
	check := cmd.Args
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.SuggestionsMinimumDistance = 2
		check = noSubcommand
	}
	if check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err.Error()}
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		wrongCalls(child)
	}
}

// noSubcommand refuses a word where a subcommand should stand.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("%q is no command of %s", args[0], cmd.CommandPath())
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		return fmt.Errorf("%s; did you mean %s?", text, strings.Join(names, " or "))
	}
	return fmt.Errorf("%s; %s --help lists them", text, cmd.CommandPath())
}
