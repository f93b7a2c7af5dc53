// Package sbom writes and reads the bill of materials of an artifact: CycloneDX
// 1.6 in JSON.
//
// It states what is known and says where that ends. The files of an artifact and
// what packmill put into them are known by digest; what a vendor's installer is
// made of is not, so its composition is marked incomplete. It holds no time, and
// its serial number follows from the artifact it is of: the same artifact has
// the same bill.
//
// Source: CycloneDX v1.6 JSON Reference; the published schema is in testdata
// (Apache-2.0).
package sbom

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/packmill/packmill/internal/fleet"
)

// MediaType is that of the bill itself.
const MediaType = "application/vnd.cyclonedx+json"

// subjectProperty names the artifact's manifest in a bill.
const subjectProperty = "packmill:manifest"

// maxDocument is the largest bill that is read, in bytes.
const maxDocument = 8 << 20

// A Document is what a bill says.
type Document struct {
	Subject     fleet.Digest // of the artifact's manifest
	Tool        string       // version of packmill
	Package     fleet.PackageID
	Name        string
	Version     string
	Description string
	Supplier    string // the publisher's name
	CPE         string // CPE 2.3 name with the version, "" where none is known
	Files       []File
}

// A File is one file of the artifact.
type File struct {
	Name      string
	MediaType string
	Digest    fleet.Digest
	Vendor    *Origin  // it is the vendor's, as it is
	Parts     []Part   // what packmill put into it
	Depends   []string // what a Linux package declares that it needs, a clause each
}

// A Part is one file inside a file.
type Part struct {
	Name   string
	Digest fleet.Digest
	Vendor *Origin // nil when it is packmill's or the repository's own
}

// An Origin is where a vendor's file comes from.
type Origin struct {
	URL    string       // address it was downloaded from, "" of others
	PURL   string       // package URL, "" where it has none
	Within fleet.Digest // of the archive it was taken out of, "" of others
}

// JSON is the bill: the same document gives the same bytes.
func (d Document) JSON() ([]byte, error) {
	if !d.Subject.Valid() || d.Package == "" || d.Version == "" || len(d.Files) == 0 {
		return nil, fleet.Errorf(fleet.Invalid, "sbom.write", string(d.Package), "a bill is of an artifact of a release, with files")
	}
	w := &writer{doc: d, needs: map[string]string{}}
	bom := cdx.NewBOM()
	bom.SpecVersion = cdx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = serial(d.Subject)
	bom.Metadata = w.metadata()
	files := slices.SortedFunc(slices.Values(d.Files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var components []cdx.Component
	for _, f := range files {
		components = append(components, w.file(f))
	}
	components = append(components, w.needed...)
	bom.Components = &components
	bom.Dependencies = w.graph(files)
	bom.Compositions = w.compositions()
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// writer collects what refers to components while they are written.
type writer struct {
	doc        Document
	incomplete []cdx.BOMReference
	complete   []cdx.BOMReference
	needed     []cdx.Component   // what Linux packages declare
	needs      map[string]string // clause → reference
}

// serial is a UUID made from the digest of what the bill is of (RFC 9562,
// version 8).
func serial(subject fleet.Digest) string {
	u := sha256.Sum256([]byte("packmill sbom\x00" + subject))
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

func (w *writer) metadata() *cdx.Metadata {
	d := w.doc
	main := cdx.Component{
		BOMRef: "package", Type: cdx.ComponentTypeApplication, Group: d.Package.Publisher(), Name: d.Name, Version: d.Version, Description: d.Description,
		CPE: d.CPE, PackageURL: "pkg:generic/" + escape(string(d.Package)) + "@" + escape(d.Version),
	}
	if d.Supplier != "" {
		main.Supplier = &cdx.OrganizationalEntity{Name: d.Supplier}
	}
	tools := []cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "packmill", Version: d.Tool}}
	return &cdx.Metadata{
		Tools: &cdx.ToolsChoice{Components: &tools}, Component: &main,
		Properties: &[]cdx.Property{{Name: subjectProperty, Value: string(d.Subject)}},
	}
}

// file is the component of a file, with what is inside.
func (w *writer) file(f File) cdx.Component {
	c := w.component("file:"+f.Name, f.Name, f.Digest, f.Vendor)
	c.MIMEType = f.MediaType
	if f.Vendor == nil {
		w.complete = append(w.complete, cdx.BOMReference(c.BOMRef))
	}
	var parts []cdx.Component
	for _, p := range f.Parts {
		parts = append(parts, w.component("file:"+f.Name+"!"+p.Name, p.Name, p.Digest, p.Vendor))
	}
	if len(parts) > 0 {
		c.Components = &parts
	}
	for _, clause := range f.Depends {
		w.need(clause)
	}
	return c
}

// component is a file by its digest, and who supplies it.
func (w *writer) component(ref, name string, digest fleet.Digest, from *Origin) cdx.Component {
	c := cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeFile, Name: name,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: digest.Hex()}},
	}
	if from == nil {
		return c
	}
	c.Version, c.PackageURL = w.doc.Version, from.PURL
	w.incomplete = append(w.incomplete, cdx.BOMReference(ref))
	if w.doc.Supplier != "" {
		c.Supplier = &cdx.OrganizationalEntity{Name: w.doc.Supplier}
	}
	if from.URL != "" {
		r := cdx.ExternalReference{Type: cdx.ERTypeDistribution, URL: from.URL}
		if from.Within == "" {
			r.Hashes = c.Hashes
		} else {
			r.Comment, r.Hashes = "taken out of this archive", &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: from.Within.Hex()}}
		}
		c.ExternalReferences = &[]cdx.ExternalReference{r}
	}
	return c
}

// need notes a package that a Linux package declares: no bytes, but a name.
func (w *writer) need(clause string) {
	if _, ok := w.needs[clause]; ok {
		return
	}
	ref := "needs:" + clause
	w.needs[clause] = ref
	name, _, _ := strings.Cut(clause, " ")
	w.needed = append(w.needed, cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: name, Properties: &[]cdx.Property{{Name: "packmill:declared", Value: clause}},
	})
}

// graph says what depends on what: the package on its files, Linux packages on
// what they declare.
func (w *writer) graph(files []File) *[]cdx.Dependency {
	var all []string
	var out []cdx.Dependency
	for _, f := range files {
		all = append(all, "file:"+f.Name)
		if len(f.Depends) == 0 {
			continue
		}
		var refs []string
		for _, clause := range f.Depends {
			refs = append(refs, w.needs[clause])
		}
		slices.Sort(refs)
		refs = slices.Compact(refs)
		out = append(out, cdx.Dependency{Ref: "file:" + f.Name, Dependencies: &refs})
	}
	out = append([]cdx.Dependency{{Ref: "package", Dependencies: &all}}, out...)
	return &out
}

// compositions say of which components the parts are all known.
func (w *writer) compositions() *[]cdx.Composition {
	var out []cdx.Composition
	if len(w.complete) > 0 {
		out = append(out, cdx.Composition{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &w.complete})
	}
	if len(w.incomplete) > 0 {
		out = append(out, cdx.Composition{Aggregate: cdx.CompositionAggregateUnknown, Assemblies: &w.incomplete})
	}
	return &out
}

// escape writes a text as a part of a package URL, slashes left as they are.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
