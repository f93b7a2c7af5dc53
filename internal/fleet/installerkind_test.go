package fleet

import "testing"

// What proposes arguments says where they are documented, and what has none
// says what to do instead.
func TestSwitches(t *testing.T) {
	for _, k := range []InstallerKind{
		InstallerNSIS, InstallerInno, InstallerBurn, InstallerSquirrel, InstallerInstallShield, InstallerInstallShieldMSI,
		InstallerAdvanced, InstallerMSIX, InstallerSevenZip,
	} {
		s := k.Switches()
		if (s.Install != "") != (s.Source != "") || s.Install == "" && s.Note == "" || s.BySelf && s.Uninstall == "" {
			t.Errorf("%s: %+v", k, s)
		}
	}
	for _, k := range []InstallerKind{InstallerNone, "exe", ""} {
		if s := k.Switches(); s != (Switches{}) {
			t.Errorf("%s: %+v", k, s)
		}
	}
}
