package factory

import (
	"context"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// specOf is what a cell is given beside the release itself: the two releases
// before, the neighbours, and a place for its logs.
func (f *Factory) specOf(repo *fleet.Repository, pkg fleet.Package, built fleet.Built, rec *fleet.Record, c MatrixCell) testbed.Spec {
	spec := testbed.Spec{Package: pkg, Installer: c.Installer, Environment: c.Environment}
	spec.Previous, spec.Without = f.before(pkg, built.Version, c.Installer, rec)
	if spec.Previous != nil {
		spec.Older, _ = f.before(pkg, spec.Previous.Version, c.Installer, rec)
	}
	for _, id := range pkg.Tests.Neighbours {
		spec.Neighbours = append(spec.Neighbours, f.neighbour(repo, id, c.Environment, rec))
	}
	spec.Keep = func(ctx context.Context, step string, log []byte) (fleet.Digest, error) {
		annotations := map[string]string{ocispec.AnnotationTitle: c.Cell + "/" + c.Installer + "/" + step + ".log"}
		_, err := f.Store.Attach(ctx, built.Artifact, store.MediaTypeTestLog, log, annotations)
		return fleet.DigestOf(log), err
	}
	return spec
}

// before is the release that devices have before this one, as it was built.
func (f *Factory) before(pkg fleet.Package, version, installer string, rec *fleet.Record) (*testbed.Candidate, string) {
	older, release, ok := pkg.Before(version)
	if !ok {
		return nil, "there is no release before"
	}
	if _, ships := release.Installers[installer]; !ships && pkg.Kind != "configuration" {
		return nil, older + " does not ship it"
	}
	return f.builtCandidate(pkg, older, installer, rec)
}

// builtCandidate is a release as it was built, or why there is none.
func (f *Factory) builtCandidate(pkg fleet.Package, version, installer string, rec *fleet.Record) (*testbed.Candidate, string) {
	var built *fleet.Built
	if rec != nil {
		built = rollout.BuiltOf(rec, pkg.ID, version)
	}
	if built == nil {
		return nil, version + " has not been built"
	}
	file, ok := fileOf(*built, installer)
	if !ok {
		return nil, version + " has not been built for it"
	}
	c := f.candidate(pkg, version, installer, file)
	return &c, ""
}

// neighbour is the newest release of another package, by the first of its
// installers that the environment takes.
func (f *Factory) neighbour(repo *fleet.Repository, id fleet.PackageID, env fleet.Environment, rec *fleet.Record) testbed.Neighbour {
	n := testbed.Neighbour{ID: id}
	pkg := repo.Packages[id]
	version, _, ok := pkg.Latest()
	keys := testable(pkg, version, env)
	keys = slices.DeleteFunc(keys, func(key string) bool { return pkg.Installers[key].Type == "" })
	if !ok || len(keys) == 0 {
		n.Without = "it has nothing to install here"
		return n
	}
	n.Installer = pkg.Installers[keys[0]]
	n.Candidate, n.Without = f.builtCandidate(pkg, version, keys[0], rec)
	return n
}
