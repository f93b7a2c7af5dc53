package rollout

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// knowsNoStart reports whether an installer becomes an app that devices take as
// soon as they hear of it: macOS apps and those of a store have no start, and no
// script of packmill's around them.
func knowsNoStart(i fleet.Installer) bool {
	return i.Platform == "macos" && (i.Type == "pkg" || i.Type == "dmg") || i.Platform == "windows" && i.Type == "store"
}

// KeptToWindows reports whether devices keep an installer to the tenant's
// windows, if it has any. One that they would not is not delivered there: those
// devices get nothing of the package, and stay silent in a gate's sample.
func KeptToWindows(t fleet.Tenant, i fleet.Installer) bool { return !windowed(t) || !knowsNoStart(i) }

// windowed reports whether a tenant restricts when devices install.
func windowed(t fleet.Tenant) bool {
	for _, w := range t.Windows {
		if slices.Contains(w.For, "install") {
			return true
		}
	}
	return false
}

// atOnce reports whether some devices of a tenant act on an assignment of a
// package as soon as they hear of it. Such an assignment is made when it is to
// begin, and no earlier.
func atOnce(t fleet.Tenant, pkg fleet.Package) bool {
	for _, i := range pkg.Installers {
		if knowsNoStart(i) && KeptToWindows(t, i) {
			return true
		}
	}
	return false
}

// unwindowed says why a tenant's windows keep all that a package has from its
// devices, "" when they do not.
func unwindowed(t fleet.Tenant, pkg fleet.Package) string {
	kept := false
	for _, i := range pkg.Installers {
		switch {
		case !KeptToWindows(t, i):
			kept = true
		case i.Platform == "windows":
			return ""
		}
	}
	if !kept || len(pkg.Settings) > 0 {
		return ""
	}
	return "the tenant has windows for installations, and nothing on its devices keeps this package to them"
}
