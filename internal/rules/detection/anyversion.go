package detection

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Where Windows Installer registers the upgrade codes of what is installed for
// the machine and for a user, each under its packed form: "Locating MSI Upgrade
// Codes in the Windows Registry" (Revenera's knowledge base), and Wine's msi.dll
// (registry.c), which works on the same keys.
const (
	machineUpgradeCodes = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes\`
	userUpgradeCodes    = `HKCU\Software\Microsoft\Installer\UpgradeCodes\`
)

// AnyVersion are rules that hold on a device which has any version of what an
// installer installs: the installer's own, to be asked only whether there is
// what they name. An MSI has another product code in every version; what its
// versions share is the upgrade code of the release's facts.
//
// A script that answers for one release cannot be asked for others, nor do
// bundles and packages of other systems belong here: both are an error.
func AnyVersion(in fleet.Installer, d fleet.Download) ([]fleet.Detect, error) {
	if len(in.Detect) == 0 {
		return nil, fmt.Errorf("it has no detection rule")
	}
	var out []fleet.Detect
	for _, rule := range in.Detect {
		switch {
		case rule.MSIProduct:
			if d.MSI == nil || d.MSI.UpgradeCode == "" {
				return nil, fmt.Errorf("the release's facts have no upgrade code, by which other versions of the MSI are known")
			}
			packed, err := packGUID(d.MSI.UpgradeCode)
			if err != nil {
				return nil, err
			}
			key := machineUpgradeCodes + packed
			if in.Scope == "user" {
				key = userUpgradeCodes + packed
			}
			out = append(out, fleet.Detect{Registry: &fleet.RegistryRule{Key: key, View: 64}})
		case rule.File != nil:
			out = append(out, fleet.Detect{File: &fleet.FileRule{Path: rule.File.Path}})
		case rule.Registry != nil:
			out = append(out, fleet.Detect{Registry: rule.Registry})
		default:
			return nil, fmt.Errorf("%s is known of one release and cannot be asked for others", Name(rule))
		}
	}
	return out, nil
}

// Unasked says why devices cannot be asked whether they have any version of a
// package, by its newest release, "" when they can.
func Unasked(pkg fleet.Package) string {
	_, release, _ := pkg.Latest()
	for _, key := range pkg.InstallerKeys() {
		d, ships := release.Installers[key]
		if in := pkg.Installers[key]; (in.Platform == "windows" || in.Platform == "macos") && ships {
			if _, err := AnyVersion(in, d); err != nil {
				return "installer " + key + ": " + err.Error()
			}
		}
	}
	return ""
}

// packGUID is a GUID as Windows Installer writes it in the registry: 32
// hexadecimal digits, the digits of the first three parts from right to left,
// those of the others with each two changed about.
func packGUID(guid string) (string, error) {
	digits := strings.ToUpper(strings.Trim(guid, "{}"))
	parts := strings.Split(digits, "-")
	widths := []int{8, 4, 4, 4, 12}
	if len(parts) != len(widths) {
		return "", fmt.Errorf("upgrade code %q is no GUID", guid)
	}
	var b strings.Builder
	for i, part := range parts {
		if len(part) != widths[i] || strings.Trim(part, "0123456789ABCDEF") != "" {
			return "", fmt.Errorf("upgrade code %q is no GUID", guid)
		}
		group := 2
		if i < 3 {
			group = len(part)
		}
		for from := 0; from < len(part); from += group {
			for n := group - 1; n >= 0; n-- {
				b.WriteByte(part[from+n])
			}
		}
	}
	return b.String(), nil
}
