package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// tested is the JSON form of test.
type tested struct {
	Package  fleet.PackageID `json:"package"`
	Version  string          `json:"version"`
	Artifact fleet.Digest    `json:"artifact"`
	Store    string          `json:"store"`
	Passed   bool            `json:"passed"` // no cell failed, and one passed
	Cells    []fleet.Tested  `json:"cells"`
}

// testAbout is the help of test.
const testAbout = `test builds a release, and the two before it, and takes it through its life in
every cell of its matrix that runs on this machine: detection must not hold
before, must hold after the installation; the program starts; the releases before
are upgraded, and settings survive that; after the removal nothing is detected
any more. What it adds that acts by itself, and what it leaves behind, is
reported. Linux cells are systems in a folder and take root; Windows cells are
Wine prefixes.

What packages bring runs in a sandbox without network and without anything of
this machine. On a runner that GitHub hosts, --cell with the name of its
environment installs on the runner itself, outside of any sandbox; elsewhere that
takes --this-machine as well, and leaves a machine that nobody should use again.
What was found is signed and attached to the artifact. packmill run
tests what is due by itself and records it in evidence.

The cells' systems are fetched once, when first needed or by --prepare. A failed
cell ends it with exit code 3.`

func newTestCmd(a *app) *cobra.Command {
	var cell, at, key, rev string
	var prepare, here bool
	cmd := &cobra.Command{
		Use:   "test PACKAGE[@VERSION]",
		Short: "Install, upgrade and remove a release in the cells of this machine",
		Long:  testAbout,
		Example: `  packmill test --prepare
  packmill test igor-pavlov/7-zip@24.09 --cell wine`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completePackages,
	}
	flags := cmd.Flags()
	flags.StringVar(&cell, "cell", "", "only this environment of catalog/matrices.cue; with --prepare chroot or wine")
	flags.BoolVar(&prepare, "prepare", false, "only make the systems that cells stand on")
	flags.BoolVar(&here, "this-machine", false, "install on this machine itself, which nobody needs afterwards, for the cell of a GitHub runner that --cell names")
	flags.StringVar(&at, "store", "", storeFlagText)
	flags.StringVar(&key, "key", "", keyFlagText)
	flags.StringVar(&rev, "rev", "", "read the release from this commit")
	f := formatFlag(cmd, formatTable, formatJSON, formatMarkdown, formatGitHub)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case prepare:
			return a.prepareCells(cmd.Context(), cell)
		case len(args) == 0:
			return usageErrorf("test needs a package: packmill test PACKAGE")
		case here && cell == "":
			return usageErrorf("--this-machine needs the name of its cell: --cell windows-11")
		}
		git, repo, err := a.loadMain(cmd.Context(), rev)
		if err != nil {
			return err
		}
		mill := &factory.Factory{Version: buildVersion(), Log: a.log(), Progress: a.progress(), Git: git}
		if mill.Attester, err = a.loadKey(key); err != nil {
			return err
		}
		if err := a.wireCode(mill); err != nil {
			return err
		}
		if mill.Store, err = a.openStore(at, repo.Operator.Store); err != nil {
			return err
		}
		v, err := a.test(cmd.Context(), mill, repo, args[0], cell, here)
		if err != nil {
			return err
		}
		return a.tellTest(*f, v)
	}
	return cmd
}

// tellTest prints what was found; a failed cell is a failed verification. That no
// cell could look is no success either: somebody must give it one that can.
func (a *app) tellTest(f format, v tested) error {
	if err := a.write(f, testResult(v)); err != nil {
		return err
	}
	switch {
	case v.failed():
		return errTold{exitRefused}
	case !v.Passed:
		e := fleet.Errorf(fleet.Stalled, "cli.test", string(v.Package), "no cell of %s was able to look: nothing is proven", v.Version)
		e.Hint = "the list above says what each lacks; tests: matrix in package.cue names the cells"
		return e
	}
	return nil
}

// test builds what the argument names and the release before, and tests it.
func (a *app) test(ctx context.Context, mill *factory.Factory, repo *fleet.Repository, arg, cell string, here bool) (v tested, err error) {
	id, version, err := releaseOf(repo, arg)
	if err != nil {
		return v, err
	}
	if mill.Clock, err = a.clock(); err != nil {
		return v, err
	}
	client, err := a.upstream(ctx, mill.Clock)
	if err != nil {
		return v, err
	}
	mill.Upstream = client
	if err := a.wireCells(mill); err != nil {
		return v, err
	}
	if cell != "" && (here || testbed.Disposable(a.getenv)) {
		work, err := os.MkdirTemp("", "packmill-cell-")
		if err != nil {
			return v, err
		}
		defer os.RemoveAll(work) // what a program still holds open goes with the machine
		if mill.Cells[factory.OnRunner], err = testbed.NewRunner(runtime.GOOS, runtime.GOARCH, work, time.Now); err != nil {
			return v, err
		}
	}
	built, err := mill.Build(ctx, repo, id, version)
	if err != nil {
		return v, asked(err)
	}
	rec := &fleet.Record{Builds: []fleet.Built{built}}
	for _, other := range beside(repo, id, version) {
		more, err := mill.Build(ctx, repo, other.id, other.version)
		if err != nil {
			return v, fmt.Errorf("%s %s, which the test needs as well: %w", other.id, other.version, err)
		}
		rec.Builds = append(rec.Builds, more)
	}
	cells, err := mill.TestCells(ctx, repo, built, rec, cell)
	if err != nil {
		return v, err
	}
	v = tested{Package: id, Version: version, Artifact: built.Artifact, Store: mill.Store.Where(), Cells: cells}
	v.Passed = !v.failed() && slices.ContainsFunc(cells, func(t fleet.Tested) bool { return t.Result == "passed" })
	return v, nil
}

