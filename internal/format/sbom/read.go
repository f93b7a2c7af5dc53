package sbom

import (
	"bytes"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/packmill/packmill/internal/fleet"
)

// A Summary is what a bill says of its artifact.
type Summary struct {
	Subject    fleet.Digest            // the manifest it is of
	Files      map[string]fleet.Digest // of the artifact, by name
	Components int                     // all that it names, below one another too
}

// Read reads a bill that packmill wrote. One whose serial number is not that of
// the artifact it names is refused: somebody put it together by hand.
func Read(data []byte) (Summary, error) {
	s := Summary{Files: map[string]fleet.Digest{}}
	no := func(format string, args ...any) (Summary, error) {
		return s, fleet.Errorf(fleet.Refused, "sbom.read", "", format, args...)
	}
	if len(data) > maxDocument {
		return no("the bill of materials has %d bytes", len(data))
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return no("no CycloneDX document: %w", err)
	}
	if bom.BOMFormat != cdx.BOMFormat || bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata == nil || bom.Metadata.Properties == nil || bom.Components == nil {
		return no("the bill of materials is not in the form packmill writes")
	}
	for _, p := range *bom.Metadata.Properties {
		if p.Name == subjectProperty {
			s.Subject = fleet.Digest(p.Value)
		}
	}
	if !s.Subject.Valid() || bom.SerialNumber != serial(s.Subject) {
		return no("serialNumber %q is not that of artifact %q", bom.SerialNumber, s.Subject)
	}
	for _, c := range *bom.Components {
		s.Components += count(c)
		if c.Type != cdx.ComponentTypeFile {
			continue
		}
		if c.Hashes == nil || len(*c.Hashes) != 1 || (*c.Hashes)[0].Algorithm != cdx.HashAlgoSHA256 {
			return no("component %q has no SHA-256 digest", c.Name)
		}
		s.Files[c.Name] = fleet.Digest("sha256:" + (*c.Hashes)[0].Value)
	}
	return s, nil
}

// count is the number of components in one. The depth is that of the JSON, which
// its decoder bounds.
func count(c cdx.Component) int {
	n := 1
	if c.Components != nil {
		for _, part := range *c.Components {
			n += count(part)
		}
	}
	return n
}
