package detection

import (
	"reflect"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestAnyVersion(t *testing.T) {
	registry := func(key, value string) fleet.Detect {
		return fleet.Detect{Registry: &fleet.RegistryRule{Key: key, Value: value, View: 64}}
	}
	// The upgrade code and its packed form are Revenera's example.
	msi := fleet.Download{MSI: &fleet.MSIFacts{UpgradeCode: "{016bacc2-4BD7-4137-BA71-756536C0DC40}"}}
	const packed = `Installer\UpgradeCodes\2CCAB6107DB47314AB175756630CCD04`
	for name, c := range map[string]struct {
		scope string
		rules []fleet.Detect
		d     fleet.Download
		want  []fleet.Detect
		err   string
	}{
		"file":     {"machine", []fleet.Detect{{Operator: ">=", File: &fleet.FileRule{Path: `C:\a.exe`, Version: true}}}, msi, []fleet.Detect{{File: &fleet.FileRule{Path: `C:\a.exe`}}}, ""},
		"registry": {"machine", []fleet.Detect{{Operator: "=", Registry: registry("HKLM\\X", "V").Registry}}, msi, []fleet.Detect{registry("HKLM\\X", "V")}, ""},
		"product":  {"machine", []fleet.Detect{{Operator: "=", MSIProduct: true}}, msi, []fleet.Detect{registry(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\`+packed, "")}, ""},
		"a user's": {"user", []fleet.Detect{{Operator: "=", MSIProduct: true}}, msi, []fleet.Detect{registry(`HKCU\Software\Microsoft\`+packed, "")}, ""},
		"script":   {"machine", []fleet.Detect{{File: &fleet.FileRule{Path: "x"}}, {Script: "d.ps1"}}, msi, nil, "script d.ps1"},
		"bundle":   {"machine", []fleet.Detect{{Bundle: "org.x"}}, msi, nil, "org.x"},
		"no code":  {"machine", []fleet.Detect{{MSIProduct: true}}, fleet.Download{MSI: &fleet.MSIFacts{}}, nil, "no upgrade code"},
		"no guid":  {"machine", []fleet.Detect{{MSIProduct: true}}, fleet.Download{MSI: &fleet.MSIFacts{UpgradeCode: "{016BACC2-4BD7-4137-BA71-756536C0DC4\\}"}}, nil, "no GUID"},
		"no rule":  {"machine", nil, msi, nil, "no detection rule"},
	} {
		got, err := AnyVersion(fleet.Installer{Scope: c.scope, Detect: c.rules}, c.d)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
