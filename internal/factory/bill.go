package factory

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/deb"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/format/sbom"
)

// hold notes what was put into a file, for the bill of materials.
func (b *builder) hold(name string, entries ...intunewin.Entry) {
	for _, e := range entries {
		digest := fleet.Digest("sha256:" + hex.EncodeToString(e.SHA256[:]))
		b.inside[name] = append(b.inside[name], sbom.Part{Name: e.Name, Digest: digest, Vendor: b.origin(digest)})
	}
}

// holdFile notes what was put into a Linux package.
func (b *builder) holdFile(name string, f linuxFile) error {
	in, err := os.Open(f.source)
	if err != nil {
		return err
	}
	digest, _, err := digestOf(in)
	b.inside[name] = append(b.inside[name], sbom.Part{Name: strings.TrimPrefix(f.path, "/"), Digest: digest, Vendor: b.origin(digest)})
	return errors.Join(err, in.Close())
}

// origin is where bytes come from, if a vendor's download of this release is
// what they are; nil for all others.
func (b *builder) origin(digest fleet.Digest) *sbom.Origin {
	for _, key := range b.pkg.InstallerKeys() {
		d, ok := b.release.Installers[key]
		if !ok {
			continue
		}
		switch digest {
		case d.MemberSHA256:
			return &sbom.Origin{URL: d.URL, PURL: d.PURL, Within: d.SHA256}
		case d.SHA256:
			return &sbom.Origin{URL: d.URL, PURL: d.PURL}
		}
	}
	return nil
}

// bill is the artifact's bill of materials, and the bundle that signs it.
func (b *builder) bill(ctx context.Context, manifest fleet.Digest) (document, bundle []byte, err error) {
	d := sbom.Document{
		Subject: manifest, Tool: cmp.Or(b.f.Version, "unknown"), Package: b.pkg.ID, Name: b.pkg.Name, Version: b.version, Description: b.pkg.Description,
		Supplier: b.repo.Publishers[b.pkg.ID.Publisher()].Name, CPE: cpe(b.pkg, b.version),
	}
	for _, f := range b.files {
		file := sbom.File{Name: f.Name, MediaType: f.MediaType, Digest: f.Digest, Vendor: b.origin(f.Digest), Parts: b.inside[f.Name]}
		slices.SortFunc(file.Parts, func(a, b sbom.Part) int { return strings.Compare(a.Name, b.Name) })
		if f.MediaType == store.MediaTypeDeb {
			if file.Depends, err = declared(f); err != nil {
				return nil, nil, err
			}
		}
		d.Files = append(d.Files, file)
	}
	if document, err = d.JSON(); err != nil {
		return nil, nil, err
	}
	statement, err := signing.BOMStatement(b.subjects(manifest), document)
	if err != nil {
		return nil, nil, err
	}
	bundle, err = b.f.Attester.SignStatement(ctx, statement)
	return document, bundle, err
}

// declared is what a .deb says that it needs, a clause each.
func declared(f store.File) ([]string, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	file, err := deb.Read(r)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, field := range []string{"Pre-Depends", "Depends"} {
		for clause := range strings.SplitSeq(file.Fields[field], ",") {
			if clause = strings.Join(strings.Fields(clause), " "); clause != "" {
				out = append(out, clause)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// cpe is the package's first CPE 2.3 name with a version in it, "" without one.
// What the formatted string gives a meaning to is escaped (NISTIR 7695, 6.2).
func cpe(pkg fleet.Package, version string) string {
	if pkg.Advisories == nil || len(pkg.Advisories.CPEs) == 0 {
		return ""
	}
	var v strings.Builder
	for _, r := range version {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r):
		case r > ' ' && r < 0x7f:
			v.WriteByte('\\')
		default:
			return "" // has no place in a formatted string
		}
		v.WriteRune(r)
	}
	parts := strings.Split(pkg.Advisories.CPEs[0], ":")
	if len(parts) < 5 {
		return ""
	}
	parts = append(slices.Clone(parts[:5]), v.String())
	for len(parts) < 13 {
		parts = append(parts, "*")
	}
	return strings.Join(parts, ":")
}

// checkBill checks a bundle that holds an artifact's bill of materials: signed
// by a trusted key, of all the artifact's files and no others. files may be nil
// where a single file is checked.
func (c Claim) checkBill(subjects []fleet.Digest, files []fleet.BuiltFile, bundle []byte) (sbom.Summary, error) {
	var bill sbom.Summary
	verifier, err := signing.NewVerifier(c.Trust, signing.UseBuild)
	if err != nil {
		return bill, err
	}
	for _, digest := range subjects {
		s, err := verifier.VerifyStatement(digest, bundle, c.At)
		if err != nil {
			return bill, err
		}
		document, err := signing.ParseBOM(s)
		if err != nil {
			return bill, err
		}
		if bill, err = sbom.Read(document); err != nil {
			return bill, err
		}
	}
	if files == nil {
		return bill, nil
	}
	if bill.Subject != subjects[0] || len(bill.Files) != len(files) {
		return bill, fleet.Errorf(fleet.Refused, "factory.verify", string(subjects[0]), "the bill of materials is of another artifact")
	}
	for _, f := range files {
		if bill.Files[f.Name] != f.Digest {
			return bill, fleet.Errorf(fleet.Refused, "factory.verify", f.Name, "the bill of materials names other bytes")
		}
	}
	return bill, nil
}

// VerifyBill checks one built file against the bundle of a bill of materials,
// and tells how many components the bill names.
func VerifyBill(digest fleet.Digest, bundle []byte, c Claim) (int, error) {
	bill, err := c.checkBill([]fleet.Digest{digest}, nil, bundle)
	if err != nil {
		return 0, err
	}
	for _, d := range bill.Files {
		if d == digest {
			return bill.Components, nil
		}
	}
	return 0, fleet.Errorf(fleet.Refused, "factory.verify", string(digest), "the bill of materials does not name the file")
}
