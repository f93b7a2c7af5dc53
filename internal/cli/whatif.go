package cli

import (
	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/view"
)

func newWhatIfCmd(a *app) *cobra.Command {
	var base, head string
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "whatif",
		Short: "Say what a change would do to every tenant's plan, before it is merged",
		Long: `whatif plans the open cycles and the one that follows twice, from the files of
two commits and the same evidence, and tells the difference: rows that are added
or removed, that move to another wave or get other dates, tenant by tenant. It
tells what HEAD adds since both parted, as a pull request would be merged.

It reads git alone, never the work tree, and asks no tenant. Releases that are
not built yet are taken for built and tested, and named.`,
		Example: `  packmill whatif --base main --head policy/stricter-waves
  packmill whatif --head bump/igor-pavlov/7-zip/24.09 --format csv`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&base, "base", "", "the commit that is compared from (origin/main, or main where there is no remote)")
	cmd.Flags().StringVar(&head, "head", "HEAD", "the commit that would be merged")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 when something changes")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		git, err := gitrepo.Open(a.repo)
		if err != nil {
			return err
		}
		if base == "" {
			if base, _, err = rangeOf(git, nil); err != nil {
				return err
			}
		}
		mill, _, err := a.offline(cmd.Context())
		if err != nil {
			return err
		}
		c, err := mill.WhatIf(cmd.Context(), base, head)
		if err != nil {
			return err
		}
		a.noteUncommitted(cmd.Context(), []string{base + ".." + head})
		tables := view.WhatIfTables(c)
		r := result{name: "whatif", value: c, table: tables[0], also: tables[1:]}
		if *f == formatCSV {
			r.table = view.WhatIfRows(c)
		}
		if err := a.write(*f, r); err != nil {
			return err
		}
		if exitCode && !c.Empty() {
			return errTold{exitDifferences}
		}
		return nil
	}
	return cmd
}
