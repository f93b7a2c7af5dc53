package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/view"
)

// A validation is the JSON form of what validate found.
type validation struct {
	Valid      bool      `json:"valid"`
	Commit     string    `json:"commit"` // "" for a work tree
	Publishers int       `json:"publishers"`
	Packages   int       `json:"packages"`
	Releases   int       `json:"releases"`
	Partners   int       `json:"partners"`
	Tenants    int       `json:"tenants"`
	Cycles     int       `json:"cycles"`
	Findings   []finding `json:"findings"`
	Warnings   []finding `json:"warnings,omitempty"` // what should be known and breaks nothing that was declared
}

// A finding is one thing that is wrong, and where.
type finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 when the file as a whole is meant
	Col     int    `json:"col"`    // from 1, in bytes; 0 when the file as a whole is meant
	Object  string `json:"object"` // path of the field, "" when none is meant
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"` // the next command or edit, "" when there is none
}

func newValidateCmd(a *app) *cobra.Command {
	var rev string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check every file and every cross reference of a repository",
		Long: `validate reads the whole repository, checks every file against the schema and
every name against what it names, and tells all findings in one run, each with
its file, line and column. It changes nothing and needs no network.

Once every file is sound it proves what they promise together: that a critical
fix can reach every tenant in time, past windows and freezes, and that no way
leads to the last wave without an approval and a verdict that means something.
A broken promise is a finding with the case that breaks it.

Schedules and tenants may use all of CUE; they are evaluated in a child process
with limits on memory and time, so that a stranger's pull request can be checked.`,
		Example: `  packmill validate
  packmill validate --rev HEAD --format github`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&rev, "rev", "", "check this commit instead of the work tree")
	f := formatFlag(cmd, formatText, formatJSON, formatGitHub)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var warned fleet.Errors
		repo, err := a.provenTree(cmd.Context(), rev, func(w *fleet.Error) { warned = append(warned, w) })
		findings, err := split(err)
		if err != nil {
			return err
		}
		if *f == formatText {
			for _, w := range warned {
				fmt.Fprintln(a.stderr, "packmill: note: "+w.Error())
			}
		}
		if err := a.write(*f, validated(repo, findings, warned)); err != nil || len(findings) == 0 {
			return err
		}
		return errTold{exitCode(findings)}
	}
	return cmd
}

// split tells findings about the repository from an error of the run.
func split(err error) (fleet.Errors, error) {
	var list fleet.Errors
	if err != nil && !errors.As(err, &list) {
		return nil, err
	}
	return list, nil
}

// loadTree loads desired state from the work tree, or from a commit: the one
// rev names, or main where there is no work tree.
func (a *app) loadTree(ctx context.Context, rev string) (*fleet.Repository, error) {
	return a.provenTree(ctx, rev, nil)
}

// provenTree is loadTree with the proofs of desired.Options.Prove: what main
// promises is judged where a change is checked, and keeps no command from
// working on what is there.
func (a *app) provenTree(ctx context.Context, rev string, prove func(*fleet.Error)) (*fleet.Repository, error) {
	clock, err := a.clock()
	if err != nil {
		return nil, err
	}
	evaluator, err := policyEvaluator()
	if err != nil {
		return nil, err
	}
	tree, done, err := a.openTree(ctx, rev)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := a.isRepository(tree); err != nil {
		return nil, err
	}
	return desired.Load(ctx, tree, desired.Options{Evaluator: evaluator, Now: clock.Now(), Prove: prove})
}

// openTree opens the files that --repo and a revision name.
func (a *app) openTree(ctx context.Context, rev string) (tree desired.Tree, done func(), err error) {
	repo, openErr := gitrepo.Open(a.repo)
	if rev == "" && openErr == nil && repo.Bare() {
		if rev, err = repo.Main(); err != nil {
			return nil, nil, err
		}
	}
	if rev == "" {
		dir, err := desired.Dir(a.repo)
		if err != nil {
			return nil, nil, &fleet.Error{Op: "cli.validate", Object: a.repo, Kind: fleet.Invalid, Err: err, Hint: "packmill init " + a.repo}
		}
		return dir, func() { _ = dir.Close() }, nil
	}
	if openErr != nil {
		return nil, nil, openErr
	}
	t, err := repo.Tree(rev)
	if err != nil {
		return nil, nil, err
	}
	return t.Desired(ctx), func() {}, nil
}

// policyEvaluator runs this same program as the policy lane's child.
func policyEvaluator() (desired.Evaluator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fleet.Errorf(fleet.Internal, "cli.validate", "", "this program's own path: %w", err)
	}
	return desired.ChildEvaluator{Command: []string{self, policyChildName}}, nil
}

// validated is the result in all its forms.
func validated(repo *fleet.Repository, findings, warned fleet.Errors) result {
	v := validation{Valid: len(findings) == 0}
	if repo != nil {
		v.Commit, v.Publishers, v.Packages = repo.Commit, len(repo.Publishers), len(repo.Packages)
		v.Partners, v.Tenants, v.Cycles = len(repo.Partners), len(repo.Tenants), len(repo.Cycles)
		for _, p := range repo.Packages {
			v.Releases += len(p.Releases)
		}
	}
	var text strings.Builder
	table := view.Table{Columns: view.Cols("where", "what", "finding"), Empty: v.summary()}
	files := map[string]bool{}
	for _, e := range findings {
		files[e.Pos.File] = true
		v.Findings = append(v.Findings, findingOf(e))
		fmt.Fprintln(&text, e.Error())
		table.Add(e.Pos.String(), e.Object, e.Err.Error())
	}
	for _, e := range warned {
		v.Warnings = append(v.Warnings, findingOf(e))
	}
	hints := map[string]bool{}
	for _, e := range findings {
		if e.Hint != "" && !hints[e.Hint] {
			hints[e.Hint] = true
			fmt.Fprintln(&text, "hint: "+e.Hint)
		}
	}
	if v.Valid {
		fmt.Fprintln(&text, v.summary())
	} else {
		fmt.Fprintf(&text, "%s in %s\n", count(len(findings), "finding"), count(len(files), "file"))
	}
	return result{name: "validation", value: v, table: table, text: text.String(), findings: append(slices.Clone(findings), warned...)}
}

func findingOf(e *fleet.Error) finding {
	return finding{e.Pos.File, e.Pos.Line, e.Pos.Col, e.Object, e.Kind.String(), e.Err.Error(), e.Hint}
}

func (v validation) summary() string {
	return fmt.Sprintf("valid: %s of %s with %s; %s of %s; %s",
		count(v.Packages, "package"), count(v.Publishers, "publisher"), count(v.Releases, "release"),
		count(v.Tenants, "tenant"), count(v.Partners, "partner"), count(v.Cycles, "cycle"))
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
