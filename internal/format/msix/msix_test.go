package msix

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

const manifest = `<?xml version="1.0" encoding="utf-8"?>
<Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10"
  xmlns:uap="http://schemas.microsoft.com/appx/manifest/uap/windows10"
  xmlns:rescap="http://schemas.microsoft.com/appx/manifest/foundation/windows10/restrictedcapabilities">
  <Identity Name="Example.Widget" Publisher="CN=Example AS, O=Example AS, C=FI" Version="24.9.0.0" ProcessorArchitecture="x64"/>
  <Properties><DisplayName>Widget</DisplayName><PublisherDisplayName>Example AS</PublisherDisplayName><Description>Turns things</Description></Properties>
  <Dependencies><TargetDeviceFamily Name="Windows.Desktop" MinVersion="10.0.17763.0" MaxVersionTested="10.0.22621.0"/></Dependencies>
  <Capabilities><Capability Name="internetClient"/><rescap:Capability Name="runFullTrust"/><DeviceCapability Name="webcam"/></Capabilities>
  <Applications><Application Id="App" Executable="app\widget.exe" EntryPoint="Windows.FullTrustApplication"><uap:VisualElements DisplayName="Widget"/></Application></Applications>
</Package>`

const bundleManifest = `<?xml version="1.0" encoding="UTF-8"?>
<Bundle xmlns="http://schemas.microsoft.com/appx/2013/bundle" xmlns:b4="http://schemas.microsoft.com/appx/2018/bundle">
  <Identity Name="Example.Widget" Publisher="CN=Example AS, O=Example AS, C=FI" Version="2024.9.0.0"/>
  <Packages>
    <Package Type="application" Version="24.9.0.0" Architecture="x64" FileName="widget.msix"><b4:Dependencies><b4:TargetDeviceFamily Name="Windows.Desktop" MinVersion="10.0.17763.0" MaxVersionTested="10.0.22621.0"/></b4:Dependencies></Package>
    <Package Version="24.9.0.0" ResourceId="split.language-de" FileName="de.msix"/>
  </Packages>
</Bundle>`

