package factory

import (
	"context"
	"io"
	"maps"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
)

// A Claim is what is asked of an artifact or of one built file.
type Claim struct {
	Trust   fleet.Trust       // whose signatures count
	Package fleet.PackageID   // "": whatever the provenance names
	Version string            // "" likewise
	Repo    *fleet.Repository // the release the build is compared with; nil compares with none
	At      time.Time         // when keys must have been in force
}

// A Proof is what verification found.
type Proof struct {
	Subject fleet.Digest
	Package fleet.PackageID
	Version string
	Builder string
	Files   []fleet.BuiltFile // of an artifact; their bytes were all read
	Sources []string          // what it was built from: name, address and digest
	Release bool              // the sources are those of the merged release
	Parts   int               // components that the signed bill of materials names; 0 where there is no bill
}

// VerifyArtifact checks a stored artifact: every byte against its digest, a
// provenance by a trusted key that names the manifest and all its files, and
// that it is of the package and version claimed. Errors are of kind Refused.
func (f *Factory) VerifyArtifact(ctx context.Context, manifest fleet.Digest, c Claim) (Proof, error) {
	if f.Store == nil {
		return Proof{}, fleet.Errorf(fleet.Invalid, "factory.verify", string(manifest), "verifying an artifact needs its store")
	}
	m, err := f.Store.Manifest(ctx, manifest)
	if err != nil {
		return Proof{}, err
	}
	subjects := []fleet.Digest{manifest}
	for _, file := range m.Files {
		if err := f.checkStored(ctx, file, m.Files); err != nil {
			return Proof{}, err
		}
		subjects = append(subjects, file.Digest)
	}
	attached, err := f.Store.Referrers(ctx, manifest, store.MediaTypeBundle)
	if err != nil {
		return Proof{}, err
	}
	// The manifest's own words are no proof, but they must not disagree.
	if c.Package == "" {
		c.Package = fleet.PackageID(m.Annotations[store.AnnotationPackage])
	}
	if c.Version == "" {
		c.Version = m.Annotations[store.AnnotationVersion]
	}
	parts, err := c.bills(manifest, m, attached)
	if err != nil {
		return Proof{}, err
	}
	why := error(fleet.Errorf(fleet.Refused, "factory.verify", string(manifest), "the artifact has no provenance"))
	for _, r := range attached {
		if p := r.Annotations[predicateAnnotation]; p != "" && p != signing.PredicateProvenance {
			continue
		}
		proof, err := c.bundle(subjects, r.Data)
		if err == nil {
			proof.Files, proof.Parts = m.Files, parts
			return proof, nil
		}
		why = err
	}
	return Proof{}, why
}

// bills looks for a bill of materials among what is attached to an artifact. One
// that is there must hold; an artifact of an older build has none.
func (c Claim) bills(manifest fleet.Digest, m store.Manifest, attached []store.Referrer) (int, error) {
	subjects := []fleet.Digest{manifest}
	for _, f := range m.Files {
		subjects = append(subjects, f.Digest)
	}
	var why error
	for _, r := range attached {
		if r.Annotations[predicateAnnotation] != signing.PredicateBOM {
			continue
		}
		bill, err := c.checkBill(subjects, m.Files, r.Data)
		if err == nil {
			return bill.Components, nil
		}
		why = err
	}
	return 0, why
}

// VerifyFile checks one built file against a provenance bundle.
func VerifyFile(r io.Reader, bundle []byte, c Claim) (Proof, error) {
	digest, _, err := digestOf(r)
	if err != nil {
		return Proof{}, err
	}
	return c.bundle([]fleet.Digest{digest}, bundle)
}

// bundle checks one provenance bundle that must name all subjects.
func (c Claim) bundle(subjects []fleet.Digest, data []byte) (Proof, error) {
	var proof Proof
	verifier, err := signing.NewVerifier(c.Trust, signing.UseBuild)
	if err != nil {
		return proof, err
	}
	var predicate signing.ProvenancePredicate
	for _, digest := range subjects {
		s, err := verifier.VerifyStatement(digest, data, c.At)
		if err != nil {
			return proof, err
		}
		if predicate, err = signing.ParseProvenance(s); err != nil {
			return proof, err
		}
	}
	definition := predicate.BuildDefinition
	id, _ := definition.ExternalParameters["package"].(string)
	version, _ := definition.ExternalParameters["version"].(string)
	proof = Proof{Subject: subjects[0], Package: fleet.PackageID(id), Version: version, Builder: predicate.RunDetails.Builder.ID}
	for _, d := range definition.ResolvedDependencies {
		proof.Sources = append(proof.Sources, described(d))
	}
	no := func(format string, args ...any) error {
		return fleet.Errorf(fleet.Refused, "factory.verify", id, format, args...)
	}
	switch {
	case definition.BuildType != BuildType:
		return proof, no("the provenance is of a build of type %q, not %q", definition.BuildType, BuildType)
	case proof.Builder != BuilderID:
		return proof, no("the provenance is by builder %q, not %q", proof.Builder, BuilderID)
	case c.Package != "" && proof.Package != c.Package, c.Version != "" && proof.Version != c.Version:
		return proof, no("the provenance is that of %s %s, not of %s %s", id, version, c.Package, c.Version)
	}
	if c.Repo == nil {
		return proof, nil
	}
	if err := c.release(proof, definition.ResolvedDependencies); err != nil {
		return proof, err
	}
	proof.Release = true
	return proof, nil
}

func described(r signing.Resource) string {
	out := r.Name
	if r.URI != "" {
		out += " " + r.URI
	}
	for _, algorithm := range []string{"sha256", "gitBlob", "gitCommit"} {
		if d := r.Digest[algorithm]; d != "" {
			out += " " + algorithm + ":" + d
		}
	}
	return out
}

// release checks that every installer that went in is one of the merged
// release, by digest.
func (c Claim) release(p Proof, sources []signing.Resource) error {
	no := func(format string, args ...any) error {
		return fleet.Errorf(fleet.Refused, "factory.verify", string(p.Package), format, args...)
	}
	release, ok := c.Repo.Packages[p.Package].Releases[p.Version]
	if !ok {
		return no("the repository has no release %s of it", p.Version)
	}
	states := map[string]fleet.Digest{}
	for key, d := range release.Installers {
		states[key] = d.SHA256
	}
	maps.Copy(states, release.Files)
	known := 0
	for _, r := range sources {
		want, ok := states[r.Name]
		if !ok {
			continue
		}
		known++
		if r.Digest["sha256"] != want.Hex() {
			return no("it was built from another %s than the release states", r.Name)
		}
	}
	if known == 0 {
		return no("its provenance names nothing that the release states")
	}
	return nil
}
