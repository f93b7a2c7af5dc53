package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/coverage"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// matrix is the JSON form of matrix.
type matrix struct {
	Cells        []matrixCell        `json:"cells"`
	Environments []matrixEnvironment `json:"environments"`
	// Coverage is absent where evidence holds no inventory.
	Coverage *coverage.Report `json:"coverage,omitempty"`
}

// matrixEnvironment is an environment and who needs it.
type matrixEnvironment struct {
	Name     string            `json:"name"`
	OS       string            `json:"os"`
	Packages []fleet.PackageID `json:"packages"` // sorted
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
		Long: `matrix lists which installer of each package's newest release is tested where,
and which share of the devices in the newest inventories has a system that one
of these cells tests on.

With --format github it prints what a workflow's strategy.matrix takes, in one
line of JSON: the cells that runners of GitHub run, at most 256 jobs, above which
several releases share one, or with --shards N the parts of an apply that N jobs
share. A job's releases are for packmill test, one after the other. Where a workflow collects outputs, the line is
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
			return a.writeMatrix(jobsOf(slices.DeleteFunc(cells, func(c matrixCell) bool { return c.Runner == "" })))
		}
		v := matrix{Cells: cells, Environments: environmentsOf(cells)}
		needed := maps.Clone(repo.Matrices)
		maps.DeleteFunc(needed, func(name string, _ fleet.Environment) bool {
			return !slices.ContainsFunc(cells, func(c matrixCell) bool { return c.Cell == name })
		})
		if devices := a.inventory(cmd.Context()); len(devices) > 0 {
			report := coverage.Of(needed, devices)
			v.Coverage = &report
		}
		if err := a.write(*f, result{name: "matrix", value: v, table: matrixTable(v.Cells)}); err != nil || *f != formatTable {
			return err
		}
		return a.tellCoverage(v)
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

func matrixTable(cells []matrixCell) view.Table {
	t := view.Table{Columns: view.Cols("package", "version", "installer", "cell", "os", "runs on"), Empty: "no release has a cell"}
	for _, c := range cells {
		where := "this machine (" + c.Local + ")"
		if c.Runner != "" {
			where = "GitHub (" + c.Runner + ")"
		}
		t.Add(string(c.Package), c.Version, c.Installer, c.Cell, c.OS, where)
	}
	return t
}

// environmentsOf are the environments that cells name, sorted.
func environmentsOf(cells []matrixCell) []matrixEnvironment {
	out := []matrixEnvironment{}
	for _, c := range cells {
		i, known := slices.BinarySearchFunc(out, c.Cell, func(e matrixEnvironment, name string) int { return strings.Compare(e.Name, name) })
		if !known {
			out = slices.Insert(out, i, matrixEnvironment{Name: c.Cell, OS: c.OS})
		}
		if !slices.Contains(out[i].Packages, c.Package) { // cells are sorted by package
			out[i].Packages = append(out[i].Packages, c.Package)
		}
	}
	return out
}

// inventory is every tenant's newest inventory in evidence; none where there is
// no evidence, or it cannot be read, of which the log tells.
func (a *app) inventory(ctx context.Context) map[fleet.TenantID][]fleet.InventoryRow {
	_, ledger, err := a.offline(ctx)
	if err == nil {
		var rec *fleet.Record
		if rec, err = ledger.Read(ctx); err == nil {
			return rollout.LatestInventory(rec, time.Time{})
		}
	}
	a.log().Debug("no inventory", "error", err)
	return nil
}

// tellCoverage says, below the cells, which share of the inventory they stand for.
func (a *app) tellCoverage(v matrix) error {
	if v.Coverage == nil {
		_, err := fmt.Fprintln(a.stdout, "\nNo inventory in evidence, so nothing is known of the share of devices that this covers: packmill run takes it.")
		return err
	}
	if _, err := fmt.Fprintf(a.stdout, "\nThe matrix covers %d of %d devices (%.1f %%):\n", v.Coverage.Covered, v.Coverage.Devices, v.Coverage.Percent()); err != nil {
		return err
	}
	t := view.Table{Columns: view.Cols("platform", "os", "devices", "tested in"), Empty: "no device"}
	for _, list := range [][]coverage.Share{v.Coverage.Systems, v.Coverage.Models} {
		for _, s := range list {
			t.Add(s.Platform, s.OS, strconv.Itoa(s.Devices), cmp.Or(strings.Join(s.Environments, ", "), "nothing"))
		}
	}
	return a.write(formatTable, result{table: t})
}

// A matrixJob is one job of a workflow: the cell of a matrix, for as many
// releases as it takes to stay within GitHub's number of jobs.
type matrixJob struct {
	Cell     string `json:"cell"`
	Runner   string `json:"runner"`
	Platform string `json:"platform"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Releases string `json:"releases"` // "a/b@1 c/d@2": arguments of packmill test, one after the other
}

// jobsOf are the jobs of cells: one for each release in each environment, or, if
// that is more than GitHub takes, with several releases of one environment in
// each, as evenly as it goes.
func jobsOf(cells []matrixCell) []matrixJob {
	releases := map[string][]string{}
	first := map[string]matrixCell{}
	total := 0
	for _, c := range cells {
		name := string(c.Package) + "@" + c.Version
		if !slices.Contains(releases[c.Cell], name) {
			releases[c.Cell] = append(releases[c.Cell], name)
			total++
		}
		first[c.Cell] = c
	}
	size := 1
	count := func() (jobs int) {
		for _, list := range releases {
			jobs += (len(list) + size - 1) / size
		}
		return jobs
	}
	for count() > maxJobs && size < total {
		size++
	}
	jobs := []matrixJob{}
	for _, name := range slices.Sorted(maps.Keys(releases)) {
		c := first[name]
		for part := range slices.Chunk(releases[name], size) {
			jobs = append(jobs, matrixJob{Cell: name, Runner: c.Runner, Platform: c.Platform, OS: c.OS, Arch: c.Arch, Releases: strings.Join(part, " ")})
		}
	}
	return jobs
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
	if list, ok := jobs.([]matrixJob); ok && len(list) > maxJobs {
		return fleet.Errorf(fleet.Invalid, "cli.matrix", "", "%d environments are more than the %d jobs of one matrix: name some packages", len(list), maxJobs)
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