// A release is one version of one package.
type release struct {
	id      fleet.PackageID
	version string
}

// beside are the releases that a test of one needs as well: the two before it,
// and the newest of its neighbours.
func beside(repo *fleet.Repository, id fleet.PackageID, version string) []release {
	var out []release
	pkg := repo.Packages[id]
	for range 2 {
		older, _, ok := pkg.Before(version)
		if !ok {
			break
		}
		out = append(out, release{id, older})
		version = older
	}
	for _, n := range pkg.Tests.Neighbours {
		if newest, _, ok := repo.Packages[n].Latest(); ok {
			out = append(out, release{n, newest})
		}
	}
	return out
}

func (v tested) failed() bool {
	return slices.ContainsFunc(v.Cells, func(t fleet.Tested) bool { return t.Result == "failed" })
}

func testResult(v tested) result {
	t := view.Table{Columns: view.Cols("cell", "installer", "step", "result", "detail"), Empty: "no cell"}
	for _, c := range v.Cells {
		for _, s := range c.Steps {
			t.Add(c.Cell, c.Installer, s.Name, s.Result, s.Detail)
		}
	}
	return result{name: "test", value: v, table: t}
}

// localCells are the cells of this machine, by kind.
func (a *app) localCells() (map[string]localCell, error) {
	dir, err := a.testbedDir()
	if err != nil {
		return nil, err
	}
	bed := testbed.Bed{Dir: dir, System: os.DirFS("/"), Getenv: a.getenv, Say: func(what string) { fmt.Fprintln(a.stderr, "packmill: "+what) }}
	return map[string]localCell{
		"chroot": testbed.NewChroot(bed), "rpm": testbed.NewRPM(bed), "wine": testbed.NewWine(bed), "simulated": testbed.Simulated{},
	}, nil
}

// A localCell can be prepared before it is used.
type localCell interface {
	factory.Cell
	// Prepare makes the base of a release of the system, of its own choice if the
	// name is empty, if there is none.
	Prepare(ctx context.Context, release string) error
}

// testbedDir is where bases and running cells lie: PACKMILL_TESTBED, or a folder
// of the user's cache.
func (a *app) testbedDir() (string, error) {
	if dir := a.getenv("PACKMILL_TESTBED"); dir != "" {
		return dir, nil
	}
	return a.cacheDir("testbed")
}

// wireCells gives the factory the cells of this machine.
func (a *app) wireCells(f *factory.Factory) error {
	cells, err := a.localCells()
	if err != nil {
		return err
	}
	f.Cells = map[string]factory.Cell{}
	for kind, c := range cells {
		f.Cells[kind] = c
	}
	return nil
}

// prepareCells makes the bases of all cells, or of one: those that a machine has
// by itself, and the releases that the repository's matrices name. What this
// machine lacks is told and is no failure: other cells may still run.
func (a *app) prepareCells(ctx context.Context, only string) error {
	cells, err := a.localCells()
	if err != nil {
		return err
	}
	if _, ok := cells[only]; only != "" && !ok {
		return usageErrorf("--cell %q is none of %v", only, slices.Sorted(maps.Keys(cells)))
	}
	t := view.Table{Columns: view.Cols("cell", "state")}
	for _, r := range a.bases(ctx, cells) {
		if only != "" && r.Local != only {
			continue
		}
		name := strings.TrimSpace(r.Local + " " + r.Release)
		err := cells[r.Local].Prepare(ctx, r.Release)
		switch {
		case err == nil:
			t.Add(name, "ready")
		case fleet.KindOf(err) == fleet.Waiting && ctx.Err() == nil:
			t.Add(name, "not here: "+err.Error())
		default:
			return err
		}
	}
	return a.write(formatTable, result{table: t})
}

// bases are the bases that may be wanted here, sorted. Outside of a repository,
// or in one that cannot be read, these are the cells' own.
func (a *app) bases(ctx context.Context, cells map[string]localCell) []fleet.Runner {
	wanted := map[fleet.Runner]bool{}
	for kind := range cells {
		wanted[fleet.Runner{Local: kind}] = true
	}
	if repo, err := a.loadTree(ctx, ""); err == nil {
		for _, env := range repo.Matrices {
			if _, ok := cells[env.Runner.Local]; ok {
				wanted[env.Runner] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(wanted), func(a, b fleet.Runner) int {
		return cmp.Or(cmp.Compare(a.Local, b.Local), cmp.Compare(a.Release, b.Release))
	})
}
