package cli

import (
	"errors"

	"github.com/spf13/cobra"

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

It fails with exit code 3 and says what is wrong and where.`,
		Example: "  git clone https://forge.example/msp/packages && packmill audit -C packages",
		Args:    cobra.NoArgs,
	}
	f := formatFlag(cmd, formatTable, formatText, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mill, ledger, err := a.offline(cmd.Context())
		if err != nil {
			return err
		}
		audit, err := mill.Audit(cmd.Context(), ledger)
		if err != nil {
			return err
		}
		r := result{name: "audit", value: audit, table: view.AuditTable(audit), text: view.AuditText(audit)}
		if *f == formatTable {
			*f = formatText
		}
		if err := a.write(*f, r); err != nil {
			return err
		}
		if !audit.Passed() {
			return &fleet.Error{Op: "cli.audit", Kind: fleet.Refused, Err: errors.New("the audit failed: see above for what and where")}
		}
		return nil
	}
	return cmd
}
