package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

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

With --tenants it reads the tenants' own audits as well, since they were last
read: a write by packmill's application that no effect in evidence covers, and
one by anybody else to an object with packmill's marker, are findings. With --yes
what was read goes to evidence, signed, and a clone alone tells it from then on.

It fails with exit code 3 and says what is wrong and where.`,
		Example: "  git clone https://forge.example/msp/packages && packmill audit -C packages\n  packmill audit --list refusals --format csv",
		Args:    cobra.NoArgs,
	}
	list, tenants := "effects", false
	cmd.Flags().StringVar(&list, "list", list, "what csv holds, and table when it is given: effects, refusals, objections, writes")
	cmd.Flags().BoolVar(&tenants, "tenants", false, "read the tenants' own audits too")
	a.yesFlag(cmd)
	f := formatFlag(cmd, formatTable, formatText, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lists := map[string]func(fleet.Audit) view.Table{"effects": view.AuditTable, "refusals": view.RefusalTable, "objections": view.ObjectionTable, "writes": view.WriteTable}
		if lists[list] == nil {
			return usageErrorf("--list %q is none of effects, refusals, objections, writes", list)
		}
		if *f == formatTable && !cmd.Flags().Changed("list") {
			*f = formatText
		}
		var fresh []fleet.Reconciliation // not in evidence
		var unread error
		if tenants {
			var read int
			if fresh, read, unread = a.reconcile(cmd.Context()); unread != nil && read == 0 {
				return unread
			}
		}
		if err := a.tellAudit(cmd.Context(), *f, lists[list], fresh); err != nil {
			return err
		}
		return unread
	}
	return cmd
}

// tellAudit audits the clone and prints what came of it; an audit that failed is
// an error of kind Refused.
func (a *app) tellAudit(ctx context.Context, f format, table func(fleet.Audit) view.Table, fresh []fleet.Reconciliation) error {
	mill, err := a.reader()
	if err != nil {
		return err
	}
	audit, err := a.audit(ctx, mill, fresh...)
	if err != nil {
		return err
	}
	if audit.Batches == 0 && len(audit.Rows) == 0 && f == formatText && audit.Merges > 0 {
		return noEvidence()
	}
	r := result{name: "audit", value: audit, table: table(audit), text: view.AuditText(audit)}
	if err := a.write(f, r); err != nil {
		return err
	}
	if f == formatCSV || f == formatTable { // which hold rows, and no room for findings
		for _, x := range audit.Findings {
			fmt.Fprintf(a.stderr, "packmill: %s: %s: %s\n", x.Where, x.Object, x.What)
		}
	}
	if !audit.Passed() {
		return &fleet.Error{Op: "cli.audit", Kind: fleet.Refused, Err: errors.New("the audit failed: see above for what and where")}
	}
	return nil
}

// noEvidence says once what would otherwise be said of every merge.
func noEvidence() error {
	return &fleet.Error{Op: "cli.audit", Kind: fleet.Refused, Err: errors.New("this clone has no evidence: nothing on main can be proven by it"),
		Hint: "git fetch origin 'refs/heads/evidence/*:refs/remotes/origin/evidence/*'; a repository that packmill never ran on has none"}
}

// audit proves what a clone proves. That main cannot be read is what the audit
// found, and no wrong call: who to trust stands there.
func (a *app) audit(ctx context.Context, mill *factory.Factory, fresh ...fleet.Reconciliation) (fleet.Audit, error) {
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
	return mill.Audit(ctx, ledger, fresh...)
}

// reconcile reads the tenants' own audits and, where it may, records what was
// read. It gives what is not recorded, and how many tenants were read.
func (a *app) reconcile(ctx context.Context) (fresh []fleet.Reconciliation, read int, err error) {
	mill, _, err := a.factory(ctx)
	if err != nil {
		return nil, 0, err
	}
	main, err := mill.Git.Main()
	if err != nil {
		return nil, 0, err
	}
	repo, err := mill.Desired(ctx, main)
	if err != nil {
		return nil, 0, err
	}
	var tenants []fleet.Tenant
	for _, id := range slices.Sorted(maps.Keys(repo.Tenants)) {
		tenants = append(tenants, repo.Tenants[id])
	}
	list, unread := mill.Reconcile(ctx, tenants)
	a.endProgress()
	if !a.yes {
		fmt.Fprintln(a.stderr, "packmill: what the tenants told is not recorded; --yes records it")
		return list, len(list), unread
	}
	release, err := a.alone(ctx, mill.Git)
	if err != nil {
		return list, len(list), err
	}
	defer release()
	if err := mill.RecordReconciled(ctx, list); err != nil {
		return list, len(list), errors.Join(unread, err)
	}
	return nil, len(list), unread
}
