package factory_test

import (
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// TestChecksumProposed has the vendor publish digests beside a feed that states none: the
// download must have the one of its name.
func TestChecksumProposed(t *testing.T) {
	right := vendors.Installer("Tool", "Acme", "1.1.0", 4000).Bytes()
	line := func(of []byte) string {
		return strings.TrimPrefix(string(fleet.DigestOf(of)), "sha256:") + "  tool-1.1.0.exe\n"
	}
	data := vendorData()
	for path, text := range map[string]string{"/right": line(right), "/wrong": line([]byte("others")), "/none": "# none\n"} {
		data.Pages = append(data.Pages, vendors.Page{Shown: shown(-5), Host: "downloads.example", Path: path, Content: vendors.Text(text)})
	}
	m := newMill(t, data, nil)
	for _, tt := range []struct{ path, hold string }{{"wrong", fleet.HoldChangedHash}, {"none", fleet.HoldUnparsable}, {"right", ""}} {
		look := m.run(t)
		look.Packages = []fleet.PackageID{"acme/json"}
		look.Repo.Packages["acme/json"].Installers["x64"].Source.Checksum = &fleet.Checksum{URL: "https://downloads.example/" + tt.path}
		list, err := m.Propose(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		if p := list[0]; p.Hold != tt.hold || (p.Pull.Number != 0) != (tt.hold == "") {
			t.Errorf("%s: %s %s %q", tt.path, p.State, p.Hold, p.Why)
		}
	}
}

// A meter counts requests for one address.
type meter struct {
	path string
	n    atomic.Int32
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == m.path {
		m.n.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestOneDownload has three packages of a publisher install what is at one
// address: it is downloaded once. For a package whose vendor states another
// digest, and for a publisher of other hosts, it is downloaded again. Nothing
// stays behind.
func TestOneDownload(t *testing.T) {
	data := vendorData()
	data.Pages = append(data.Pages, vendors.Page{Shown: shown(-5), Host: "downloads.example", Path: "/SHA256SUMS", Content: vendors.Text(strings.Repeat("0", 64) + "\n")})
	tool := func(id, checksum string) []byte {
		return vendorPackage(id, `from: httpJSON: {url: "https://downloads.example/latest.json", path: "$.version", published: "$.at"}, scheme: "windows"`,
			`platform: "windows", type: "exe", `+registry+`, source: {url: "https://downloads.example/tool-{version}.exe"`+checksum+`}`)
	}
	m := newMill(t, data, map[string][]byte{
		"catalog/acme/again/package.cue": tool("acme/again", ""),
		"catalog/acme/third/package.cue": tool("acme/third", ""),
		"catalog/acme/wrong/package.cue": tool("acme/wrong", `, checksum: url: "https://downloads.example/SHA256SUMS"`),
		"catalog/other/tool/package.cue": tool("other/tool", ""),
		"catalog/other/publisher.cue":    []byte("package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\npublisher: schema.#Publisher & {name: \"Other\", hosts: [\"downloads.example\"], unsigned: \"accepted\"}\n"),
	})
	temp, asked := t.TempDir(), &meter{path: "/downloads.example/tool-1.1.0.exe"}
	t.Setenv("TMPDIR", temp)
	m.config.Transport = asked
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/json", "acme/again", "acme/third", "acme/wrong", "other/tool"}
	list, err := m.Propose(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.DigestOf(vendors.Installer("Tool", "Acme", "1.1.0", 4000).Bytes())
	for _, p := range list {
		switch {
		case p.Package == "acme/wrong":
			if p.Hold != fleet.HoldChangedHash {
				t.Errorf("%s: %s %q, want %s", p.Package, p.Hold, p.Why, fleet.HoldChangedHash)
			}
		case p.Release == nil || p.Release.Installers["x64"].SHA256 != want:
			t.Errorf("%s: %s %q, %+v", p.Package, p.Hold, p.Why, p.Release)
		}
	}
	if n := asked.n.Load(); n != 3 {
		t.Errorf("asked for the installer %d times, want once for three packages and once for each of the others", n)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "packmill-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOneDownloadOfInstallers does so for installers of one package, in a draft.
func TestOneDownloadOfInstallers(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	asked := &meter{path: "/downloads.example/tool-1.1.0.exe"}
	m.config.Transport = asked
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/json"}
	p := look.Repo.Packages["acme/json"]
	p.Installers = maps.Clone(p.Installers)
	user := p.Installers["x64"]
	user.Scope = "user"
	p.Installers["x64-user"] = user
	look.Repo.Packages["acme/json"] = p
	findings, err := m.Detect(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	release, err := m.Draft(t.Context(), look.Repo, findings[0])
	if err != nil {
		t.Fatal(err)
	}
	if a, b := release.Installers["x64"], release.Installers["x64-user"]; a.SHA256 != b.SHA256 || !a.SHA256.Valid() || b.PE == nil {
		t.Errorf("%+v and %+v", a, b)
	}
	if n := asked.n.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
