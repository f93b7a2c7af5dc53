package rollout

import (
	"github.com/packmill/packmill/internal/fleet"
)

// unserved says which restriction of a tenant packmill cannot keep for a
// package, "" when it keeps them all. The tenant is then left out, by name: a
// restriction that is not kept must not be passed over.
func unserved(t fleet.Tenant, pkg fleet.Package) string {
	if a := fleetWide(t.Packages[pkg.ID]); a != nil && a.Intent == "updateOnly" {
		return "assigned as updateOnly, which needs a requirement rule that packages do not carry yet: it would install everywhere"
	}
	if t.Policy.Reboot == "windowOnly" {
		for _, key := range pkg.InstallerKeys() {
			if in := pkg.Installers[key]; in.Platform == "windows" && in.Restart == "byExitCode" {
				return "policy keeps restarts to the window, and installer " + key + " restarts by its exit code"
			}
		}
	}
	return ""
}
