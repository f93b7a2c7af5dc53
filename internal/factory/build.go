package factory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/format/sbom"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/setting"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// URIs of provenance: who builds in key-file mode, and what kind of build it
// is. docs/build.md says what a build of this kind does.
const (
	BuilderID = "https://github.com/packmill/packmill/builder/v1"
	BuildType = "https://github.com/packmill/packmill/build/v1"
)

// buildVersion labels what Build makes of its inputs, beside the versions of
// the formats: raise it with any change of names, manifests or choice of files.
const buildVersion = "packmill build v1"

// An Attester signs what was built or tested, as Sigstore bundles.
type Attester interface {
	// SignBlob makes a bundle with a signature of the bytes themselves.
	SignBlob(ctx context.Context, data []byte) ([]byte, error)
	// SignStatement makes a bundle around an in-toto statement.
	SignStatement(ctx context.Context, statement []byte) ([]byte, error)
}

// A Skip is an installer or setting that was left out of an artifact, and why.
type Skip struct {
	Installer string
	Why       string
}

// A Product is what Make made: the build as evidence records it, what was left
// out, and the checksums people verify.
type Product struct {
	Built      fleet.Built
	Skipped    []Skip
	Sums       []byte // SHA256SUMS
	SumsBundle []byte // its Sigstore bundle
	BOM        []byte // bill of materials, CycloneDX in JSON
	BOMBundle  []byte // its Sigstore bundle
}

// Build is Make without what is for people.
func (f *Factory) Build(ctx context.Context, repo *fleet.Repository, id fleet.PackageID, version string) (fleet.Built, error) {
	p, err := f.Make(ctx, repo, id, version)
	return p.Built, err
}

// Make builds the artifact of a release and stores it with its provenance. All
// bytes are compared with the digests that were merged; a difference is an
// error of kind Refused, and nothing is kept. The same release gives the same
// artifact, byte for byte, and the same key the same signatures. A release of
// which nothing can be built here is an error of kind Waiting that says why.
func (f *Factory) Make(ctx context.Context, repo *fleet.Repository, id fleet.PackageID, version string) (p Product, err error) {
	switch {
	case f.Store == nil:
		return p, fleet.Errorf(fleet.Invalid, "factory.build", string(id), "building needs an artifact store")
	case f.Attester == nil:
		return p, fleet.Errorf(fleet.Invalid, "factory.build", string(id), "building needs a signing key")
	}
	pkg, ok := repo.Packages[id]
	if !ok {
		return p, fleet.Errorf(fleet.Invalid, "factory.build", string(id), "there is no such package")
	}
	release, ok := pkg.Releases[version]
	if !ok {
		e := fleet.Errorf(fleet.Invalid, "factory.build", string(id), "there is no release %s", version)
		e.Hint = "its releases: " + strings.Join(pkg.Versions(), ", ")
		return p, e
	}
	dir, err := os.MkdirTemp("", "packmill-build-")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &builder{f: f, repo: repo, pkg: pkg, version: version, release: release, dir: dir}
	if err := b.all(ctx); err != nil {
		return p, named(err, id)
	}
	p, err = b.keep(ctx)
	return p, named(err, id)
}

// named says of which package an error is.
func named(err error, id fleet.PackageID) error {
	var e *fleet.Error
	if errors.As(err, &e) && e.Object != string(id) {
		return &fleet.Error{Op: e.Op, Object: string(id), Kind: e.Kind, Err: err, Hint: e.Hint}
	}
	return err
}

// A builder is one build under way.
type builder struct {
	f       *Factory
	repo    *fleet.Repository
	pkg     fleet.Package
	version string
	release fleet.Release
	dir     string // of files that are gone afterwards

	files     []store.File
	materials []signing.Resource
	inputs    map[string]fleet.Digest // what went in, by name
	skipped   []Skip
	inside    map[string][]sbom.Part // what was put into a file, by its name
}

