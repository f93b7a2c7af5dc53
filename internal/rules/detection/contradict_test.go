package detection

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// pkg is a package with two releases of one installer.
func pkg(in fleet.Installer, old, new fleet.Download) fleet.Package {
	return fleet.Package{ID: "acme/widget", Updater: "disable", Installers: map[string]fleet.Installer{"x64": in}, Releases: map[string]fleet.Release{
		"1.0": {Counter: 1, Installers: map[string]fleet.Download{"x64": old}},
		"1.1": {Counter: 2, Installers: map[string]fleet.Download{"x64": new}},
	}}
}

func rules(r ...fleet.Detect) fleet.Installer {
	return fleet.Installer{Platform: "windows", Type: "msi", Detect: r}
}

func TestContradictions(t *testing.T) {
	msi := func(code, version string) fleet.Download {
		return fleet.Download{MSI: &fleet.MSIFacts{ProductCode: code, ProductVersion: version}}
	}
	deb := func(name, version string) fleet.Download {
		return fleet.Download{Deb: &fleet.DebFacts{Package: name, Version: version}}
	}
	pe := func(version string) fleet.Download { return fleet.Download{PE: &fleet.PEFacts{FileVersion: version}} }
	file := fleet.Detect{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\Widget\w.exe`}}
	fileVersion := fleet.Detect{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\Widget\w.exe`, Version: true}}
	atLeast := fileVersion
	atLeast.Operator = ">="
	key := fleet.Detect{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\W`, View: 64}}
	value := fleet.Detect{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\W`, Value: "Version", View: 64}}
	product := fleet.Detect{Operator: "=", MSIProduct: true}
	portable := rules(fileVersion)
	portable.Type = "portable"
	tolerant := pkg(rules(fileVersion), fleet.Download{}, fleet.Download{})
	tolerant.Updater = "tolerate"
	tolerantWell := pkg(rules(atLeast), fleet.Download{}, fleet.Download{})
	tolerantWell.Updater = "tolerate"
	first := pkg(rules(file), fleet.Download{}, fleet.Download{})
	delete(first.Releases, "1.0")
	other := pkg(rules(file), fleet.Download{}, fleet.Download{})
	other.Releases["1.0"] = fleet.Release{Counter: 1, Installers: map[string]fleet.Download{"arm64": {}}}

	between := func(rule fleet.Detect, kind, old, new string) fleet.Package {
		p := pkg(fleet.Installer{Type: kind, Detect: []fleet.Detect{rule}}, fleet.Download{}, fleet.Download{})
		p.Releases = map[string]fleet.Release{
			old: {Counter: 1, Installers: map[string]fleet.Download{"x64": {}}}, new: {Counter: 2, Installers: map[string]fleet.Download{"x64": {}}},
		}
		return p
	}
	for name, c := range map[string]struct {
		p    fleet.Package
		want []string
	}{
		"bundle, missing parts are zero":   {between(fleet.Detect{Bundle: "org.w"}, "pkg", "1.0", "1.0.0"), []string{"1.0.0: a device that still has 1.0 passes"}},
		"bundle, at least, numbered anew":  {between(fleet.Detect{Operator: ">=", Bundle: "org.w"}, "pkg", "2024.1", "2.0"), []string{"2.0: a device that still has 2024.1 passes"}},
		"package, at least, numbered anew": {between(fleet.Detect{Operator: ">=", Package: "w"}, "rpm", "2024.1", "2.0"), []string{"2.0: a device that still has 2024.1 passes"}},
		"package, a new release of an rpm": {between(fleet.Detect{Operator: "=", Package: "w"}, "rpm", "1.0-1", "1.0-2"), nil},
		"file version":                     {pkg(rules(fileVersion), fleet.Download{}, fleet.Download{}), nil},
		"at least":                         {pkg(rules(atLeast), fleet.Download{}, fleet.Download{}), nil},
		"registry value":                   {pkg(rules(value), fleet.Download{}, fleet.Download{}), nil},
		"bundle":                           {pkg(rules(fleet.Detect{Bundle: "org.w"}), fleet.Download{}, fleet.Download{}), nil},
		"package without facts":            {pkg(rules(fleet.Detect{Package: "w"}), fleet.Download{}, fleet.Download{}), nil},
		"script is believed":               {pkg(rules(fleet.Detect{Script: "files/d.ps1"}), fleet.Download{}, fleet.Download{}), nil},
		"new product code":                 {pkg(rules(product), msi("{A}", "1.0"), msi("{B}", "1.1")), nil},
		"same product code, version":       {pkg(rules(product), msi("{A}", "1.0"), msi("{A}", "1.1")), nil},
		"deb":                              {pkg(rules(fleet.Detect{Package: "w"}), deb("w", "1.0-1"), deb("w", "1.1-1")), nil},
		"first release":                    {first, nil},
		"other installer before":           {other, nil},
		"one rule that tells is enough":    {pkg(rules(file, value), fleet.Download{}, fleet.Download{}), nil},
		"portable":                         {pkg(portable, pe("1.0.0.0"), pe("1.1.0.0")), nil},
		"tolerated, at least":              {tolerantWell, nil},

		"file alone":            {pkg(rules(file), fleet.Download{}, fleet.Download{}), []string{"1.1: a device that still has 1.0 passes"}},
		"key alone":             {pkg(rules(key), fleet.Download{}, fleet.Download{}), []string{"1.1: a device that still has 1.0 passes"}},
		"nothing tells":         {pkg(rules(file, key), fleet.Download{}, fleet.Download{}), []string{"1.1: a device that still has 1.0 passes"}},
		"product that stays":    {pkg(rules(product), msi("{A}", "1.0"), msi("{a}", "1.0.0")), []string{"1.1: a device that still has 1.0 passes"}},
		"no product code":       {pkg(rules(product), msi("{A}", "1.0"), fleet.Download{}), []string{"1.1: the rule looks for the MSI product code"}},
		"deb of another name":   {pkg(rules(fleet.Detect{Package: "w"}), deb("w", "1.0"), deb("widget", "1.1")), []string{"1.1: the rule looks for package w, but the .deb is widget"}},
		"deb rebuilt":           {pkg(rules(fleet.Detect{Package: "w"}), deb("w", "1.0"), deb("w", "1.0")), []string{"1.1: a device that still has 1.0 passes"}},
		"portable says other":   {pkg(portable, pe("1.0"), pe("3.2")), []string{"1.1: the rule wants the file to be exactly 1.1, but it says 3.2"}},
		"portable says nothing": {pkg(portable, pe("1.0"), pe("")), []string{"1.1: the rule compares the version of the file, which has none"}},
		"no rules":              {pkg(rules(), fleet.Download{}, fleet.Download{}), []string{"1.0: 1.0: 0 rules", "1.1: 1.1: 0 rules"}},
		"updater tolerated":     {tolerant, []string{"1.0: file %ProgramFiles%", "1.1: file %ProgramFiles%"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, x := range Contradictions(c.p) {
				if x.Installer != "x64" {
					t.Errorf("installer %q", x.Installer)
				}
				got = append(got, x.Release+": "+x.What)
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

// TestMachine looks at things by the names that are one on a device.
func TestMachine(t *testing.T) {
	m := NewMachine()
	m.File(`C:\Program Files\W\w.exe`, "1.2")
	m.File("/usr/bin/w", "")
	m.Registry(`HKLM\SOFTWARE\W`, "Version", 32, "1.2")
	m.Product("{ABC}", "1.2")
	m.Bundle("org.w", "1.2")
	d := fleet.Download{MSI: &fleet.MSIFacts{ProductCode: "{abc}", ProductVersion: "1.2"}}
	for name, c := range map[string]struct {
		rule fleet.Detect
		want bool
	}{
		"case of a path":         {fleet.Detect{File: &fleet.FileRule{Path: `c:/program files/w/W.EXE`, Version: true}}, true},
		"case counts elsewhere":  {fleet.Detect{File: &fleet.FileRule{Path: "/usr/bin/W"}}, false},
		"32-bit view":            {fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\Software\w`, Value: "VERSION", View: 32}}, true},
		"64-bit view":            {fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\Software\W`, Value: "Version", View: 64}}, false},
		"redirected by name":     {fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\Software\WOW6432Node\W`, Value: "Version", View: 64}}, true},
		"redirected twice":       {fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\Software\WOW6432Node\W`, Value: "Version", View: 32}}, true},
		"a value makes its key":  {fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\Software\W`, View: 32}}, true},
		"case of a product code": {fleet.Detect{MSIProduct: true}, true},
		"bundle":                 {fleet.Detect{Bundle: "org.w"}, true},
		"no rule at all":         {fleet.Detect{}, false},
	} {
		if got, why, err := Present([]fleet.Detect{c.rule}, "1.2", d, m); err != nil || got != c.want {
			t.Errorf("%s: %v, %s, %v", name, got, why, err)
		}
	}
}
