package factory_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// newMixedWorld is a started wave of a release for Windows and macOS, with all
// that a package can say of how consoles show it.
func newMixedWorld(t *testing.T, change func(*fleet.Package), uploads ...[]byte) *effectWorld {
	t.Helper()
	b := newBuildWorld(t, signer(t))
	commit, err := b.Git.Commit(t.Context(), gitrepo.CommitSpec{
		Parents: []string{b.repo.Commit}, Message: "x", Author: fleet.Identity{Name: "a", Email: "a@example.com"}, When: buildTime,
		Files: map[string][]byte{"catalog/acme/hello/files/icon.png": []byte("\x89PNG"), "catalog/acme/hello/files/need.ps1": []byte("exit 0\r\n"),
			"catalog/acme/hello/files/before.sh": []byte("#!/bin/sh\nexit 0\n"), "catalog/acme/hello/files/after.sh": []byte("#!/bin/sh\r\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.repo.Commit = commit
	pkg := b.repo.Packages[thePkg]
	pkg.Icon, pkg.Categories, pkg.Requires = "files/icon.png", []string{"Tools"}, []fleet.PackageID{"acme/setup", "acme/mac"}
	windows := pkg.Installers["x64"]
	windows.Needs = &fleet.Needs{Script: "files/need.ps1"}
	pkg.Installers["x64"] = windows
	pkg.Installers["mac"] = fleet.Installer{Platform: "macos", Arch: "x64", Type: "pkg", Detect: []fleet.Detect{{Operator: "=", Bundle: "com.example.hello"}}}
	pkg.Installers["mac-all"] = fleet.Installer{Platform: "macos", Arch: "universal", Type: "pkg", Detect: []fleet.Detect{{Operator: "=", Bundle: "com.example.hello"}}}
	pkg.Releases["24.09"].Installers["mac-all"] = pkg.Releases["24.09"].Installers["mac"]
	if change != nil {
		change(&pkg)
	}
	b.repo.Packages[thePkg] = pkg
	for _, data := range uploads {
		file := store.File{Name: "upload", MediaType: store.MediaTypeUpload, Digest: fleet.DigestOf(data), Size: int64(len(data)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
		if _, err := b.Store.Put(t.Context(), store.Artifact{Files: []store.File{file}}); err != nil {
			t.Fatal(err)
		}
	}
	built, err := b.Build(t.Context(), b.repo, thePkg, "24.09")
	if err != nil {
		t.Fatal(err)
	}
	b.repo.Operator.Trust = b.trust
	if err := b.Git.SetBranch("main", "", b.repo.Commit); err != nil {
		t.Fatal(err)
	}
	return waveOf(b, built, 1)
}

// published are the apps the first tenant's console was told of.
func (w *effectWorld) published(t *testing.T) []fleet.App {
	t.Helper()
	w.carry(t, rollout.Promote)
	return w.consoles[w.tenants[0]].told
}

// TestAnAppForEachPlatform: consoles are told of one file for each platform, with
// what is needed to commit it and to show it.
func TestAnAppForEachPlatform(t *testing.T) {
	w := newMixedWorld(t, nil)
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Intune = &fleet.Intune{ScopeTags: []string{"Helsinki"}}
	w.repo.Tenants[w.tenants[0]] = tenant
	told := w.published(t)
	if len(told) != 2 {
		t.Fatalf("told of %d apps", len(told))
	}
	windows, mac := told[0], told[1]
	if windows.Installer.Platform != "windows" || windows.NeedText != "exit 0\r\n" || windows.ContentInfo != nil || windows.File.MediaType != store.MediaTypeIntunewin {
		t.Errorf("windows: %+v", windows)
	}
	if mac.File.Installer != "mac-all" || mac.File.MediaType != store.MediaTypeContent || mac.NeedText != "" {
		t.Errorf("macOS: %+v", mac)
	}
	info, err := intunewin.ParseContentInfo(mac.ContentInfo)
	if err != nil || info.SizeEncrypted != mac.File.Size || !strings.HasSuffix(info.Name, ".pkg") {
		t.Errorf("content %+v, %v", info, err)
	}
	for _, app := range told {
		if string(app.Icon) != "\x89PNG" || !slices.Equal(app.Categories, []string{"Tools"}) || !slices.Equal(app.ScopeTags, []string{"Helsinki"}) ||
			!slices.Equal(app.Requires, []fleet.PackageID{"acme/setup"}) || app.Artifact != w.ledger.rec.Builds[0].Artifact {
			t.Errorf("%s is shown as %+v", app.Installer.Platform, app)
		}
	}
}

// TestScriptsOfMacs: consoles are told of the scripts around a Mac's installation
// as main has them, and of none that could not run there.
func TestScriptsOfMacs(t *testing.T) {
	with := func(scripts fleet.InstallScripts) func(*fleet.Package) {
		return func(p *fleet.Package) {
			in := p.Installers["mac-all"]
			in.Scripts = &scripts
			p.Installers["mac-all"] = in
			p.Supersedes = map[fleet.PackageID]string{"acme/setup": "replace"}
		}
	}
	told := newMixedWorld(t, with(fleet.InstallScripts{Before: "files/before.sh"})).published(t)
	if len(told) != 2 || told[0].BeforeText != "" || told[1].BeforeText != "#!/bin/sh\nexit 0\n" || told[1].AfterText != "" {
		t.Errorf("told of %+v", told)
	}
	for _, app := range told {
		if app.Supersedes["acme/setup"] != "replace" || app.Back {
			t.Errorf("supersedes %v, back %v", app.Supersedes, app.Back)
		}
	}
	w := newMixedWorld(t, with(fleet.InstallScripts{Before: "files/before.sh", After: "files/after.sh"}))
	_, _, err := w.run(t, rollout.Promote)
	if fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "files/after.sh") {
		t.Errorf("a script that no Mac runs: %v", err)
	}
}

// TestScriptsAreAsApproved: none of a package's scripts that devices are to run
// changes behind an approval.
func TestScriptsAreAsApproved(t *testing.T) {
	for name, stalled := range map[string]bool{"need.ps1": true, "before.sh": true, "after.sh": true, "other.sh": false} {
		w := newMixedWorld(t, func(p *fleet.Package) {
			in := p.Installers["mac-all"]
			in.Scripts = &fleet.InstallScripts{Before: "files/before.sh", After: "files/after.sh"}
			p.Installers["mac-all"] = in
		})
		// Main had runnable scripts when the wave was approved.
		w.repo.Commit = w.merge(t, "catalog/acme/hello/files/after.sh", "#!/bin/sh\n")
		w.ledger.rec.Merges[0].Commit = w.repo.Commit
		w.repo.Commit = w.merge(t, "catalog/acme/hello/files/"+name, "#!/bin/sh\nexit 1\n")
		w.clock.Set(buildTime.AddDate(0, 0, 1)) // a Mac's app knows no start
		made, _, err := w.run(t, rollout.Deploy)
		if stalled != (fleet.KindOf(err) == fleet.Stalled && err != nil) || stalled == (made > 0) {
			t.Errorf("%s: made %d, %v", name, made, err)
		}
	}
}

// TestMacsStayOutOfWindows: nothing on a Mac keeps to a tenant's windows.
func TestMacsStayOutOfWindows(t *testing.T) {
	w := newMixedWorld(t, nil)
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Zone, tenant.Windows = "UTC", map[string]fleet.Window{"w": {On: []string{"Sat"}, From: "22:00", Until: "23:00", For: []string{"install"}}}
	w.repo.Tenants[w.tenants[0]] = tenant
	if told := w.published(t); len(told) != 1 || told[0].Installer.Platform != "windows" {
		t.Errorf("told of %+v", told)
	}
}

// TestStoreAndImage builds what is not read: a store's app, which brings no
// bytes, and a disk image, which is taken as it is.
func TestStoreAndImage(t *testing.T) {
	image := []byte(strings.Repeat("image ", 200) + "koly" + strings.Repeat("\x00", 508))
	w := newMixedWorld(t, func(pkg *fleet.Package) {
		pkg.Installers = map[string]fleet.Installer{
			"shop":  {Platform: "windows", Arch: "x64", Type: "store", RunAs: "user", Detect: []fleet.Detect{{Operator: ">=", Package: "9NBLGGH4NNS1"}}},
			"image": {Platform: "macos", Arch: "universal", Type: "dmg", Detect: []fleet.Detect{{Operator: "=", Bundle: "com.example.hello"}}},
		}
		release := pkg.Releases["24.09"]
		release.Installers = map[string]fleet.Download{"image": {Upload: fleet.DigestOf(image), Size: int64(len(image)), SHA256: fleet.DigestOf(image), Signer: fleet.SignedBy{Unsigned: true}}}
		pkg.Releases["24.09"] = release
	}, image)
	told := w.published(t)
	if len(told) != 2 || told[0].Installer.Type != "store" || told[1].Installer.Type != "dmg" || told[1].ContentInfo == nil {
		t.Fatalf("told of %+v", told)
	}
	r, err := w.Store.Open(t.Context(), told[0].File)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != `{"packageIdentifier":"9NBLGGH4NNS1","release":"24.09","runAs":"user"}`+"\n" {
		t.Errorf("%s, %v", text, err)
	}
}