// all builds every installer, or every setting of a configuration.
func (b *builder) all(ctx context.Context) error {
	b.inputs, b.inside = map[string]fleet.Digest{}, map[string][]sbom.Part{}
	if b.pkg.ByWindowsUpdate() {
		return b.approval()
	}
	keys := b.pkg.InstallerKeys()
	if b.pkg.Kind == "configuration" {
		keys = slices.Sorted(maps.Keys(b.pkg.Settings))
	}
	for i, key := range keys {
		b.f.progress(i, len(keys), "build "+string(b.pkg.ID)+" "+b.version+" "+key)
		var err error
		if b.pkg.Kind == "configuration" {
			err = b.setting(ctx, key, b.pkg.Settings[key])
		} else {
			err = b.installer(ctx, key, b.pkg.Installers[key])
		}
		if err != nil {
			return err
		}
	}
	b.f.progress(len(keys), len(keys), "build "+string(b.pkg.ID))
	if len(b.files) == 0 {
		why := make([]string, len(b.skipped))
		for i, s := range b.skipped {
			why[i] = s.Installer + ": " + s.Why
		}
		return fleet.Errorf(fleet.Waiting, "factory.build", string(b.pkg.ID), "release %s has nothing that is built here (%s)", b.version, strings.Join(why, "; "))
	}
	return nil
}

func (b *builder) skip(key, why string) { b.skipped = append(b.skipped, Skip{key, why}) }

// used notes bytes that went into the artifact.
func (b *builder) used(name, uri string, d fleet.Digest) {
	b.inputs[name] = d
	b.materials = append(b.materials, signing.ResourceOf(name, uri, d))
}

// built adds a finished file.
func (b *builder) built(key, name, mediaType, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	digest, size, err := digestOf(in)
	b.files = append(b.files, store.File{
		Installer: key, Name: name, MediaType: mediaType, Size: size, Digest: digest,
		Open: func() (io.ReadCloser, error) { return os.Open(path) },
	})
	return err
}

// digestOf is the digest and the size of everything r gives.
func digestOf(r io.Reader) (fleet.Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fleet.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), n, err
}

// predicateAnnotation says on a referrer what kind of statement it holds.
const predicateAnnotation = "dev.sigstore.bundle.predicateType"

// keep stores the artifact, signs for it and attaches the provenance.
func (b *builder) keep(ctx context.Context) (Product, error) {
	artifact := store.Artifact{Files: b.files, Annotations: map[string]string{
		store.AnnotationPackage: string(b.pkg.ID), store.AnnotationVersion: b.version,
	}}
	_, manifest, err := artifact.Encode()
	if err != nil {
		return Product{}, err
	}
	statement, err := b.provenance(manifest).Statement()
	if err != nil {
		return Product{}, err
	}
	// Signed before it is stored: what is in the store has its provenance with
	// it, but for a kill between the two, which the next run mends.
	bundle, err := b.f.Attester.SignStatement(ctx, statement)
	if err != nil {
		return Product{}, err
	}
	p := Product{Skipped: b.skipped, Sums: sums(b.files)}
	if p.SumsBundle, err = b.f.Attester.SignBlob(ctx, p.Sums); err != nil {
		return Product{}, err
	}
	if p.BOM, p.BOMBundle, err = b.bill(ctx, manifest); err != nil {
		return Product{}, err
	}
	if _, err := b.f.Store.Put(ctx, artifact); err != nil {
		return Product{}, err
	}
	for _, said := range []struct {
		predicate string
		bundle    []byte
	}{{signing.PredicateProvenance, bundle}, {signing.PredicateBOM, p.BOMBundle}} {
		annotations := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", predicateAnnotation: said.predicate}
		if _, err := b.f.Store.Attach(ctx, manifest, store.MediaTypeBundle, said.bundle, annotations); err != nil {
			return Product{}, err
		}
	}
	p.Built = fleet.Built{
		Package: b.pkg.ID, Version: b.version, Artifact: manifest, Inputs: b.inputsDigest(),
		Files: b.builtFiles(), Provenance: bundle, At: b.f.Clock.Now(),
	}
	return p, nil
}

