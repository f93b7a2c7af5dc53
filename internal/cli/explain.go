package cli

import (
	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/view"
)

func newExplainCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain TENANT PACKAGE",
		Short: "Say why a tenant has what it has of a package, and what comes next",
		Long: `explain tells of one package on one tenant: what the stable and the candidate
slot hold and why, which release is next and through which waves, every reason
that keeps it back, and what is due when. Each rule is told with the place it is
written at and the merge that decided it: who approved, and when.

It reads main and evidence, and asks no tenant. With --at it tells how it was.`,
		Example: `  packmill explain nordic/aurora-foods igor-pavlov/7-zip
  packmill explain nordic/aurora-foods igor-pavlov/7-zip --at 2026-11-19 --format json`,
		Args: cobra.ExactArgs(2),
	}
	at := atFlag(cmd)
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mill, ledger, err := a.looking(cmd.Context())
		if err != nil {
			return err
		}
		facts, now, err := a.factsAt(cmd.Context(), mill, ledger, *at)
		if err != nil {
			return err
		}
		e, err := mill.Explain(cmd.Context(), facts, args[0], args[1], now)
		if err != nil {
			return err
		}
		tables := view.ExplainTables(e)
		r := result{name: "explanation", value: e, table: tables[0], also: tables[1:]}
		if *f == formatCSV {
			r.table = view.ExplainRows(e)
		}
		return a.write(*f, r)
	}
	return cmd
}
