package factory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/fleet"
)

// A Cell takes an installer through its life in one kind of environment of this
// machine.
type Cell interface {
	// Run gives the steps with their results. Failed steps are the package's
	// fault; an error is the cell's, of kind Waiting when this machine lacks a
	// part, of kind Invalid when such an environment cannot test such a package.
	Run(ctx context.Context, spec testbed.Spec) ([]fleet.TestStep, error)
}

// Test runs the cells of an artifact's matrix that run on this machine and says
// of the others why they were skipped. What ran is attested, and the attestation
// attached to the artifact. rec is where the build of the release before is
// looked up. When not one cell could run for want of a part of this machine, the
// error is of kind Waiting and nothing is recorded.
func (f *Factory) Test(ctx context.Context, repo *fleet.Repository, built fleet.Built, rec *fleet.Record) ([]fleet.Tested, error) {
	return f.TestCells(ctx, repo, built, rec, "")
}

// TestCells is Test for the environment with the given name, for all if it is
// empty.
func (f *Factory) TestCells(ctx context.Context, repo *fleet.Repository, built fleet.Built, rec *fleet.Record, only string) ([]fleet.Tested, error) {
	switch {
	case f.Store == nil:
		return nil, fleet.Errorf(fleet.Invalid, "factory.test", string(built.Package), "testing needs an artifact store")
	case f.Attester == nil:
		return nil, fleet.Errorf(fleet.Invalid, "factory.test", string(built.Package), "testing needs a signing key")
	}
	pkg, ok := repo.Packages[built.Package]
	if !ok {
		return nil, fleet.Errorf(fleet.Invalid, "factory.test", string(built.Package), "there is no such package")
	}
	if pkg.ByWindowsUpdate() {
		t := noCell(built)
		t.At = f.Clock.Now()
		return []fleet.Tested{t}, nil
	}
	cells := slices.DeleteFunc(CellsOf(repo, pkg, built.Version), func(c MatrixCell) bool { return only != "" && c.Cell != only })
	if len(cells) == 0 {
		err := fleet.Errorf(fleet.Invalid, "factory.test", string(built.Package), "no cell of its matrix fits what release %s ships", built.Version)
		err.Hint = "packmill matrix " + string(built.Package)
		return nil, err
	}
	var out []fleet.Tested
	var missing error // of the first cell that could not run
	for i, c := range cells {
		f.progress(i, len(cells), fmt.Sprintf("test %s %s in %s", built.Package, built.Version, c.Cell))
		t, err := f.test(ctx, repo, built, rec, c, only != "")
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch kind := fleet.KindOf(err); {
		case err == nil:
		case kind == fleet.Waiting:
			missing = errors.Join(missing, err)
			t.Steps = notRun(err.Error())
		case kind == fleet.Invalid:
			t.Steps = notRun(err.Error())
		default:
			return nil, err
		}
		out = append(out, t)
	}
	f.progress(len(cells), len(cells), "test "+string(built.Package))
	if missing != nil && !slices.ContainsFunc(out, func(t fleet.Tested) bool { return t.Result != "skipped" }) {
		return nil, missing
	}
	return out, nil
}

// notRun are the steps of a cell that did not run.
func notRun(why string) []fleet.TestStep {
	return []fleet.TestStep{{Name: "cell", Result: "skipped", Detail: why}}
}

// OnRunner is the kind of cell that is the machine itself, of a runner of GitHub
// that nobody needs afterwards. Cells of GitHub's runners run there when they are
// named: which of them this machine is, its workflow knows.
const OnRunner = "github"

// test runs one cell; named says that it was asked for by its name.
func (f *Factory) test(ctx context.Context, repo *fleet.Repository, built fleet.Built, rec *fleet.Record, c MatrixCell, named bool) (fleet.Tested, error) {
	pkg := repo.Packages[built.Package]
	t := fleet.Tested{
		Package: built.Package, Version: built.Version, Artifact: built.Artifact, Cell: c.Cell, Installer: c.Installer,
		Result: "skipped", At: f.Clock.Now(),
	}
	kind := c.Environment.Runner.Local
	if c.Environment.Runner.GitHub != "" {
		if kind = OnRunner; !named || f.Cells[kind] == nil {
			t.Steps = notRun("runs on GitHub, on " + c.Environment.Runner.GitHub)
			return t, nil
		}
	}
	file, ok := fileOf(built, c.Installer)
	if !ok {
		t.Steps = notRun("the artifact has no file of this installer")
		return t, nil
	}
	cell := f.Cells[kind]
	if cell == nil {
		return t, fleet.Errorf(fleet.Waiting, "factory.test", c.Cell, "this machine has no cells of kind %q", kind)
	}
	spec := f.specOf(repo, pkg, built, rec, c)
	spec.This = f.candidate(pkg, built.Version, c.Installer, file)
	steps, err := cell.Run(ctx, spec)
	if err != nil {
		return t, err
	}
	t.Steps, t.Result, t.At = steps, outcome(steps), f.Clock.Now()
	if t.Result == "skipped" {
		return t, nil
	}
	t.Attestation, err = f.attestTest(ctx, t, c.Environment, file)
	return t, err
}

// outcome is the result of a cell: failed if a step failed, passed if the release
// was seen installed. What was skipped or reported decides nothing.
func outcome(steps []fleet.TestStep) string {
	result := "skipped"
	for _, s := range steps {
		switch {
		case s.Result == "failed":
			return "failed"
		case s.Name == testbed.StepDetect && s.Result == "passed":
			result = "passed"
		}
	}
	return result
}

func fileOf(b fleet.Built, installer string) (fleet.BuiltFile, bool) {
	i := slices.IndexFunc(b.Files, func(f fleet.BuiltFile) bool { return f.Installer == installer })
	if i < 0 {
		return fleet.BuiltFile{}, false
	}
	return b.Files[i], true
}

// attestTest signs what a cell found and attaches it to the artifact.
func (f *Factory) attestTest(ctx context.Context, t fleet.Tested, env fleet.Environment, file fleet.BuiltFile) ([]byte, error) {
	r := signing.TestResult{
		Subjects: []signing.Resource{
			signing.ResourceOf("manifest", "", t.Artifact),
			signing.ResourceOf(file.Name, "", file.Digest),
		},
		Passed:        t.Result == "passed",
		Configuration: []signing.Resource{signing.ResourceOf("matrices/"+t.Cell, "", fleet.DigestJSON(env))},
	}
	for _, s := range t.Steps {
		name := t.Cell + "/" + t.Installer + "/" + s.Name
		if s.Log != "" {
			r.Logs = append(r.Logs, signing.ResourceOf(name, "", s.Log))
		}
		switch s.Result {
		case "passed":
			r.PassedTests = append(r.PassedTests, name)
		case "reported":
			r.WarnedTests = append(r.WarnedTests, name)
		case "failed":
			r.FailedTests = append(r.FailedTests, name)
		}
	}
	statement, err := r.Statement()
	if err != nil {
		return nil, err
	}
	bundle, err := f.Attester.SignStatement(ctx, statement)
	if err != nil {
		return nil, err
	}
	annotations := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": signing.PredicateTestResult}
	_, err = f.Store.Attach(ctx, t.Artifact, store.MediaTypeBundle, bundle, annotations)
	return bundle, err
}
