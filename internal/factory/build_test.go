package factory_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

func (w *buildWorld) make(t *testing.T, id fleet.PackageID, version string) factory.Product {
	t.Helper()
	p, err := w.Make(t.Context(), w.repo, id, version)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// container reads a built .intunewin and the setup folder's files.
func (w *buildWorld) container(t *testing.T, f fleet.BuiltFile) (*intunewin.File, map[string]string) {
	t.Helper()
	local, err := w.Store.Local(t.Context(), f, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	file, err := intunewin.Read(local, local.Size)
	if err != nil {
		t.Fatal(err)
	}
	folder := map[string]string{}
	for _, e := range file.Inner().File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		folder[e.Name] = string(data)
	}
	return file, folder
}

func TestBuildPortable(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/hello", "24.09")
	if len(p.Built.Files) != 1 || p.Built.Files[0].Name != "hello-24.09-x64.intunewin" || p.Built.Files[0].MediaType != store.MediaTypeIntunewin {
		t.Fatalf("%+v", p.Built.Files)
	}
	if len(p.Skipped) != 1 || p.Skipped[0].Installer != "mac" || p.Skipped[0].Why == "" {
		t.Errorf("skipped %+v", p.Skipped)
	}
	file, folder := w.container(t, p.Built.Files[0])
	if file.SetupFile != "install.cmd" || len(folder) != 5 || folder["hello.exe"] != string(fixture(t, "pe/testdata/hello.exe")) {
		t.Errorf("setup file %q, folder of %d files", file.SetupFile, len(folder))
	}
	if !strings.Contains(folder["install.cmd"], `set "target=%root%\Hello World"`) || folder["packmill.ps1"] != string(wrapper.Script()) {
		t.Errorf("install.cmd:\n%s", folder["install.cmd"])
	}
	if p.Built.Package != "acme/hello" || p.Built.Version != "24.09" || !p.Built.At.Equal(buildTime) || !p.Built.Inputs.Valid() {
		t.Errorf("%+v", p.Built)
	}
}

func TestBuildInstallers(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/setup", "24.09")
	if len(p.Built.Files) != 2 {
		t.Fatalf("%+v", p.Built.Files)
	}
	exe, _ := w.container(t, p.Built.Files[0])
	if exe.SetupFile != "setup.exe" || exe.MSI != nil {
		t.Errorf("%+v", exe)
	}
	msi, folder := w.container(t, p.Built.Files[1])
	setup, err := wrapper.Read([]byte(folder["packmill.json"]))
	if err != nil || setup.Package != "acme/setup" || setup.Installer != "x86" || !slices.Contains(setup.Install.Arguments, `"{folder}\hello.msi"`) {
		t.Errorf("%+v, %v", setup, err)
	}
	if msi.SetupFile != "hello.msi" || msi.MSI == nil || msi.MSI.ExecutionContext != "System" || !msi.MSI.IsMachineInstall ||
		msi.MSI.ProductCode != "{6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11}" || msi.MSI.Publisher != "Example AS" {
		t.Errorf("%+v", msi.MSI)
	}
}

func TestBuildDeb(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/linux", "1:2.0-3")
	f := p.Built.Files[0]
	if f.Name != "packmill-hello_2.0-3_all.deb" || f.Digest != fleet.DigestOf(fixture(t, "deb/testdata/hello-xz.deb")) {
		t.Errorf("%+v", f)
	}
}

// So is an .rpm.
func TestBuildRPM(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	f := w.make(t, "acme/redhat", "2.0.0").Built.Files[0]
	if f.Name != "hello-2.0.x86_64.rpm" || f.MediaType != store.MediaTypeRPM || f.Digest != fleet.DigestOf([]byte(rpmPackage)) {
		t.Errorf("%+v", f)
	}
}

// Of a macOS package the console takes the encrypted bytes alone; the artifact
// holds them and how to decrypt them, and verify looks inside.
func TestBuildMacPackage(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/mac", "1.0")
	if len(p.Built.Files) != 2 || p.Built.Files[0].Name != "hello.pkg.intune" || p.Built.Files[1].Name != "hello.pkg.intune.json" {
		t.Fatalf("%+v", p.Built.Files)
	}
	content, err := w.Store.Local(t.Context(), p.Built.Files[0], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	info, err := intunewin.ParseContentInfo(w.stored(t, p.Built.Files[1]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := intunewin.ReadContent(content, content.Size, info)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(plain.Plain()); err != nil || string(text) != macPackage || info.Name != "hello.pkg" {
		t.Errorf("%q holds %q (%v)", info.Name, text, err)
	}
	if _, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim()); err != nil {
		t.Error(err)
	}

	w.files["/downloads.example/hello.pkg"] = []byte("<html>")
	d := w.repo.Packages["acme/mac"].Releases["1.0"].Installers
	d["mac"] = fleet.Download{URL: d["mac"].URL, Size: 6, SHA256: fleet.DigestOf([]byte("<html>")), Signer: d["mac"].Signer}
	if _, err := w.Make(t.Context(), w.repo, "acme/mac", "1.0"); fleet.KindOf(err) != fleet.Refused || err == nil {
		t.Errorf("a page was built: %v", err)
	}
}

// stored is a stored file.
func (w *buildWorld) stored(t *testing.T, f fleet.BuiltFile) []byte {
	t.Helper()
	r, err := w.Store.Open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBuildConfiguration(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/proxy", "1")
	if len(p.Built.Files) != 2 || p.Built.Files[1].MediaType != store.MediaTypeHealthScript {
		t.Errorf("%+v", p.Built.Files)
	}
	file, folder := w.container(t, p.Built.Files[0])
	if file.SetupFile != "install.cmd" || folder["set.ps1"] != setScript || folder["revert.ps1"] != revertScript || !strings.Contains(folder["install.cmd"], "set.ps1") {
		t.Errorf("%+v", folder)
	}
	release := w.repo.Packages["acme/proxy"].Releases["1"]
	release.Files["files/set.ps1"] = fleet.DigestOf([]byte("other"))
	if _, err := w.Make(t.Context(), w.repo, "acme/proxy", "1"); fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "changed after merge") {
		t.Errorf("a changed script: %v", err)
	}
}

func TestNothingToBuildWaits(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	if _, err := w.Make(t.Context(), w.repo, "acme/store", "1.0"); err == nil || fleet.KindOf(err) != fleet.Waiting || !strings.Contains(err.Error(), "msix") {
		t.Errorf("%v", err)
	}
}

func TestBuildLeavesNoFilesBehind(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	w := newBuildWorld(t, signer(t))
	w.make(t, "acme/hello", "24.09")
	w.files["/downloads.example/hello-24.09.tgz"] = []byte("other")
	if _, err := w.Make(t.Context(), w.repo, "acme/hello", "24.09"); err == nil {
		t.Fatal("other bytes were built")
	}
	left, err := filepath.Glob(filepath.Join(tmp, "packmill-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q (%v)", left, err)
	}
}

// What is not what was merged is refused, and the store stays as it was.
func TestBuildRefuses(t *testing.T) {
	const archive = "/downloads.example/hello-24.09.tgz"
	exe := fixture(t, "pe/testdata/hello.exe")
	page := []byte("<!DOCTYPE html><title>Sign in</title>")
	repin := func(data []byte) func(w *buildWorld, d *fleet.Download) {
		return func(w *buildWorld, d *fleet.Download) {
			w.files[archive] = data
			d.Size, d.SHA256 = int64(len(data)), fleet.DigestOf(data)
		}
	}
	for name, c := range map[string]struct {
		damage func(w *buildWorld, d *fleet.Download)
		kind   fleet.Kind
		want   string
	}{
		"other bytes": {func(w *buildWorld, _ *fleet.Download) {
			w.files[archive] = bytes.Replace(w.files[archive], w.files[archive][20:21], []byte("x"), 1)
		}, fleet.Refused, "changed after merge"},
		"truncated":        {func(w *buildWorld, _ *fleet.Download) { w.files[archive] = w.files[archive][:100] }, fleet.Refused, "truncated"},
		"longer":           {func(w *buildWorld, _ *fleet.Download) { w.files[archive] = append(w.files[archive], 'x') }, fleet.Refused, "changed after merge"},
		"gone":             {func(w *buildWorld, _ *fleet.Download) { delete(w.files, archive) }, fleet.Internal, "download failed"},
		"a page":           {repin(page), fleet.Refused, "HTML"},
		"a page as member": {repin(tgz(t, map[string][]byte{"package/hello.exe": page}, "package/hello.exe")), fleet.Refused, "digest"},
		"no such member":   {repin(tgz(t, map[string][]byte{"package/other.exe": exe}, "package/other.exe")), fleet.Refused, "no member of"},
		"another member":   {func(_ *buildWorld, d *fleet.Download) { d.MemberSHA256 = fleet.DigestOf(page) }, fleet.Refused, "digest"},
		"other facts":      {func(_ *buildWorld, d *fleet.Download) { d.PE = &fleet.PEFacts{FileVersion: "1.0", Machine: "x64"} }, fleet.Refused, "version resource"},
		"another signer":   {func(_ *buildWorld, d *fleet.Download) { d.Signer = fleet.SignedBy{Subject: "CN=Example"} }, fleet.Refused, "signer"},
		"another host":     {func(_ *buildWorld, d *fleet.Download) { d.URL = "https://evil.example/hello.tgz" }, fleet.Refused, "hosts"},
		"patches":          {func(_ *buildWorld, d *fleet.Download) { d.Base = &fleet.Patched{} }, fleet.Stalled, "patches"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBuildWorld(t, signer(t))
			good, err := w.Make(t.Context(), w.repo, "acme/hello", "24.09")
			if err != nil {
				t.Fatal(err)
			}
			w = newBuildWorld(t, signer(t))
			release := w.repo.Packages["acme/hello"].Releases["24.09"]
			d := release.Installers["x64"]
			c.damage(w, &d)
			release.Installers["x64"] = d
			_, err = w.Make(t.Context(), w.repo, "acme/hello", "24.09")
			if err == nil || fleet.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want kind %v and %q", err, c.kind, c.want)
			}
			if has, err := w.Store.Has(t.Context(), good.Built.Artifact); err != nil || has {
				t.Errorf("the artifact was stored (%v)", err)
			}
		})
	}
}

func TestBuildFromAnUpload(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	exe := fixture(t, "pe/testdata/hello.exe")
	release := w.repo.Packages["acme/setup"].Releases["24.09"]
	d := release.Installers["x64"]
	d.URL, d.Upload = "", fleet.DigestOf(exe)
	release.Installers["x64"] = d
	if _, err := w.Make(t.Context(), w.repo, "acme/setup", "24.09"); err == nil || fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an upload nobody made: %v", err)
	}
	_, err := w.Store.Put(t.Context(), store.Artifact{Files: []store.File{{Name: "setup.exe", MediaType: "application/octet-stream", Digest: d.Upload, Size: d.Size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(exe)), nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	if p := w.make(t, "acme/setup", "24.09"); len(p.Built.Files) != 2 {
		t.Errorf("%+v", p.Built.Files)
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	for name, c := range map[string]struct {
		change func()
		id     fleet.PackageID
		v      string
		want   string
	}{
		"package": {func() {}, "acme/none", "1", "no such package"},
		"release": {func() {}, "acme/hello", "9", "no release 9"},
		"key":     {func() { w.Attester = nil }, "acme/hello", "24.09", "signing key"},
		"store":   {func() { w.Store = nil }, "acme/hello", "24.09", "store"},
	} {
		attester, kept := w.Attester, w.Store
		c.change()
		if _, err := w.Make(t.Context(), w.repo, c.id, c.v); fleet.KindOf(err) != fleet.Invalid || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		w.Attester, w.Store = attester, kept
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Make(ctx, w.repo, "acme/hello", "24.09"); err == nil {
		t.Error("built under a context that had ended")
	}
}

func TestExport(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/setup", "24.09")
	dir, err := w.Export(t.Context(), p, filepath.Join(t.TempDir(), "dist"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second export replaces the first
		if dir, err = w.Export(t.Context(), p, filepath.Dir(filepath.Dir(filepath.Dir(dir)))); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"SHA256SUMS", "SHA256SUMS.sigstore.json", "provenance.sigstore.json", "sbom.cdx.json", "sbom.sigstore.json", "setup-24.09-x64.intunewin", "setup-24.09-x86.intunewin"}
	if !slices.Equal(names, want) || !strings.HasSuffix(filepath.ToSlash(dir), "dist/acme/setup/24.09") {
		t.Errorf("%s holds %q", dir, names)
	}
	for line := range strings.Lines(string(p.Sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || fleet.DigestOf(data).Hex() != sum {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !json.Valid(p.Built.Provenance) {
		t.Error("the provenance is no JSON")
	}
}
