package intune

import (
	"regexp"

	"github.com/packmill/packmill/internal/fleet"
)

// storeID is the form of an id in the Microsoft Store: "9NBLGGH4NNS1",
// "XP8BT8DW290MPQ".
var storeID = regexp.MustCompile(`^[0-9A-Z]{12,16}$`)

// storeRepository is where the service finds the apps: its own word for the store.
const storeRepository = "microsoftStore"

// storeProperties are those of a winGetApp. The rule that detects the app by its
// package names it; the service finds it and keeps it current by itself.
func storeProperties(app fleet.App, base mobileApp) (*storeApp, error) {
	for _, d := range app.Installer.Detect {
		if d.Package == "" {
			continue
		}
		if !storeID.MatchString(d.Package) {
			return nil, invalid(app, "%q is no id of the Microsoft Store", d.Package)
		}
		p := &storeApp{
			mobileApp: base, PackageIdentifier: d.Package, RepositoryType: storeRepository, InstallExperience: &storeExperience{RunAsAccount: "system"},
		}
		if app.Installer.RunAs == "user" {
			p.InstallExperience.RunAsAccount = "user"
		}
		return p, nil
	}
	return nil, invalid(app, "a store app is named by a detection rule with its package")
}

// asKept is the body for an object that is there: without what can only be said
// when it is made.
func asKept(body appBody) appBody {
	if s, ok := body.(*storeApp); ok {
		kept := *s
		kept.PackageIdentifier, kept.RepositoryType = "", ""
		return &kept
	}
	return body
}
