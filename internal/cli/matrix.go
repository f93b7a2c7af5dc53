package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// matrix is the JSON form of matrix.
type matrix struct {
	Cells []matrixCell `json:"cells"`
}

// matrixCell is one test that a release needs.
type matrixCell struct {
	Package   fleet.PackageID `json:"package"`
	Version   string          `json:"version"`
	Installer string          `json:"installer"`
	Cell      string          `json:"cell"`
	Platform  string          `json:"platform"`
	OS        string          `json:"os"`
	Arch      string          `json:"arch"`
	Local     string          `json:"local"`  // kind of cell on the machine packmill runs on, "" for others
	Runner    string          `json:"runner"` // label of a GitHub runner, "" for local cells
}

// maxJobs is how many jobs GitHub takes in one matrix (GitHub: "Actions limits").
const maxJobs = 256

func newMatrixCmd(a *app) *cobra.Command {
	var shards int
	cmd := &cobra.Command{
		Use:   "matrix [PACKAGE...]",
		Short: "List the test cells of the newest releases, or the shards of an apply",
		Long: `matrix lists which installer of each package's newest release is tested where.

With --format github it prints what a workflow's strategy.matrix takes, in one
line of JSON: the cells that runners of GitHub run, or with --shards N the parts
of an apply that N jobs share. Where a workflow collects outputs, the line is
also set as the step's output "matrix".`,
		Example: `  packmill matrix
  packmill matrix --format github
  packmill matrix --shards 4 --format github`,
		ValidArgsFunction: a.completePackages,
	}
	cmd.Flags().IntVar(&shards, "shards", 0, "list the shards of packmill apply --shard for this many jobs (1 to 16) instead of cells")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatGitHub)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("shards") {
			return a.shardMatrix(*f, shards, args)
		}
		repo, err := a.loadTree(cmd.Context(), "")
		if err != nil {
			return err
		}
		var ids []fleet.PackageID
		for _, arg := range args {
			id := fleet.PackageID(arg)
			if _, ok := repo.Packages[id]; !ok {
				return fleet.Errorf(fleet.Invalid, "cli.matrix", arg, "there is no such package")
			}
			ids = append(ids, id)
		}
		cells := matrixCells(factory.Matrix(repo, ids...))
		if *f == formatGitHub {
			return a.writeMatrix(slices.DeleteFunc(cells, func(c matrixCell) bool { return c.Runner == "" }))
		}
		return a.write(*f, matrixResult(cells))
	}
	return cmd
}

func matrixCells(in []factory.MatrixCell) []matrixCell {
	out := make([]matrixCell, len(in))
	for i, c := range in {
		e := c.Environment
		out[i] = matrixCell{
			Package: c.Package, Version: c.Version, Installer: c.Installer, Cell: c.Cell,
			Platform: e.Platform, OS: e.OS, Arch: e.Arch, Local: e.Runner.Local, Runner: e.Runner.GitHub,
		}
	}
	return out
}

func matrixResult(cells []matrixCell) result {
	t := view.Table{Columns: view.Cols("package", "version", "installer", "cell", "os", "runs on"), Empty: "no release has a cell"}
	for _, c := range cells {
		where := "this machine (" + c.Local + ")"
		if c.Runner != "" {
			where = "GitHub (" + c.Runner + ")"
		}
		t.Add(string(c.Package), c.Version, c.Installer, c.Cell, c.OS, where)
	}
	return result{name: "matrix", value: matrix{Cells: cells}, table: t}
}

// shardMatrix prints the shards of an apply that n jobs share.
func (a *app) shardMatrix(f format, n int, args []string) error {
	switch {
	case len(args) > 0:
		return usageErrorf("--shards lists parts of an apply, which knows no packages")
	case n < 1 || n > 16:
		return usageErrorf("--shards %d is not between 1 and 16", n)
	case f != formatGitHub:
		return usageErrorf("--shards is for workflows: add --format github")
	}
	type job struct {
		Shard string `json:"shard"`
	}
	jobs := make([]job, n)
	for i := range jobs {
		jobs[i].Shard = fmt.Sprintf("%d/%d", i, n)
	}
	return a.writeMatrix(jobs)
}

// writeMatrix prints jobs as a strategy.matrix and sets them as the step's output
// where a workflow collects outputs.
func (a *app) writeMatrix(jobs any) error {
	if cells, ok := jobs.([]matrixCell); ok && len(cells) > maxJobs {
		return fleet.Errorf(fleet.Invalid, "cli.matrix", "", "%d cells are more than the %d jobs of one matrix: name some packages", len(cells), maxJobs)
	}
	line, err := json.Marshal(struct {
		Include any `json:"include"`
	}{jobs})
	if err != nil {
		return fleet.Errorf(fleet.Internal, "cli.matrix", "", "%w", err)
	}
	if path := a.getenv("GITHUB_OUTPUT"); path != "" {
		out, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer out.Close()
		if _, err := fmt.Fprintf(out, "matrix=%s\n", line); err != nil {
			return err
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}