// builtFiles are the artifact's files in the manifest's order.
func (b *builder) builtFiles() []fleet.BuiltFile {
	out := make([]fleet.BuiltFile, len(b.files))
	for i, f := range b.files {
		out[i] = fleet.BuiltFile{Installer: f.Installer, Name: f.Name, MediaType: f.MediaType, Digest: f.Digest, Size: f.Size}
	}
	return out
}

// sums is SHA256SUMS as sha256sum(1) writes and checks it.
func sums(files []store.File) []byte {
	lines := make([]string, len(files))
	for i, f := range files {
		lines[i] = f.Digest.Hex() + "  " + f.Name + "\n"
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return []byte(strings.Join(lines, ""))
}

func (b *builder) releasePath() string { return desired.ReleasePath(b.pkg.ID, b.version) }

func (b *builder) packagePath() string { return path.Join(b.pkg.ID.Dir(), "package.cue") }

// provenance says what the files and their manifest were made from.
func (b *builder) provenance(manifest fleet.Digest) signing.Provenance {
	materials := slices.Clone(b.materials)
	for _, path := range []string{b.releasePath(), b.packagePath()} {
		if blob := b.repo.Blobs[path]; blob != "" {
			materials = append(materials, signing.Resource{Name: path, Digest: map[string]string{"gitBlob": blob}})
		}
	}
	if b.repo.Commit != "" {
		materials = append(materials, signing.Resource{Name: "main", Digest: map[string]string{"gitCommit": b.repo.Commit}})
	}
	return signing.Provenance{
		Subjects: b.subjects(manifest), Builder: BuilderID, Versions: b.toolVersions(), BuildType: BuildType, Package: b.pkg.ID, Version: b.version,
		Parameters: b.parameters(), Materials: materials,
	}
}

// parameters are what a build depends on beside its sources.
func (b *builder) parameters() map[string]any {
	out := map[string]any{"build": buildVersion, "intunewin": intunewin.FormatVersion, "content": intunewin.ContentVersion, "linux": linuxVersion, "setting": setting.Version, "wrap": wrapper.Version}
	if signer := b.f.codeSigner(); signer != "" {
		out["codeSigner"] = signer
	}
	return out
}

// subjects are the files and the manifest that holds them.
func (b *builder) subjects(manifest fleet.Digest) []signing.Resource {
	subjects := make([]signing.Resource, len(b.files), len(b.files)+1)
	for i, f := range b.files {
		subjects[i] = signing.ResourceOf(f.Name, "", f.Digest)
	}
	return append(subjects, signing.ResourceOf("manifest", "", manifest))
}

// toolVersions are the versions of what built, nil where nobody told them.
func (b *builder) toolVersions() map[string]string {
	if b.f.Version == "" {
		return nil
	}
	return map[string]string{"packmill": b.f.Version}
}

// inputsDigest changes with everything that may change the artifact.
func (b *builder) inputsDigest() fleet.Digest {
	return fleet.DigestJSON(struct {
		Build, Intunewin, Content, Linux, Setting, Wrap string
		Package                                         fleet.PackageID
		Version                                         string
		Release                                         string // git blob
		Files                                           map[string]fleet.Digest
		Code                                            string `json:",omitempty"`
	}{buildVersion, intunewin.FormatVersion, intunewin.ContentVersion, linuxVersion, setting.Version, wrapper.Version, b.pkg.ID, b.version, b.repo.Blobs[b.releasePath()], b.inputs, b.f.codeSigner()})
}

// refusedBuild is a build that must not be.
func refusedBuild(format string, args ...any) error {
	return &fleet.Error{Op: "factory.build", Kind: fleet.Refused, Err: fmt.Errorf(format, args...)}
}
