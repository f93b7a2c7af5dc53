package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/view"
)

// reportFiles is what report prints as JSON.
type reportFiles struct {
	Cycle string   `json:"cycle"`
	Index string   `json:"index"` // path of the first page
	Files []string `json:"files"`
}

func newReportCmd(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "report [CYCLE]",
		Short: "Write the pages of a cycle and its packages",
		Long: `report writes a folder of static pages: the cycle, one page for each package, and
the same as CSV and JSON. They need no server and no script, and come out the
same from the same commit and evidence.`,
		Args: cobra.MaximumNArgs(1),
	}
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.Flags().StringVar(&out, "out", "report", "folder to write to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mill, _, err := a.factory(cmd.Context())
		if err != nil {
			return err
		}
		facts, err := mill.Observe(cmd.Context())
		if err != nil {
			return err
		}
		id, err := chosenCycle(facts, args)
		if err != nil {
			return err
		}
		cycle, err := factory.Board(facts, id, factory.DataTime(facts.Record))
		if err != nil {
			return err
		}
		cycle.Version = buildVersion()
		pages, err := view.Pages(cycle)
		if err != nil {
			return err
		}
		r := reportFiles{Cycle: string(id), Index: filepath.Join(out, "index.html"), Files: slices.Sorted(maps.Keys(pages))}
		if err := writePages(out, pages); err != nil {
			return err
		}
		return a.write(*f, result{name: "report", value: r, text: fmt.Sprintf("%d files, begin with %s\n", len(r.Files), r.Index)})
	}
	return cmd
}

// writePages writes files below a folder.
func writePages(dir string, pages map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, pages[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
