package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

func newAuditCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove from a clone alone what ran where, on whose word",
		Long: `audit reads a clone and nothing else. For every release on every tenant it checks
the merge that let it happen, whose approval counted, the tests, the signature
of the artifact and the receipt; and that no byte of evidence is missing or
altered. It trusts the keys that tenants/operator.cue names.

A gate that was refused is a merge like one that was approved: the audit lists
who refused, when and why, from main's history, whatever became of the file
since; and the reviews that asked for changes in what was merged.

It fails with exit code 3 and says what is wrong and where.`,
		Example: "  git clone https://forge.example/msp/packages && packmill audit -C packages\n  packmill audit --list refusals --format csv",
		Args:    cobra.NoArgs,
	}
	list := "effects"
	cmd.Flags().StringVar(&list, "list", list, "what csv holds, and table when it is given: effects, refusals, objections")
	f := formatFlag(cmd, formatTable, formatText, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lists := map[string]func(fleet.Audit) view.Table{"effects": view.AuditTable, "refusals": view.RefusalTable, "objections": view.ObjectionTable}
		if lists[list] == nil {
			return usageErrorf("--list %q is none of effects, refusals, objections", list)
		}
		mill, err := a.reader()
		if err != nil {
			return err
		}
		audit, err := a.audit(cmd.Context(), mill)
		if err != nil {
			return err
		}
		if audit.Batches == 0 && len(audit.Rows) == 0 && *f == formatTable && audit.Merges > 0 {
			return noEvidence()
		}
		r := result{name: "audit", value: audit, table: lists[list](audit), text: view.AuditText(audit)}
		if *f == formatTable && !cmd.Flags().Changed("list") {
			*f = formatText
		}
		if err := a.write(*f, r); err != nil {
			return err
		}
		if *f == formatCSV || *f == formatTable { // which hold rows, and no room for findings
			for _, x := range audit.Findings {
				fmt.Fprintf(a.stderr, "packmill: %s: %s: %s\n", x.Where, x.Object, x.What)
			}
		}
		if !audit.Passed() {
			return &fleet.Error{Op: "cli.audit", Kind: fleet.Refused, Err: errors.New("the audit failed: see above for what and where")}
		}
		return nil
	}
	return cmd
}

// noEvidence says once what would otherwise be said of every merge.
func noEvidence() error {
	return &fleet.Error{Op: "cli.audit", Kind: fleet.Refused, Err: errors.New("this clone has no evidence: nothing on main can be proven by it"),
		Hint: "git fetch origin 'refs/heads/evidence/*:refs/remotes/origin/evidence/*'; a repository that packmill never ran on has none"}
}

// audit proves what a clone proves. That main cannot be read is what the audit
// found, and no wrong call: who to trust stands there.
func (a *app) audit(ctx context.Context, mill *factory.Factory) (fleet.Audit, error) {
	main, err := mill.Git.Main()
	if err != nil {
		return fleet.Audit{}, err
	}
	if _, err := mill.Desired(ctx, main); err != nil {
		return factory.Unreadable(main, err)
	}
	ledger, err := a.ledger(ctx, mill, main)
	if err != nil {
		return fleet.Audit{}, err
	}
	return mill.Audit(ctx, ledger)
}