type member struct {
	name, text string
	store      bool
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.store {
			h.Method = zip.Store
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parse(data []byte) (*File, error) { return Read(bytes.NewReader(data), int64(len(data))) }

func TestRead(t *testing.T) {
	data := zipOf(t, member{name: "AppxManifest.xml", text: "\ufeff" + manifest}, member{name: "app/widget.exe", text: "MZ"},
		member{name: "AppxBlockMap.xml", text: "<BlockMap/>"}, member{name: "AppxSignature.p7x", text: "PKCX\x30\x00"})
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	f.r, f.zip = nil, nil
	want := &File{
		Name: "Example.Widget", Publisher: "CN=Example AS, O=Example AS, C=FI", Version: "24.9.0.0", Arch: "x64",
		DisplayName: "Widget", PublisherDisplay: "Example AS", Description: "Turns things",
		Targets:      []Target{{"Windows.Desktop", "10.0.17763.0", "10.0.22621.0"}},
		Capabilities: []string{"internetClient", "runFullTrust", "webcam"},
		Applications: []Application{{"App", `app\widget.exe`, "Windows.FullTrustApplication", "Widget"}},
		Signature:    []byte("PKCX\x30\x00"), BlockMap: true, Members: 4,
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("%+v\nwant %+v", f, want)
	}
	if !strings.HasPrefix(f.FullName(), "Example.Widget_24.9.0.0_x64__") || !strings.HasSuffix(f.FullName(), PublisherID(f.Publisher)) {
		t.Error(f.FullName())
	}
}

func TestBundle(t *testing.T) {
	inner := zipOf(t, member{name: "AppxManifest.xml", text: manifest})
	f, err := parse(zipOf(t, member{name: "AppxMetadata/AppxBundleManifest.xml", text: bundleManifest},
		member{"widget.msix", string(inner), true}, member{"de.msix", "PK", false}))
	if err != nil {
		t.Fatal(err)
	}
	want := []Contained{
		{Member: "widget.msix", Type: "application", Version: "24.9.0.0", Arch: "x64", Targets: []Target{{"Windows.Desktop", "10.0.17763.0", "10.0.22621.0"}}},
		{Member: "de.msix", Type: "resource", Version: "24.9.0.0", Resource: "split.language-de"},
	}
	if !f.Bundle || f.Version != "2024.9.0.0" || f.Arch != "" || !reflect.DeepEqual(f.Packages, want) || f.Signature != nil || f.BlockMap {
		t.Errorf("%+v", f)
	}
	in, err := f.Inner(f.Packages[0])
	if err != nil || in.DisplayName != "Widget" || in.Family() != f.Family() {
		t.Errorf("%+v, %v", in, err)
	}
	if in, err := f.Inner(f.Packages[1]); err == nil {
		t.Errorf("a compressed package was read: %+v", in)
	}
}

// Publisher ids that are published (stackoverflow.com/questions/21568483), the
// first by Microsoft too.
func TestPublisherID(t *testing.T) {
	for publisher, want := range map[string]string{
		"CN=Microsoft Corporation, O=Microsoft Corporation, L=Redmond, S=Washington, C=US":  "8wekyb3d8bbwe",
		"CN=Microsoft Windows, O=Microsoft Corporation, L=Redmond, S=Washington, C=US":      "cw5n1h2txyewy",
		"CN=Skype Software Sarl, O=Microsoft Corporation, L=Luxembourg, S=Luxembourg, C=LU": "kzf8qxf38zg5c",
		"CN=C357A519-CEE3-4675-9EF4-44DE1D99A5D6":                                           "amge560j0aq9g",
		"CN=07AACB4D-E1D7-4606-AF0F-77713A7C52F6":                                           "a2xxwqz7shah6",
	} {
		if got := PublisherID(publisher); got != want {
			t.Errorf("%s: %s, want %s", publisher, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := member{name: "AppxManifest.xml", text: manifest}
	with := func(old, now string) []byte {
		return zipOf(t, member{name: "AppxManifest.xml", text: strings.Replace(manifest, old, now, 1)})
	}
	many := zipOf(t, good)
	end := bytes.LastIndex(many, []byte("PK\x05\x06"))
	many = append(many[:end:end], append([]byte("PK\x06\x07\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00\x00\x00"), many[end:]...)...)
	for name, data := range map[string][]byte{
		"empty":          nil,
		"HTML":           []byte("<!DOCTYPE html>"),
		"other zip":      zipOf(t, member{name: "readme.txt"}),
		"upwards":        zipOf(t, good, member{name: "../a"}),
		"absolute":       zipOf(t, good, member{name: "/a"}),
		"backslash":      zipOf(t, good, member{name: `a\b`}),
		"drive":          zipOf(t, good, member{name: "c:a"}),
		"twice":          zipOf(t, good, member{name: "appxmanifest.XML"}),
		"no name":        with("Example.Widget", ""),
		"version":        with("24.9.0.0", "24.9"),
		"architecture":   with(`"x64"`, `"ia64"`),
		"no publisher":   with("CN=Example AS, O=Example AS, C=FI", ""),
		"no XML":         with("<Package", "<"),
		"other root":     zipOf(t, member{name: "AppxManifest.xml", text: "<Bundle/>"}),
		"manifest bomb":  zipOf(t, member{name: "AppxManifest.xml", text: manifest + strings.Repeat(" ", maxManifest)}),
		"deep manifest":  zipOf(t, member{name: "AppxManifest.xml", text: strings.Repeat("<a>", 1<<20)}),
		"capabilities":   with(`<Capability Name="internetClient"/>`, strings.Repeat("<Capability/>", maxListed+1)),
		"signature":      zipOf(t, good, member{name: "AppxSignature.p7x", text: "\x30\x00"}),
		"truncated":      zipOf(t, good)[:200],
		"directory away": many,
	} {
		if f, err := parse(data); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// blockMap is the list of digests that osslsigncode looks for, of members as
// makeappx would write it.
func blockMap(members ...member) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><BlockMap xmlns="http://schemas.microsoft.com/appx/2010/blockmap" HashMethod="http://www.w3.org/2001/04/xmlenc#sha256">`)
	for _, m := range members {
		sum := sha256.Sum256([]byte(m.text))
		fmt.Fprintf(&b, `<File Name=%q Size="%d" LfhSize="%d"><Block Hash="%s"/></File>`, m.name, len(m.text), 30+len(m.name), base64.StdEncoding.EncodeToString(sum[:]))
	}
	return b.String() + "</BlockMap>"
}

// osslsigncode signs a package; its signature is found, and is what
// osslsigncode itself takes out of it.
func TestSignedPackage(t *testing.T) {
	sign := testreq.Program(t, "osslsigncode")
	dir := t.TempDir()
	subject := pkix.Name{CommonName: "Example AS"}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotAfter: time.Unix(1<<32, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	members := []member{{"AppxManifest.xml", strings.Replace(manifest, "CN=Example AS, O=Example AS, C=FI", "CN=Example AS", 1), true}, {"app/widget.exe", "MZ", true}}
	types := member{"[Content_Types].xml", `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/vnd.ms-appx.manifest+xml"/><Default Extension="exe" ContentType="application/octet-stream"/><Override PartName="/AppxBlockMap.xml" ContentType="application/vnd.ms-appx.blockmap+xml"/></Types>`, true}
	data := zipOf(t, append(members, member{"AppxBlockMap.xml", blockMap(members...), true}, types)...)
	for name, content := range map[string][]byte{
		"a.msix": data, "cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"sign", "-certs", "cert.pem", "-key", "key.pem", "-in", "a.msix", "-out", "b.msix"},
		{"extract-signature", "-in", "b.msix", "-out", "b.p7"},
	} {
		cmd := exec.CommandContext(t.Context(), sign, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	signed, err := os.ReadFile(filepath.Join(dir, "b.msix"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(signed)
	if err != nil || !f.BlockMap {
		t.Fatalf("%+v, %v", f, err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "b.p7"))
	if err != nil || !bytes.Equal(bytes.TrimPrefix(f.Signature, []byte("PKCX")), bytes.TrimPrefix(want, []byte("PKCX"))) {
		t.Errorf("%d bytes of signature, osslsigncode takes out %d, %v", len(f.Signature), len(want), err)
	}
	if plain, err := parse(data); err != nil || plain.Signature != nil {
		t.Errorf("%+v, %v", plain, err)
	}
}

func FuzzRead(f *testing.F) {
	inner := zipOf(f, member{name: "AppxManifest.xml", text: manifest}, member{name: "AppxSignature.p7x", text: "PKCX"})
	f.Add(inner)
	f.Add(zipOf(f, member{name: "AppxMetadata/AppxBundleManifest.xml", text: bundleManifest}, member{"widget.msix", string(inner), true}))
	f.Add(zipOf(f, member{"AppxManifest.xml", manifest, true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if file.Name == "" || file.Version == "" || strings.ContainsAny(file.DisplayName+file.FullName()+file.Publisher, "\n\x00\x1b") {
			t.Fatalf("accepted %+v", file)
		}
		for _, c := range file.Packages {
			if in, err := file.Inner(c); err == nil && in.Members == 0 {
				t.Fatal("a package within has no members")
			}
		}
	})
}
