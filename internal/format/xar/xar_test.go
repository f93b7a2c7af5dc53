package xar

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
	"github.com/packmill/packmill/internal/testreq"
)

const packageInfo = `<?xml version="1.0" encoding="utf-8"?>
<pkg-info overwrite-permissions="true" relocatable="false" identifier="com.acme.tool.pkg" postinstall-action="none" version="2.10.1" format-version="2" install-location="/Applications" auth="root">
  <payload numberOfFiles="42" installKBytes="1234"/>
  <bundle path="./Tool.app" id="com.acme.tool" CFBundleShortVersionString="2.10" CFBundleVersion="2100">
    <bundle path="./Contents/PlugIns/Help.app" id="com.acme.tool.help" CFBundleVersion="7"/>
  </bundle>
  <bundle path="./Tool.app/Contents/Library/Helper.app" id="com.acme.helper" CFBundleShortVersionString="1.0" CFBundleVersion="1"/>
  <bundle-version><bundle id="com.acme.tool"/></bundle-version>
  <upgrade-bundle><bundle id="com.acme.tool"/></upgrade-bundle>
  <scripts><preinstall file="./preinstall"/><postinstall file="./postinstall"/></scripts>
</pkg-info>`

const distribution = `<?xml version="1.0" encoding="utf-8"?>
<installer-gui-script minSpecVersion="2">
  <title>Acme Tool</title>
  <product id="com.acme.tool.product" version="2.10.1"/>
  <options customize="never" require-scripts="false" hostArchitectures="x86_64,arm64"/>
  <domains enable_anywhere="false" enable_localSystem="true"/>
  <volume-check script="pm_volume_check();"><allowed-os-versions><os-version min="12.0"/><os-version min="11.6" before="12"/></allowed-os-versions></volume-check>
  <choices-outline><line choice="default"/></choices-outline>
  <choice id="default"><pkg-ref id="com.acme.tool.pkg"/></choice>
  <pkg-ref id="com.acme.extras" version="1"/>
  <pkg-ref id="com.acme.tool.pkg" version="2.10.1" onConclusion="none" installKBytes="1234">#Tool.pkg</pkg-ref>
  <pkg-ref id="com.acme.tool.pkg"><bundle-version><bundle id="com.acme.tool" CFBundleVersion="2100"/></bundle-version></pkg-ref>
  <script>function pm_volume_check() { return true; }</script>
</installer-gui-script>`

const extras = `<pkg-info identifier="com.acme.extras" version="1"/>`

