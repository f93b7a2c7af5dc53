package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/view"
)

func newDiffCmd(a *app) *cobra.Command {
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "diff [BASE..HEAD]",
		Short: "Say what a change does: releases, tenants reached, dates",
		Long: `diff compares two commits and says in the field's words what leads from one to
the other: releases with their installers, the tenants and devices they reach and
when, policies that get tighter or looser, cycles, approvals, holds. It tells what
HEAD adds since both parted, as a pull request would be merged.

What must not be merged, such as a merged release that is changed, ends it with
exit code 3. BASE is origin/main, or main where there is no remote; HEAD is HEAD.`,
		Example: `  packmill diff
  packmill diff v1..HEAD --format markdown
  packmill diff main..bump/igor-pavlov/7-zip/24.09 --exit-code`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 when something changes")
	f := formatFlag(cmd, formatText, formatMarkdown, formatJSON, formatGitHub)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.diff(cmd.Context(), args)
		if err != nil {
			return err
		}
		a.noteUncommitted(cmd.Context(), args)
		r := result{name: "diff", value: c, text: view.DiffText(c), md: view.DiffMarkdown(c), findings: warnings(c)}
		if err := a.write(*f, r); err != nil {
			return err
		}
		switch {
		case len(c.Refusals()) > 0:
			return errTold{exitRefused}
		case exitCode && !c.Empty():
			return errTold{exitDifferences}
		default:
			return nil
		}
	}
	return cmd
}

// diff compares the commits that the argument names.
func (a *app) diff(ctx context.Context, args []string) (change.Change, error) {
	git, err := gitrepo.Open(a.repo)
	if err != nil {
		return change.Change{}, err
	}
	base, head, err := rangeOf(git, args)
	if err != nil {
		return change.Change{}, err
	}
	clock, err := a.clock()
	if err != nil {
		return change.Change{}, err
	}
	evaluator, err := policyEvaluator()
	if err != nil {
		return change.Change{}, err
	}
	return factory.Diff(ctx, git, base, head, factory.DiffOptions{Evaluator: evaluator, Now: clock.Now()})
}

// noteUncommitted tells a person who asks about HEAD that the work tree says
// something else: what is not committed is not compared.
func (a *app) noteUncommitted(ctx context.Context, args []string) {
	git, err := gitrepo.Open(a.repo)
	if err != nil || git.Bare() {
		return
	}
	if _, head, err := rangeOf(git, args); err != nil || head != "HEAD" {
		return
	}
	committed, err := git.Tree("HEAD")
	if err != nil {
		return
	}
	dir, err := desired.Dir(git.WorkTree())
	if err != nil {
		return
	}
	defer dir.Close()
	if differ(dir, committed.Desired(ctx)) {
		fmt.Fprintln(a.stderr, "packmill: note: the work tree has changes that are not committed; HEAD is compared")
	}
}

// differ reports whether two trees hold other files, or files of another
// content, where a repository says something.
func differ(a, b desired.Tree) bool {
	for _, prefix := range []string{"cue.mod", "catalog", "schedules", "tenants"} {
		x, err := a.Files(prefix)
		y, err2 := b.Files(prefix)
		if err != nil || err2 != nil {
			return false // nothing is known
		}
		if !slices.EqualFunc(x, y, func(x, y desired.File) bool {
			return x.Path == y.Path && x.Mode == y.Mode && (x.Mode != desired.Regular || x.Size == y.Size && (x.Blob == y.Blob || x.Blob == ""))
		}) {
			return true
		}
	}
	return false
}

// rangeOf reads BASE..HEAD. Either side may be left out; a single revision is
// the base.
func rangeOf(git *gitrepo.Repo, args []string) (base, head string, err error) {
	text := ".."
	if len(args) == 1 {
		text = args[0]
	}
	base, head, ok := strings.Cut(text, "..")
	head = strings.TrimPrefix(head, ".")
	if !ok {
		base = text
	}
	if head == "" {
		head = "HEAD"
	}
	if base == "" {
		base, err = git.Main()
	}
	return base, head, err
}

// warnings are a change's findings as annotations: errors for what must not be
// merged, warnings for what a person must look at.
func warnings(c change.Change) fleet.Errors {
	out := c.Refusals()
	for _, f := range c.Findings {
		if f.Level == change.Decide {
			out = append(out, &fleet.Error{Op: "change", Object: f.Object, Pos: fleet.Pos{File: f.File}, Kind: fleet.Waiting, Err: errors.New(f.Text), Hint: f.Hint})
		}
	}
	return out
}
