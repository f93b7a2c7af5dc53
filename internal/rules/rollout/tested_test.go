package rollout_test

import (
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestTestedWhereDelivered: a release enters a cycle when a cell passed on the
// platform that tenants get it on, and people are told when none did.
func TestTestedWhereDelivered(t *testing.T) {
	cell := func(name, installer, result, detail string) fleet.Tested {
		out := fleet.Tested{Package: tool, Version: "2.0", Artifact: artifact(tool, "2.0"), Cell: name, Installer: installer, Result: result}
		if detail != "" {
			out.Steps = []fleet.TestStep{{Name: "cell", Result: "skipped", Detail: detail}}
		}
		return out
	}
	both := map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}, "deb": {Platform: "linux", Arch: "x64"}}
	linux := map[string]fleet.Installer{"deb": {Platform: "linux", Arch: "x64"}}
	mixed := map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}, "mac": {Platform: "macos", Arch: "universal", Type: "pkg"}}
	image := map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64"}, "mac": {Platform: "macos", Arch: "universal", Type: "dmg"}}
	shop := map[string]fleet.Installer{"shop": {Platform: "windows", Arch: "x64", Type: "store"}}
	for _, c := range []struct {
		name       string
		installers map[string]fleet.Installer
		files      []string
		tests      []fleet.Tested
		enters     bool
		wait       string
	}{
		{"windows passed", both, []string{"deb", "x64"}, []fleet.Tested{cell("debian-12", "deb", "skipped", ""), cell("wine", "x64", "passed", "")}, true, ""},
		{"one of two windows cells ran", both, []string{"x64"}, []fleet.Tested{cell("windows-11", "x64", "skipped", "runs on GitHub"), cell("wine", "x64", "passed", "")}, true, ""},
		{"linux alone passed", both, []string{"deb", "x64"}, []fleet.Tested{cell("debian-12", "deb", "passed", ""), cell("windows-11", "x64", "skipped", "runs on GitHub, on windows-11")}, false,
			"acme/tool 2.0 stays out of every cycle: no cell passed on windows, skipped: windows-11 (runs on GitHub, on windows-11)"},
		{"no windows cell at all", both, []string{"deb", "x64"}, []fleet.Tested{cell("debian-12", "deb", "passed", "")}, false,
			"acme/tool 2.0 stays out of every cycle: no cell of its matrix tests it on windows"},
		{"linux passed, and windows is not shipped", both, []string{"deb"}, []fleet.Tested{cell("debian-12", "deb", "passed", "")}, true, ""},
		{"nothing is delivered, nothing ran", linux, []string{"deb"}, []fleet.Tested{cell("debian-12", "deb", "skipped", "no chroot")}, false,
			"acme/tool 2.0 stays out of every cycle: no cell passed on any platform, skipped: debian-12 (no chroot)"},
		{"a cell failed", both, []string{"x64"}, []fleet.Tested{cell("wine", "x64", "passed", ""), cell("windows-11", "x64", "failed", "")}, false, ""},
		{"windows alone passed", mixed, []string{"x64", "mac"}, []fleet.Tested{cell("wine", "x64", "passed", "")}, false,
			"acme/tool 2.0 stays out of every cycle: no cell of its matrix tests it on macos"},
		{"both passed", mixed, []string{"x64", "mac"}, []fleet.Tested{cell("wine", "x64", "passed", ""), cell("macos-15", "mac", "passed", "")}, true, ""},
		{"no cell opens a disk image", image, []string{"x64", "mac"}, []fleet.Tested{cell("wine", "x64", "passed", "")}, true, ""},
		{"no cell has a store", shop, []string{"shop"}, nil, true, ""},
		{"a cell of an installer that is gone", both, []string{"x64"}, []fleet.Tested{cell("wine", "x86", "passed", "")}, false,
			"acme/tool 2.0 stays out of every cycle: no cell of its matrix tests it on windows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(milled, edit(tool, func(p *fleet.Package) { p.Installers = c.installers }))
			for i := range w.rec.Builds {
				if b := &w.rec.Builds[i]; b.Package == tool {
					b.Files = nil
					for _, f := range c.files {
						b.Files = append(b.Files, fleet.BuiltFile{Installer: f})
					}
				}
			}
			w.rec.Tests = append(slices.DeleteFunc(w.rec.Tests, func(x fleet.Tested) bool { return x.Package == tool }), c.tests...)
			if _, got := rollout.Entries(w.repo, w.rec, cutOffAt)[tool]; got != c.enters {
				t.Errorf("enters the cycle: %v, want %v", got, c.enters)
			}
			_, waits, err := rollout.Step(w.facts(t), detectAt)
			if err != nil {
				t.Fatal(err)
			}
			told := ""
			for _, x := range waits {
				if x.Kind == fleet.Stalled {
					told += x.Why
				}
			}
			if told != c.wait {
				t.Errorf("people are told %q, want %q", told, c.wait)
			}
		})
	}
}

// TestConfigurationsAreTested: a setting's scripts are delivered to Windows.
func TestConfigurationsAreTested(t *testing.T) {
	w := newWorld(milled, edit(tool, func(p *fleet.Package) {
		p.Kind, p.Installers, p.Settings = "configuration", nil, map[string]fleet.Setting{"x64": {Scripts: &fleet.SettingScripts{}}}
	}))
	if _, ok := rollout.Entries(w.repo, w.rec, cutOffAt)[tool]; !ok {
		t.Error("a configuration whose cell passed stays out")
	}
	w.rec.Tests[0].Result = "skipped"
	if _, ok := rollout.Entries(w.repo, w.rec, cutOffAt)[tool]; ok {
		t.Error("a configuration whose cell was skipped enters")
	}
}
