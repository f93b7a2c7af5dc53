package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

func newInventoryCmd(a *app) *cobra.Command {
	var tenant string
	var uncatalogued bool
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "Show what tenants' devices are and have, and what to package next",
		Long: `inventory shows the newest snapshot of every tenant in evidence: how many devices
there are, their systems and models, and the programs they have, whoever
installed them. packmill run takes snapshots; this command asks no tenant. It
names no device and no person: evidence holds neither.

With --uncatalogued it lists the programs in use that the catalog has no package
for, those that most tenants have first: what to package next. A program is the
catalog's when its name is a release's MSI product code; when its name, bare of
version, architecture and language, is that of the package, of a program in its
files, or in the winget, Homebrew or Chocolatey lists; or when it begins with
such a name, is of the same publisher, and goes on with an edition or a version.`,
		Example: `  packmill inventory --tenant nordic/aurora-foods
  packmill inventory --uncatalogued --format csv`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "this tenant alone")
	cmd.Flags().BoolVar(&uncatalogued, "uncatalogued", false, "list programs in use that the catalog does not have")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mill, _, err := a.looking(cmd.Context())
		if err != nil {
			return err
		}
		main, err := mill.Git.Main()
		if err != nil {
			return err
		}
		repo, err := mill.Desired(cmd.Context(), main)
		if err != nil {
			return err
		}
		rec, err := mill.Ledger.Read(cmd.Context())
		if err != nil {
			return err
		}
		if _, ok := repo.Tenants[fleet.TenantID(tenant)]; tenant != "" && !ok {
			return fleet.Errorf(fleet.Invalid, "cli.inventory", tenant, "there is no such tenant")
		}
		keep := func(id fleet.TenantID) bool { return tenant == "" || id == fleet.TenantID(tenant) }
		if uncatalogued {
			return a.writeUncatalogued(*f, view.UncataloguedOf(repo, rec, keep))
		}
		v := view.InventoryOf(repo, rec, keep)
		tables := view.InventoryTables(v)
		r := result{name: "inventory", value: v, table: tables[0], also: tables[1:]}
		if *f == formatCSV { // which has room for one table
			r.table = view.InventoryApps(v)
		}
		return a.write(*f, r)
	}
	return cmd
}

// writeUncatalogued prints what is not in the catalog, and on standard error what
// the list leaves out.
func (a *app) writeUncatalogued(f format, v view.Uncatalogued) error {
	if err := a.write(f, result{name: "uncatalogued", value: v, table: view.UncataloguedTable(v)}); err != nil {
		return err
	}
	if f == formatJSON {
		return nil
	}
	for _, note := range view.UncataloguedNote(v) {
		fmt.Fprintln(a.stderr, "packmill: "+note)
	}
	return nil
}
