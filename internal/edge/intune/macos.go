package intune

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// maxIncluded is how many applications the service lists of a package.
const maxIncluded = 500

// bundleProperties are those that a macOSPkgApp and a macOSDmgApp have.
func bundleProperties(app fleet.App, base mobileApp) (*bundleApp, error) {
	bundles, ignore, err := bundlesOf(app)
	if err != nil {
		return nil, err
	}
	if id := unversioned(app, bundles); id != "" && !ignore {
		return nil, invalid(app, "the package states no CFBundleShortVersionString of %s: devices report 0 of it, and none would ever be found to have this release; "+
			"detect an application that states one, or with \">=\" this one in any version", id)
	}
	system, err := minimumMacOS(app)
	if err != nil {
		return nil, err
	}
	p := &bundleApp{
		mobileApp: base, PrimaryBundleID: bundles[0].ID, PrimaryBundleVersion: bundles[0].Version, IgnoreVersion: ignore, MinimumOS: system,
	}
	for _, b := range bundles {
		p.IncludedApps = append(p.IncludedApps, includedApp{b.ID, b.Version})
	}
	return p, nil
}

// scriptOf is a script as the service takes it, nil for none: that is said, since
// the release before may have had one.
func scriptOf(text string) *macScript {
	if text == "" {
		return nil
	}
	return &macScript{[]byte(text)}
}

// lobProperties are those of a macOSLobApp.
func lobProperties(app fleet.App, base mobileApp) (*lobApp, error) {
	bundles, ignore, err := bundlesOf(app)
	if err != nil {
		return nil, err
	}
	system, err := minimumMacOS(app)
	if err != nil {
		return nil, err
	}
	p := &lobApp{mobileApp: base, BundleID: bundles[0].ID, InstallAsManaged: true, IgnoreVersion: ignore, MinimumOS: system}
	for _, b := range bundles {
		p.ChildApps = append(p.ChildApps, childApp{b.ID, b.Version, cmp.Or(b.Build, b.Version)})
	}
	p.BuildNumber, p.VersionNumber = p.ChildApps[0].BuildNumber, p.ChildApps[0].VersionNumber
	return p, nil
}

// bundlesOf are the applications by which a device is asked whether it has the
// release, the one that is reported first: those that detection rules name, in
// their order, else all that the package installs. Their versions are the
// package's word where it can be read. Ignore says that any version will do: the
// service cannot ask for "at least", and a program that updates itself is there
// in another version soon.
func bundlesOf(app fleet.App) (bundles []fleet.BundleFacts, ignore bool, err error) {
	var inside []fleet.BundleFacts
	if app.Download.Pkg != nil {
		inside = app.Download.Pkg.Bundles
	}
	for _, d := range app.Installer.Detect {
		if d.Script != "" || d.File != nil {
			return nil, false, invalid(app, "the service detects a macOS app by its bundle, not by a file or a script")
		}
		ignore = ignore || d.Operator == ">="
		if d.Bundle == "" {
			continue
		}
		b := fleet.BundleFacts{ID: d.Bundle}
		if i := slices.IndexFunc(inside, func(f fleet.BundleFacts) bool { return f.ID == d.Bundle }); i >= 0 {
			b = inside[i]
		}
		bundles = append(bundles, b)
	}
	if len(bundles) == 0 {
		bundles = slices.Clone(inside)
	}
	if len(bundles) == 0 {
		return nil, false, invalid(app, "neither a detection rule nor the release names a bundle: the service detects macOS apps by one")
	}
	for i := range bundles {
		bundles[i].Version = cmp.Or(bundles[i].Version, app.Version)
	}
	return bundles[:min(len(bundles), maxIncluded)], ignore, nil
}

// unversioned is the first of some applications of which the package itself states
// no version for people, "" for none.
func unversioned(app fleet.App, bundles []fleet.BundleFacts) string {
	if app.Download.Pkg == nil {
		return ""
	}
	for _, b := range bundles {
		if slices.ContainsFunc(app.Download.Pkg.Bundles, func(f fleet.BundleFacts) bool { return f.ID == b.ID && f.Version == "" }) {
			return b.ID
		}
	}
	return ""
}

// macOSReleases are the releases that minimumSupportedOperatingSystem has a
// property for, oldest first. After 15 Apple counts by years.
func macOSReleases() []string {
	return []string{"v10_13", "v10_14", "v10_15", "v11_0", "v12_0", "v13_0", "v14_0", "v15_0", "v26_0"}
}

// minimumMacOS is the oldest of these releases on which needs.os surely holds:
// the service knows no releases between them.
func minimumMacOS(app fleet.App) (map[string]bool, error) {
	releases := macOSReleases()
	if app.Installer.Needs == nil || app.Installer.Needs.OS == "" {
		return map[string]bool{releases[0]: true}, nil
	}
	said := app.Installer.Needs.OS
	want, ok := numbers(strings.TrimPrefix(said, ">="), ".")
	if !ok || !strings.HasPrefix(said, ">=") {
		return nil, invalid(app, "needs.os %q is not of the form \">=13.0\"", said)
	}
	for _, r := range releases {
		have, _ := numbers(strings.TrimPrefix(r, "v"), "_")
		if slices.Compare(have, trimZeros(want)) >= 0 {
			return map[string]bool{r: true}, nil
		}
	}
	return nil, invalid(app, "needs.os %q is newer than any macOS release the service knows by name", said)
}

func numbers(text, separator string) ([]int, bool) {
	var out []int
	for part := range strings.SplitSeq(text, separator) {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// trimZeros drops parts that say nothing: 13.0.0 is 13.
func trimZeros(n []int) []int {
	for len(n) > 1 && n[len(n)-1] == 0 {
		n = n[:len(n)-1]
	}
	return n
}
