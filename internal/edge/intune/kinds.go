package intune

import "github.com/packmill/packmill/internal/fleet"

// A kind is a type of app object, without namespace. The type of an object
// cannot change, so a slot has one object for each kind that its releases came
// as: a package for Windows and macOS has two, and one whose vendor went from an
// installer to the store has the old one beside the new one. The kind is read
// from the object itself and stands in no marker.
type kind string

const (
	kindWin32 kind = "win32LobApp"
	kindStore kind = "winGetApp" // of the Microsoft Store: no content of ours
	kindPkg   kind = "macOSPkgApp"
	kindLob   kind = "macOSLobApp" // a .pkg that is installed as a managed app
	kindDmg   kind = "macOSDmgApp"
)

// kinds are all of them, in the order in which a slot is told.
func kinds() []kind { return []kind{kindWin32, kindStore, kindPkg, kindLob, kindDmg} }

// kindOf is the kind of an object by its type, "" for one packmill never makes.
func kindOf(odata string) kind {
	for _, k := range kinds() {
		if odata == k.odata() {
			return k
		}
	}
	return ""
}

// kindFor is the kind of object that an installer is deployed as.
func kindFor(app fleet.App) (kind, error) {
	in := app.Installer
	switch {
	case in.Platform == "windows" && in.Type == "store":
		return kindStore, nil
	case in.Platform == "windows", in.Platform == "":
		return kindWin32, nil
	case in.Platform == "macos" && in.Type == "pkg" && in.Managed:
		return kindLob, nil
	case in.Platform == "macos" && in.Type == "pkg":
		return kindPkg, nil
	case in.Platform == "macos" && in.Type == "dmg":
		return kindDmg, nil
	}
	return "", invalid(app, "an installer of type %s for %s is no app of the service", in.Type, in.Platform)
}

// odata is the kind as @odata.type tells it.
func (k kind) odata() string { return "#microsoft.graph." + string(k) }

// cast is the path segment of what only this kind has, as Microsoft's SDKs
// spell it.
func (k kind) cast() string { return "/graph." + string(k) }

// uploads reports whether packmill brings the content.
func (k kind) uploads() bool { return k != kindStore }

// timed reports whether an assignment of the kind can name a start: the others
// act on it at once (beta description: macOS apps have no install time settings,
// winGetAppInstallTimeSettings has a deadline alone).
func (k kind) timed() bool { return k == kindWin32 }

// removable reports whether the service can remove what the kind installed. An
// unmanaged .pkg stays on the device: uninstalling is for managed ones, as far as
// was documented in 2024.
func (k kind) removable() bool { return k != kindPkg }
