package sbom

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/packmill/packmill/internal/fleet"
)

func example() Document {
	d := func(s string) fleet.Digest { return fleet.DigestOf([]byte(s)) }
	return Document{
		Subject: d("manifest"), Tool: "v1.2.3", Package: "acme/7-zip", Name: "7-Zip <x>", Version: "24.09+1", Description: "packs files", Supplier: "Acme & Sons",
		CPE: "cpe:2.3:a:acme:7-zip:24.09:*:*:*:*:*:*:*",
		Files: []File{
			{Name: "7-zip-24.09-x64.intunewin", MediaType: "application/vnd.packmill.intunewin", Digest: d("1"), Parts: []Part{
				{Name: "install.cmd", Digest: d("2")},
				{Name: "7z.exe", Digest: d("3"), Vendor: &Origin{URL: "https://downloads.example/7z.tgz", PURL: "pkg:npm/7z@24.09", Within: d("4")}},
			}},
			{Name: "7-zip_24.09_all.deb", MediaType: "application/vnd.debian.binary-package", Digest: d("5"), Vendor: &Origin{URL: "https://downloads.example/7z.deb"},
				Depends: []string{"libc6 (>= 2.36)", "debconf | debconf-2.0"}},
		},
	}
}

// published is the schema that CycloneDX publishes.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	for _, name := range []string{"bom-1.6", "spdx", "jsf-0.82"} {
		file, err := os.Open(filepath.Join("testdata", name+".schema.json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		z, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(z)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("http://cyclonedx.org/schema/"+name+".schema.json", doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFollowsThePublishedSchema(t *testing.T) {
	schema := published(t)
	bare := example()
	bare.Supplier, bare.CPE, bare.Description, bare.Files = "", "", "", bare.Files[1:]
	bare.Files[0].Depends, bare.Files[0].Vendor = nil, nil
	for name, d := range map[string]Document{"full": example(), "bare": bare} {
		data, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
	}
	wrong, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "file"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if schema.Validate(wrong) == nil {
		t.Error("the schema takes a component without a name: it is not looked at")
	}
}

func TestSameDocumentSameBytes(t *testing.T) {
	a, b := example(), example()
	b.Files[0], b.Files[1] = b.Files[1], b.Files[0]
	first, err := a.JSON()
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.JSON()
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("written twice, and different (%v)", err)
	}
	for _, want := range []string{`"urn:uuid:`, `"7-Zip <x>"`, `"pkg:generic/acme/7-zip@24.09%2B1"`, `"taken out of this archive"`, `"libc6 (>= 2.36)"`, `"aggregate": "unknown"`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s is not in\n%s", want, first)
		}
	}
	if strings.Contains(string(first), "timestamp") {
		t.Error("it holds a time")
	}
	other := example()
	other.Subject = fleet.DigestOf([]byte("other"))
	if serial(other.Subject) == serial(a.Subject) {
		t.Error("two artifacts have one serial number")
	}
}

func TestRead(t *testing.T) {
	data, err := example().JSON()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(data)
	if err != nil || s.Subject != example().Subject || len(s.Files) != 2 || s.Components != 6 {
		t.Errorf("%+v (%v)", s, err)
	}
	for name, c := range map[string][2]string{
		"another artifact": {string(example().Subject), string(fleet.DigestOf(nil))},
		"another serial":   {"urn:uuid:", "urn:uuid:0"},
		"another format":   {`"CycloneDX"`, `"SPDX"`},
		"another version":  {`"1.6"`, `"1.5"`},
		"no digest":        {`"SHA-256"`, `"MD5"`},
		"no JSON":          {`{`, ``},
	} {
		bad := strings.Replace(string(data), c[0], c[1], 1)
		if _, err := Read([]byte(bad)); fleet.KindOf(err) != fleet.Refused || err == nil || bad == string(data) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Document{}).JSON(); fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	data, err := example().JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"properties":[]},"components":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := Read(data); err == nil && !s.Subject.Valid() {
			t.Fatalf("%+v", s)
		}
	})
}
