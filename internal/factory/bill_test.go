package factory_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// billOf reads the bill of a product with the library.
func billOf(t *testing.T, p factory.Product) *cdx.BOM {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(p.BOM), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	return &bom
}

// The bill names what packmill put into a file: the vendor's program, with the
// archive it was taken out of, and packmill's own scripts.
func TestBillOfMaterials(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	pkg := w.repo.Packages["acme/hello"]
	pkg.Advisories = &fleet.Advisories{CPEs: []string{"cpe:2.3:a:acme:hello"}}
	w.repo.Packages["acme/hello"] = pkg
	p := w.make(t, "acme/hello", "24.09")
	bom := billOf(t, p)
	if m := bom.Metadata.Component; m.CPE != "cpe:2.3:a:acme:hello:24.09:*:*:*:*:*:*:*" || m.Supplier.Name != "Acme" || m.PackageURL != "pkg:generic/acme/hello@24.09" {
		t.Errorf("%+v", m)
	}
	file := (*bom.Components)[0]
	if file.Name != "hello-24.09-x64.intunewin" || (*file.Hashes)[0].Value != p.Built.Files[0].Digest.Hex() || len(*file.Components) != 5 {
		t.Fatalf("%+v", file)
	}
	for _, part := range *file.Components {
		digest := fleet.Digest("sha256:" + (*part.Hashes)[0].Value)
		switch {
		case part.Name != "hello.exe":
			if part.Supplier != nil {
				t.Errorf("%s is said to be the vendor's", part.Name)
			}
		case digest != fleet.DigestOf(fixture(t, "pe/testdata/hello.exe")) || part.Supplier.Name != "Acme" || part.Version != "24.09" ||
			(*part.ExternalReferences)[0].URL != "https://downloads.example/hello-24.09.tgz":
			t.Errorf("%+v", part)
		}
	}
	proof, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim())
	if err != nil || proof.Parts != 6 {
		t.Errorf("%d parts (%v)", proof.Parts, err)
	}
}

// A Linux package's declared dependencies are in the bill, and a setting's own
// files.
func TestBillOfLinuxPackages(t *testing.T) {
	w := settingsWorld(t)
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "needy", Arch: "all", Version: "2.0", VersionSchema: "none", Maintainer: "a <a@example.com>", Description: "x", MTime: buildTime,
		Overridables: nfpm.Overridables{Depends: []string{"libc6 (>= 2.36)", "debconf | debconf-2.0"}},
	})
	var made bytes.Buffer
	if err := errors.Join(nfpm.PrepareForPackager(info, "deb"), deb.Default.Package(info, &made)); err != nil {
		t.Fatal(err)
	}
	w.files["/downloads.example/hello.deb"] = made.Bytes()
	releases := w.repo.Packages["acme/linux"].Releases
	d := releases["1:2.0-3"].Installers["deb"]
	d.Size, d.SHA256, d.Deb = int64(made.Len()), fleet.DigestOf(made.Bytes()), &fleet.DebFacts{Package: "needy", Version: "2.0", Architecture: "all"}
	releases["2.0"] = fleet.Release{Counter: 2, Change: "minor", Installers: map[string]fleet.Download{"deb": d}}
	bom := billOf(t, w.make(t, "acme/linux", "2.0"))
	file := (*bom.Components)[0]
	if file.Supplier == nil || (*file.ExternalReferences)[0].URL != "https://downloads.example/hello.deb" {
		t.Errorf("%+v", file)
	}
	var needs []string
	for _, c := range (*bom.Components)[1:] {
		needs = append(needs, (*c.Properties)[0].Value)
	}
	deps := *bom.Dependencies
	if !slices.Equal(needs, []string{"debconf | debconf-2.0", "libc6 (>= 2.36)"}) || len(deps) != 2 || len(*deps[1].Dependencies) != len(needs) {
		t.Errorf("needs %q, graph %+v", needs, deps)
	}
	for _, c := range *billOf(t, w.make(t, "acme/baseline", "3")).Components {
		if strings.HasSuffix(c.Name, "motd_3_all.deb") {
			if parts := *c.Components; len(parts) != 1 || parts[0].Name != "etc/motd.d/example" || (*parts[0].Hashes)[0].Value != fleet.DigestOf([]byte("mind the gap\n")).Hex() {
				t.Errorf("%+v", parts)
			}
		}
	}
}

// A bill that does not hold is refused; one of another artifact too, though the
// key is trusted.
func TestVerifyRefusesBills(t *testing.T) {
	key := signer(t)
	w := newBuildWorld(t, key)
	setup := w.make(t, "acme/setup", "24.09")
	w.Attester = signer(t) // what it says of its artifact counts for nobody
	hello := w.make(t, "acme/hello", "24.09")
	w.Attester = key
	claim := w.claim()
	claim.Trust = trustIn(key)
	annotations := map[string]string{"dev.sigstore.bundle.predicateType": signing.PredicateBOM}
	if _, err := w.Store.Attach(t.Context(), hello.Built.Artifact, store.MediaTypeBundle, setup.BOMBundle, annotations); err != nil {
		t.Fatal(err)
	}
	_, err := w.VerifyArtifact(t.Context(), hello.Built.Artifact, claim)
	refusedFor(t, "bills of another artifact and by another key", err, "")

	statement, err := signing.BOMStatement([]signing.Resource{
		signing.ResourceOf("manifest", "", hello.Built.Artifact), signing.ResourceOf("x", "", hello.Built.Files[0].Digest),
	}, setup.BOM)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := key.SignStatement(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := factory.VerifyBill(hello.Built.Files[0].Digest, bundle, claim); err == nil {
		t.Error("a bill that does not name the file was accepted")
	}
	if n, err := factory.VerifyBill(setup.Built.Files[0].Digest, setup.BOMBundle, claim); err != nil || n == 0 {
		t.Errorf("%d (%v)", n, err)
	}
	if _, err := factory.VerifyBill(setup.Built.Files[0].Digest, setup.Built.Provenance, claim); err == nil {
		t.Error("a provenance was taken for a bill")
	}
}

// Provenance names the sources with their digests, the commit, the formats and
// the version of packmill.
func TestProvenanceNamesTheTool(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	w.Version = "v1.2.3"
	p := w.make(t, "acme/hello", "24.09")
	verifier, err := signing.NewVerifier(w.trust, signing.UseBuild)
	if err != nil {
		t.Fatal(err)
	}
	s, err := verifier.VerifyStatement(p.Built.Artifact, p.Built.Provenance, buildTime)
	if err != nil {
		t.Fatal(err)
	}
	predicate, err := signing.ParseProvenance(s)
	if err != nil {
		t.Fatal(err)
	}
	if v := predicate.RunDetails.Builder.Version["packmill"]; v != "v1.2.3" {
		t.Errorf("built by %q", v)
	}
	text, err := json.Marshal(predicate)
	if err != nil {
		t.Fatal(err)
	}
	d := w.repo.Packages["acme/hello"].Releases["24.09"].Installers["x64"]
	for _, want := range []string{d.URL, d.SHA256.Hex(), d.MemberSHA256.Hex(), `"gitCommit":"` + w.repo.Commit, `"gitBlob":"1111`, "packmill intunewin v1"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it does not name %s: %s", want, text)
		}
	}
	if !strings.Contains(string(p.BOM), `"v1.2.3"`) {
		t.Error("the bill of materials does not name the tool's version")
	}
}
