package factory

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// A MatrixCell is one test that a release needs: an installer in an environment
// of its package's matrix.
type MatrixCell struct {
	Package     fleet.PackageID
	Version     string
	Cell        string // the environment's name in catalog/matrices.cue
	Installer   string // key in the package, or setting of a configuration
	Environment fleet.Environment
}

// CellsOf are the cells of one release, in the order of the package's matrix:
// every installer that the release ships in every environment that takes it.
func CellsOf(repo *fleet.Repository, pkg fleet.Package, version string) []MatrixCell {
	var out []MatrixCell
	for _, name := range pkg.Tests.Matrix {
		env, ok := repo.Matrices[name]
		if !ok {
			continue // validate has said so
		}
		for _, key := range testable(pkg, version, env) {
			out = append(out, MatrixCell{Package: pkg.ID, Version: version, Cell: name, Installer: key, Environment: env})
		}
	}
	return out
}

// testable are the installers of a release that an environment takes, sorted.
func testable(pkg fleet.Package, version string, env fleet.Environment) []string {
	var keys []string
	if pkg.Kind == "configuration" {
		for _, key := range slices.Sorted(maps.Keys(pkg.Settings)) {
			if pkg.Settings[key].Platform() == env.Platform {
				keys = append(keys, key)
			}
		}
		return keys
	}
	for _, key := range pkg.InstallerKeys() {
		if _, ships := pkg.Releases[version].Installers[key]; ships && env.Takes(pkg.Installers[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Matrix are the cells of the newest release of every package, or of those
// named, sorted by package.
func Matrix(repo *fleet.Repository, only ...fleet.PackageID) []MatrixCell {
	var out []MatrixCell
	for _, id := range repo.PackageIDs() {
		if len(only) > 0 && !slices.Contains(only, id) {
			continue
		}
		pkg := repo.Packages[id]
		if version, _, ok := pkg.Latest(); ok {
			out = append(out, CellsOf(repo, pkg, version)...)
		}
	}
	return out
}