func build(t testing.TB, a xarbuild.Archive) []byte {
	t.Helper()
	if a.Hash == 0 {
		a.Hash = crypto.SHA256
	}
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// component is a package by itself, product one with two components.
func component(t testing.TB) []byte {
	return build(t, xarbuild.Archive{Hash: crypto.SHA1, Files: []xarbuild.File{
		{Path: "Bom", Data: []byte("BOMStore")}, {Path: "PackageInfo", Data: []byte(packageInfo)},
		{Path: "Payload", Data: bytes.Repeat([]byte("070707"), 500), Plain: true}, {Path: "Scripts", Data: []byte("070707"), Plain: true},
	}})
}

func productFiles() []xarbuild.File {
	return []xarbuild.File{
		{Path: "Distribution", Data: []byte(distribution)},
		{Path: "Extras.pkg/PackageInfo", Data: []byte(extras)},
		{Path: "Resources/en.lproj/Licence & terms.txt", Data: []byte("be good")},
		{Path: "Tool.pkg/PackageInfo", Data: []byte(packageInfo)},
		{Path: "Tool.pkg/Payload", Data: bytes.Repeat([]byte("070707"), 500), Plain: true},
	}
}

func read(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func names(f *File) string {
	var out []string
	for _, m := range f.Members {
		out = append(out, m.Path)
	}
	return strings.Join(out, ", ")
}

func tool() Package {
	return Package{
		Identifier: "com.acme.tool.pkg", Version: "2.10.1", InstallLocation: "/Applications", Auth: "root", Files: "42", InstallKBytes: "1234",
		Preinstall: true, Postinstall: true,
		Bundles: []Bundle{
			{"com.acme.tool", "/Applications/Tool.app", "2.10", "2100"},
			{"com.acme.tool.help", "/Applications/Tool.app/Contents/PlugIns/Help.app", "", "7"},
			{"com.acme.helper", "/Applications/Tool.app/Contents/Library/Helper.app", "1.0", "1"},
		},
	}
}

func TestComponent(t *testing.T) {
	f := read(t, component(t))
	if got := names(f); got != "Bom, PackageInfo, Payload, Scripts" {
		t.Errorf("members %s", got)
	}
	if want := []Package{tool()}; !reflect.DeepEqual(f.Packages, want) {
		t.Errorf("packages %+v\nwant %+v", f.Packages, want)
	}
	if f.Distribution != nil || f.Hash != crypto.SHA1 || f.Signature != nil || f.CMS != nil || f.Machines() != nil {
		t.Errorf("%+v", f)
	}
	want := fleet.PkgFacts{Identifier: "com.acme.tool.pkg", Version: "2.10.1", Bundles: []fleet.BundleFacts{{ID: "com.acme.tool", Version: "2.10", Build: "2100"}}}
	if got := f.Facts(); !got.Equal(want) || f.Version() != "2.10" {
		t.Errorf("facts %+v, version %q", got, f.Version())
	}
}

func TestProduct(t *testing.T) {
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
		f := read(t, build(t, xarbuild.Archive{Hash: hash, Files: productFiles()}))
		if got := names(f); got != "Distribution, Extras.pkg, Extras.pkg/PackageInfo, Resources, Resources/en.lproj, Resources/en.lproj/Licence & terms.txt, Tool.pkg, Tool.pkg/PackageInfo, Tool.pkg/Payload" {
			t.Errorf("members %s", got)
		}
		own := tool()
		own.Folder = "Tool.pkg"
		if want := []Package{{Folder: "Extras.pkg", Identifier: "com.acme.extras", Version: "1", InstallLocation: "/"}, own}; !reflect.DeepEqual(f.Packages, want) {
			t.Errorf("packages %+v\nwant %+v", f.Packages, want)
		}
		want := &Distribution{
			Title: "Acme Tool", ProductID: "com.acme.tool.product", ProductVersion: "2.10.1",
			References:        []Reference{{"com.acme.extras", "1", ""}, {"com.acme.tool.pkg", "2.10.1", "#Tool.pkg"}},
			HostArchitectures: []string{"x86_64", "arm64"}, OSVersions: []OSRange{{"12.0", ""}, {"11.6", "12"}},
			Domains: map[string]bool{"anywhere": false, "localSystem": true}, VolumeCheck: "pm_volume_check();",
		}
		if !reflect.DeepEqual(f.Distribution, want) {
			t.Errorf("distribution %+v\nwant %+v", f.Distribution, want)
		}
		if got := f.Facts(); got.Identifier != "com.acme.tool.pkg" || len(got.Bundles) != 1 || f.Version() != "2.10" {
			t.Errorf("facts %+v, version %q", got, f.Version())
		}
		if got := strings.Join(f.Machines(), " "); got != "x64 arm64" {
			t.Errorf("machines %s", got)
		}
		if err := f.CheckMembers(); err != nil {
			t.Errorf("%v: %v", hash, err)
		}
	}
}

// TestVersion checks which of the versions counts.
func TestVersion(t *testing.T) {
	app := func(name, version string) string {
		return fmt.Sprintf(`<bundle path="%s.app" id="x.%s" CFBundleShortVersionString=%q CFBundleVersion="9"/>`, name, name, version)
	}
	info := func(bundles string) string { return `<pkg-info identifier="x" version="0">` + bundles + `</pkg-info>` }
	for _, tt := range []struct{ name, info, product, want string }{
		{"an application's", info(app("a", "1.2")), "7", "1.2"},
		{"of two that agree", info(app("a", "1.2") + app("b", "1.2")), "7", "1.2"},
		{"the product's, where they do not", info(app("a", "1.2") + app("b", "1.3")), "7", "7"},
		{"the build, where there is no other", info(app("a", "")), "7", "9"},
		{"the product's", info(""), "7", "7"},
		{"not a helper's", `<pkg-info identifier="x" version="0" install-location="/Applications/X.app">` + app("Contents/Library/Help", "1.0") + `</pkg-info>`, "7", "7"},
		{"the component's", info(""), "", "0"},
	} {
		script := `<installer-gui-script><product id="p" version="` + tt.product + `"/></installer-gui-script>`
		f := read(t, build(t, xarbuild.Archive{Files: []xarbuild.File{{Path: "Distribution", Data: []byte(script)}, {Path: "a.pkg/PackageInfo", Data: []byte(tt.info)}}}))
		if got := f.Version(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// counting counts the bytes that are read.
type counting struct {
	io.ReaderAt
	n int64
}

// ReadAt reads from the file below.
func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestReadsLittle checks that a large Payload is not read.
func TestReadsLittle(t *testing.T) {
	files := append(productFiles(), xarbuild.File{Path: "Tool.pkg/Large", Data: make([]byte, 32<<20), Plain: true})
	data := build(t, xarbuild.Archive{Files: files})
	c := &counting{ReaderAt: bytes.NewReader(data)}
	if _, err := Read(c, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if c.n > 8<<10 {
		t.Errorf("%d of %d bytes were read", c.n, len(data))
	}
}

// TestCheckMembers alters what only CheckMembers reads.
func TestCheckMembers(t *testing.T) {
	whole := build(t, xarbuild.Archive{Files: productFiles()})
	altered := bytes.Clone(whole)
	altered[len(altered)-1] ^= 1
	md5 := `<archived-checksum style="md5">` + strings.Repeat("00", 16)
	for name, data := range map[string][]byte{
		"was altered": altered,
		"could be trusted": build(t, xarbuild.Archive{Files: productFiles(), Edit: func(toc string) string {
			at := strings.LastIndex(toc, "<archived-checksum")
			return toc[:at] + md5 + toc[strings.LastIndex(toc, "</archived-checksum"):]
		}}),
		"overlaps": build(t, xarbuild.Archive{Files: productFiles(), Edit: func(toc string) string {
			at := strings.LastIndex(toc, "<offset>")
			return toc[:at] + "<offset>40" + toc[at+strings.Index(toc[at:], "</offset>"):]
		}}),
	} {
		err := read(t, data).CheckMembers()
		if fleet.KindOf(err) != fleet.Invalid || !strings.Contains(fmt.Sprint(err), name) || !strings.Contains(fmt.Sprint(err), "Payload") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBsdtar reads what another program writes, with each compression, and lists
// what that program lists.
func TestBsdtar(t *testing.T) {
	bsdtar := testreq.Program(t, "bsdtar")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(writeTree(t))); err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{"compression=none", "compression=gzip", "compression=bzip2", "compression=xz", "toc-checksum=md5", "toc-checksum=none,xar:checksum=none", "checksum=md5"} {
		out := filepath.Join(t.TempDir(), "w.pkg")
		run(t, bsdtar, "-C", dir, "--format", "xar", "--options", "xar:"+options, "-cf", out, "Distribution", "Resources", "Tool.pkg")
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		f := read(t, data)
		var listed []string
		for line := range strings.Lines(run(t, bsdtar, "-tf", out)) {
			listed = append(listed, strings.TrimSuffix(strings.TrimSpace(line), "/"))
		}
		ours := strings.Split(names(f), ", ")
		slices.Sort(listed)
		slices.Sort(ours)
		if !slices.Equal(listed, ours) {
			t.Errorf("%s: bsdtar lists %q, we %q", options, listed, ours)
		}
		if f.Version() != "2.10" || f.Distribution.Title != "Acme Tool" {
			t.Errorf("%s: version %q, %+v", options, f.Version(), f.Distribution)
		}
		if err := f.CheckMembers(); (err == nil) == strings.Contains(options, "checksum") && !strings.HasPrefix(options, "toc-checksum=md5") {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// TestBsdtarReads has what the test writer writes read by another program.
func TestBsdtarReads(t *testing.T) {
	bsdtar := testreq.Program(t, "bsdtar")
	name := filepath.Join(t.TempDir(), "a.pkg")
	if err := os.WriteFile(name, build(t, xarbuild.Archive{Hash: crypto.SHA1, Files: productFiles()}), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, bsdtar, "-xOf", name, "Tool.pkg/PackageInfo"); got != packageInfo {
		t.Errorf("it extracts %q", got)
	}
}

// writeTree writes the product's files into a folder.
func writeTree(t *testing.T) string {
	dir := t.TempDir()
	for _, f := range productFiles() {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

// TestSignature checks that a signature's parts are handed over as they stand,
// with the digest that they should be of.
func TestSignature(t *testing.T) {
	var signed []byte
	data := build(t, xarbuild.Archive{
		Files: productFiles(), SignSize: 9, CMSSize: 6, Certificates: [][]byte{[]byte("leaf"), []byte("root")},
		Sign: func(digest []byte) ([]byte, error) { signed = digest; return []byte("signature"), nil },
		CMS:  func([]byte) ([]byte, error) { return []byte("cms"), nil },
	})
	f := read(t, data)
	if !bytes.Equal(f.Digest, signed) || f.Hash != crypto.SHA256 {
		t.Errorf("the digest is %x, signed was %x", f.Digest, signed)
	}
	want := &Signature{Style: "RSA", Value: []byte("signature"), Certificates: [][]byte{[]byte("leaf"), []byte("root")}}
	if !reflect.DeepEqual(f.Signature, want) || string(f.CMS) != "cms\x00\x00\x00" {
		t.Errorf("%+v, CMS %q", f.Signature, f.CMS)
	}
	if err := f.CheckMembers(); err != nil {
		t.Error(err)
	}
}
