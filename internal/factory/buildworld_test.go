package factory_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

var buildTime = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

// A buildWorld is a catalog of real files behind a vendor's real HTTP server.
type buildWorld struct {
	*factory.Factory
	repo  *fleet.Repository
	trust fleet.Trust
	files map[string][]byte // what the vendor serves, by path
}

func fixture(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "format", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tgz is an archive as npm packs one.
func tgz(t testing.TB, members map[string][]byte, order ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range order {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(members[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(members[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func signer(t testing.TB) *signing.Key {
	t.Helper()
	private, _, err := signing.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.Parse(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func trustIn(keys ...*signing.Key) fleet.Trust {
	out := fleet.Trust{Keys: map[string]fleet.TrustedKey{}, Approvals: 1}
	for _, k := range keys {
		out.Keys[k.KeyID()[:8]] = fleet.TrustedKey{PEM: k.PublicPEM(), Uses: []string{"build"}, From: "2026-01-01"}
	}
	return out
}

// A macOS package and one of RPM, as xarbuild and nfpm made them.
var (
	//go:embed testdata/build/hello.pkg
	macPackage string
	//go:embed testdata/build/hello.rpm
	rpmPackage string
)

const (
	detectScript = "exit 1\r\n"
	setScript    = "Set-ItemProperty HKLM:\\SOFTWARE\\Example -Name Proxy -Value on\r\n"
	revertScript = "Remove-ItemProperty HKLM:\\SOFTWARE\\Example -Name Proxy\r\n"
)

func newBuildWorld(t testing.TB, key *signing.Key) *buildWorld {
	t.Helper()
	exe, msi, deb := fixture(t, "pe/testdata/hello.exe"), fixture(t, "msi/testdata/hello.msi"), fixture(t, "deb/testdata/hello-xz.deb")
	archive := tgz(t, map[string][]byte{"package/package.json": []byte("{}"), "package/hello.exe": exe}, "package/package.json", "package/hello.exe")
	w := &buildWorld{trust: trustIn(key), files: map[string][]byte{
		"/downloads.example/hello.msi": msi, "/downloads.example/hello.deb": deb, "/downloads.example/hello-24.09.tgz": archive,
		"/downloads.example/setup.exe": exe, "/downloads.example/hello.pkg": []byte(macPackage), "/downloads.example/hello-2.0.x86_64.rpm": []byte(rpmPackage),
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, ok := w.files[r.URL.Path]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(data)
	}))
	t.Cleanup(server.Close)
	kept, err := store.OpenLayout(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	git, err := gitrepo.Init(filepath.Join(t.TempDir(), "repo"), true)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := git.Commit(t.Context(), gitrepo.CommitSpec{
		Files: map[string][]byte{
			"catalog/acme/proxy/files/set.ps1": []byte(setScript), "catalog/acme/proxy/files/revert.ps1": []byte(revertScript), "catalog/acme/proxy/files/detect.ps1": []byte(detectScript),
		},
		Message: "x", Author: fleet.Identity{Name: "a", Email: "a@example.com"}, When: buildTime,
	})
	if err != nil {
		t.Fatal(err)
	}
	clock := fleet.NewManualClock(buildTime)
	w.Factory = &factory.Factory{
		Clock: clock, Git: git, Store: kept, Attester: key,
		Upstream: upstream.New(upstream.Config{Mirror: server.URL, Clock: clock}),
	}
	w.repo = buildRepo(commit, exe, msi, deb, archive)
	return w
}

func buildRepo(commit string, exe, msi, deb, archive []byte) *fleet.Repository {
	unsigned := fleet.SignedBy{Unsigned: true}
	download := func(name string, data []byte) fleet.Download {
		return fleet.Download{URL: "https://downloads.example/" + name, Size: int64(len(data)), SHA256: fleet.DigestOf(data), Signer: unsigned}
	}
	facts := &fleet.PEFacts{FileVersion: "24.9.0.1", ProductVersion: "24.09", ProductName: "Hello", Machine: "x64"}
	setup, portable, pack, debian := download("setup.exe", exe), download("hello-24.09.tgz", archive), download("hello.msi", msi), download("hello.deb", deb)
	setup.PE, portable.PE = facts, facts
	portable.Member, portable.MemberSHA256 = "package/hello.exe", fleet.DigestOf(exe)
	pack.MSI = &fleet.MSIFacts{ProductCode: "{6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11}", UpgradeCode: "{B1D2B6C4-3E9A-4F5D-8A55-3C7B1A7F9C02}", ProductVersion: "24.9.0"}
	debian.Deb = &fleet.DebFacts{Package: "packmill-hello", Version: "1:2.0-3", Architecture: "all"}
	windows := func(kind, arch string) fleet.Installer {
		in := fleet.Installer{Platform: "windows", Arch: arch, Type: kind, Scope: "machine", RunAs: "system", ProgramFiles: ""}
		if kind == "exe" {
			in.Arguments = &fleet.Arguments{Install: "/S", Uninstall: "/uninstall /S"}
		}
		return in
	}
	placed := windows("portable", "x64")
	placed.ProgramFiles = "Hello World"
	linux := fleet.Installer{Platform: "linux", Arch: "x64", Type: "deb"}
	redhat := fleet.Installer{Platform: "linux", Arch: "x64", Type: "rpm"}
	app := fleet.Installer{Platform: "macos", Arch: "universal", Type: "portable"}
	mac := fleet.Installer{Platform: "macos", Arch: "universal", Type: "pkg"}
	pkg := func(id fleet.PackageID, version string, installers map[string]fleet.Installer, downloads map[string]fleet.Download) fleet.Package {
		return fleet.Package{ID: id, Name: "Hello", Kind: "application", Installers: installers,
			Releases: map[string]fleet.Release{version: {Counter: 1, Change: "new", Installers: downloads}}}
	}
	return &fleet.Repository{
		Commit:     commit,
		Publishers: map[string]fleet.Publisher{"acme": {Name: "Acme", Hosts: []string{"downloads.example"}, Unsigned: "accepted"}},
		Packages: map[fleet.PackageID]fleet.Package{
			"acme/hello":  pkg("acme/hello", "24.09", map[string]fleet.Installer{"x64": placed, "mac": app}, map[string]fleet.Download{"x64": portable, "mac": download("hello.pkg", []byte(macPackage))}),
			"acme/setup":  pkg("acme/setup", "24.09", map[string]fleet.Installer{"x64": windows("exe", "x64"), "x86": windows("msi", "x86")}, map[string]fleet.Download{"x64": setup, "x86": pack}),
			"acme/linux":  pkg("acme/linux", "1:2.0-3", map[string]fleet.Installer{"deb": linux}, map[string]fleet.Download{"deb": debian}),
			"acme/redhat": pkg("acme/redhat", "2.0.0", map[string]fleet.Installer{"rpm": redhat}, map[string]fleet.Download{"rpm": download("hello-2.0.x86_64.rpm", []byte(rpmPackage))}),
			"acme/store":  pkg("acme/store", "1.0", map[string]fleet.Installer{"x64": windows("msix", "x64")}, map[string]fleet.Download{"x64": download("hello.msix", exe)}),
			"acme/mac":    pkg("acme/mac", "1.0", map[string]fleet.Installer{"mac": mac}, map[string]fleet.Download{"mac": download("hello.pkg", []byte(macPackage))}),
			"acme/proxy": {ID: "acme/proxy", Name: "Proxy", Kind: "configuration",
				Settings: map[string]fleet.Setting{
					"proxy": {Scripts: &fleet.SettingScripts{Detect: "files/detect.ps1", Remediate: "files/set.ps1", Revert: "files/revert.ps1"}},
				},
				Releases: map[string]fleet.Release{"1": {Counter: 1, Change: "new", Files: map[string]fleet.Digest{
					"files/set.ps1": fleet.DigestOf([]byte(setScript)), "files/revert.ps1": fleet.DigestOf([]byte(revertScript)), "files/detect.ps1": fleet.DigestOf([]byte(detectScript)),
				}}}},
		},
		Blobs: map[string]string{"catalog/acme/hello/24.09.cue": "1111111111111111111111111111111111111111"},
	}
}
