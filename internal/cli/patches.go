package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// patchDays is how far back patches lists when nobody says: the month's patch and
// the one before it.
const patchDays = 62

func newPatchesCmd(a *app) *cobra.Command {
	var tenant, since string
	cmd := &cobra.Command{
		Use:   "patches --tenant TENANT",
		Short: "List what Windows Update has, and what it fixes",
		Long: `patches asks a tenant's Windows Update deployment service which quality updates
for Windows were released, how serious what they fix is, and which of it is
exploited: Microsoft's own word, patch by patch. It tells the builds that a patch
brings devices to, which a package of kind osPatch states, the package that holds
it, if there is one, the versions of Windows that devices can be taken to, and the
known issues of Windows.

The catalog is the same in every tenant; any one will do. Nothing is changed there.
The application needs WindowsUpdates.ReadWrite.All: no permission reads alone.`,
		Example: `  packmill patches --tenant nordic/aurora-foods
  packmill patches --tenant nordic/aurora-foods --since 2026-11-01 --format json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant whose service is asked")
	cmd.Flags().StringVar(&since, "since", "", "first day that is listed, in UTC (default 62 days ago)")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if tenant == "" {
			return usageErrorf("patches needs --tenant")
		}
		mill, err := a.reader()
		if err != nil {
			return err
		}
		from := mill.Clock.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -patchDays)
		if since != "" {
			if from, err = time.Parse(time.DateOnly, since); err != nil {
				return usageErrorf("--since %q is no date such as 2026-11-01", since)
			}
		}
		if err := a.wireTenants(mill); err != nil {
			return err
		}
		_, repo, err := a.loadMain(cmd.Context(), "")
		if err != nil {
			return err
		}
		p, err := mill.PatchesOf(cmd.Context(), repo, fleet.TenantID(tenant), from)
		if err != nil {
			return err
		}
		r := result{name: "patches", value: p, table: view.PatchTable(patchRows(p))}
		if len(p.Versions) > 0 {
			r.also = append(r.also, view.VersionTable(versionRows(p)))
		}
		if len(p.Issues) > 0 {
			r.also = append(r.also, view.IssueTable(issueRows(p)))
		}
		return a.write(*f, r)
	}
	return cmd
}

// patchRows are the patches as the table shows them, a line for each build.
func patchRows(p factory.Patches) []view.PatchRow {
	var out []view.PatchRow
	for _, u := range p.Patches {
		row := view.PatchRow{
			Name: u.Name, Released: u.Released, Classification: u.Classification, Severity: u.Severity, Score: u.Score, Exploited: u.Exploited,
			Packages: packageList(u.Packages),
		}
		if len(u.Builds) == 0 {
			out = append(out, row)
		}
		for _, b := range u.Builds {
			row.KB, row.Windows, row.Build = b.KB, b.Windows, b.Build
			out = append(out, row)
		}
	}
	return out
}

func packageList(ids []fleet.PackageID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

func versionRows(p factory.Patches) []view.VersionRow {
	out := make([]view.VersionRow, len(p.Versions))
	for i, v := range p.Versions {
		out[i] = view.VersionRow{Name: v.Name, Build: v.Build, Released: v.Released, Packages: packageList(v.Packages)}
		if v.Until != nil {
			out[i].Until = *v.Until
		}
	}
	return out
}

func issueRows(p factory.Patches) []view.IssueRow {
	out := make([]view.IssueRow, len(p.Issues))
	for i, x := range p.Issues {
		out[i] = view.IssueRow{Windows: x.Windows, KB: x.KB, Status: x.Status, Since: x.Since, FixedBy: x.FixedBy, Title: x.Title}
	}
	return out
}
