package factory

import (
	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
)

// checkProvenance checks the signed provenance that came with a build: by a
// key the policy trusted to build at that instant, naming the artifact and all
// its files, for exactly this package and version.
func checkProvenance(repo *fleet.Repository, b fleet.Built) error {
	if len(b.Provenance) == 0 {
		return fleet.Errorf(fleet.Refused, "factory.provenance", string(b.Package), "the build of %s carries no provenance", b.Version)
	}
	verifier, err := signing.NewVerifier(repo.Operator.Trust, "build")
	if err != nil {
		return err
	}
	subjects := []fleet.Digest{b.Artifact}
	for _, f := range b.Files {
		subjects = append(subjects, f.Digest)
	}
	for _, digest := range subjects {
		statement, err := verifier.VerifyStatement(digest, b.Provenance, b.At)
		if err != nil {
			return err
		}
		p, err := signing.ParseProvenance(statement)
		if err != nil {
			return err
		}
		of := p.BuildDefinition.ExternalParameters
		if of["package"] != string(b.Package) || of["version"] != b.Version {
			return fleet.Errorf(fleet.Refused, "factory.provenance", string(b.Package), "the provenance is that of %v %v, not of %s", of["package"], of["version"], b.Version)
		}
	}
	return nil
}

// provenance is checkProvenance, once for each build of a campaign: hundreds of
// tenants get the same one.
func (c *campaign) provenance(b fleet.Built) error {
	c.texts.Lock()
	defer c.texts.Unlock()
	if c.checked[b.Artifact] == b.Package {
		return nil
	}
	err := checkProvenance(c.facts.Repo, b)
	if err == nil {
		c.checked[b.Artifact] = b.Package
	}
	return err
}
