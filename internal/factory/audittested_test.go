package factory_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// TestAuditOfTests: what a cell can test must have passed one before anybody got
// it; what none can is said to be untested, for each kind of package.
func TestAuditOfTests(t *testing.T) {
	const id = fleet.PackageID("acme/tool")
	at := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	installers := func(list ...fleet.Installer) fleet.Package {
		p := fleet.Package{ID: id, Kind: "application", Installers: map[string]fleet.Installer{}}
		for _, in := range list {
			p.Installers[in.Type] = in
		}
		return p
	}
	msi, exe := fleet.Installer{Platform: "windows", Arch: "x64", Type: "msi"}, fleet.Installer{Platform: "windows", Arch: "x64", Type: "exe"}
	pkgFile, dmg := fleet.Installer{Platform: "macos", Arch: "universal", Type: "pkg"}, fleet.Installer{Platform: "macos", Arch: "universal", Type: "dmg"}
	store, deb := fleet.Installer{Platform: "windows", Arch: "x64", Type: "store"}, fleet.Installer{Platform: "linux", Arch: "x64", Type: "deb"}
	settings := func(s fleet.Setting) fleet.Package {
		return fleet.Package{ID: id, Kind: "configuration", Settings: map[string]fleet.Setting{"edge": s}}
	}
	passed := func(keys ...string) (out []fleet.Tested) {
		for _, k := range keys {
			out = append(out, fleet.Tested{Installer: k, Cell: "cell", Result: "passed", At: at.Add(-time.Hour)})
		}
		return out
	}
	told := func(result string, when time.Time) []fleet.Tested {
		return []fleet.Tested{{Installer: "msi", Cell: "windows-11", Result: result, At: when}}
	}
	for name, tt := range map[string]struct {
		pkg   fleet.Package
		tests []fleet.Tested
		ok    bool
		want  string
	}{
		"msi":                     {installers(msi), passed("msi"), true, "1 cells"},
		"msi, no matrix":          {installers(msi), nil, false, "no cell passed before the intent"},
		"msi, skipped":            {installers(msi), told("skipped", at.Add(-time.Hour)), false, "no cell passed before the intent"},
		"msi, failed":             {installers(msi), told("failed", at.Add(-time.Hour)), false, "cell windows-11 failed"},
		"msi, passed afterwards":  {installers(msi), told("passed", at.Add(time.Hour)), false, "no cell passed before the intent"},
		"exe, no matrix":          {installers(exe), nil, false, "no cell passed before the intent"},
		"pkg, no matrix":          {installers(pkgFile), nil, false, "no cell passed before the intent"},
		"deb, tested":             {installers(deb), passed("deb"), true, "1 cells"},
		"deb, no matrix":          {installers(deb), nil, false, "no cell passed before the intent"},
		"msi and pkg, one tested": {installers(msi, pkgFile), passed("msi"), false, "no cell passed on macos before the intent"},
		"store":                   {installers(store), nil, true, "untested: store is installed by its store alone"},
		"dmg":                     {installers(dmg), nil, true, "untested: dmg is a disk image, which Macs alone open"},
		"msi and dmg":             {installers(msi, dmg), passed("msi"), true, "1 cells; untested: dmg is a disk image, which Macs alone open"},
		"msi and dmg, untested":   {installers(msi, dmg), nil, false, "no cell passed before the intent"},
		"patch":                   {fleet.Package{ID: id, Kind: "osPatch", Patch: &fleet.OSPatch{KB: "KB1"}}, nil, true, "untested: Windows Update alone delivers it, and its first wave is its test"},
		"driver":                  {fleet.Package{ID: id, Kind: "driver", Driver: &fleet.Driver{Class: "Display"}}, nil, true, "untested: Windows Update alone delivers it, and its first wave is its test"},
		"console's setting":       {settings(fleet.Setting{CatalogPolicy: "edge.json"}), nil, true, "untested: edge is set by a console alone"},
		"scripts, no matrix":      {settings(fleet.Setting{Scripts: &fleet.SettingScripts{Detect: "a.ps1", Remediate: "b.ps1", Revert: "c.ps1"}}), nil, false, "no cell passed before the intent"},
		"scripts":                 {settings(fleet.Setting{Scripts: &fleet.SettingScripts{Detect: "a.ps1", Remediate: "b.ps1", Revert: "c.ps1"}}), passed("edge"), true, "1 cells"},
		"gone from the catalog":   {fleet.Package{}, nil, false, "no cell passed before the intent"},
	} {
		artifact := fleet.DigestOf([]byte(name))
		repo, rec := &fleet.Repository{Packages: map[fleet.PackageID]fleet.Package{}}, &fleet.Record{}
		built := fleet.Built{Package: id, Version: "1", Artifact: artifact}
		if tt.pkg.ID != "" {
			repo.Packages[id] = tt.pkg
		}
		for _, key := range tt.pkg.InstallerKeys() {
			built.Files = append(built.Files, fleet.BuiltFile{Installer: key})
		}
		for key := range tt.pkg.Settings {
			built.Files = append(built.Files, fleet.BuiltFile{Installer: key})
		}
		rec.Builds = []fleet.Built{built}
		for _, test := range tt.tests {
			test.Package, test.Version, test.Artifact = id, "1", artifact
			rec.Tests = append(rec.Tests, test)
		}
		got := factory.TestedOf(repo, rec, fleet.Intent{Package: id, Release: "1", Artifact: artifact, Action: "assign", At: at})
		if got.OK != tt.ok || got.What != tt.want {
			t.Errorf("%s: %v %q, want %v %q", name, got.OK, got.What, tt.ok, tt.want)
		}
	}
}
