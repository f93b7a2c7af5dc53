package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// unserved says which restriction of a tenant packmill cannot keep for a
// package, "" when it keeps them all. The tenant is then left out, by name: a
// restriction that is not kept must not be passed over.
func unserved(t fleet.Tenant, pkg fleet.Package) string {
	if a := fleetWide(t.Packages[pkg.ID]); a != nil && a.Intent == "updateOnly" {
		return "assigned as updateOnly, which needs a requirement rule that packages do not carry yet: it would install everywhere"
	}
	if why := unwindowed(t, pkg); why != "" {
		return why
	}
	if t.Policy.Reboot == "windowOnly" && pkg.ByWindowsUpdate() && (pkg.Patch == nil || pkg.Patch.Reboot != "never") {
		return "policy keeps restarts to the window, and Windows Update restarts devices when the tenant's update ring says"
	}
	if t.Policy.Reboot == "windowOnly" {
		for _, key := range pkg.InstallerKeys() {
			if in := pkg.Installers[key]; in.Platform == "windows" && in.Restart == "byExitCode" {
				if why := unkept(t, in); why != "" {
					return "policy keeps restarts to the window, and installer " + key + " restarts by its exit code: " + why
				}
			}
		}
	}
	return ""
}

// blocked says which driver block of a tenant a release falls under, "" when none.
func blocked(t fleet.Tenant, pkg fleet.Package, version string, at time.Time) string {
	if pkg.Kind != "driver" {
		return ""
	}
	pattern, b, is := t.Policy.BlocksDriver(pkg.ID, version, at)
	if !is {
		return ""
	}
	return fmt.Sprintf("blocked as driver %s until %s: %s", pattern, b.Expires.Format(time.DateOnly), b.Reason)
}

// unkept says why an installer's restart cannot be kept to the tenant's windows:
// the wrapper script does that, for the types it runs, in the account that may
// restart a device, where there is a window.
func unkept(t fleet.Tenant, in fleet.Installer) string {
	switch {
	case !wrapper.Wraps(in):
		return "no wrapper script runs type " + in.Type
	case in.RunAs == "user":
		return "it runs as the user, who cannot plan a restart"
	case len(wrapper.WhenOf(windowList(t), nil).Reboot) == 0:
		return "the tenant has no window for reboots"
	}
	return ""
}

// windowList are a tenant's windows in the order of their names.
func windowList(t fleet.Tenant) []fleet.Window {
	var out []fleet.Window
	for _, name := range slices.Sorted(maps.Keys(t.Windows)) {
		out = append(out, t.Windows[name])
	}
	return out
}

// shutAhead is for how many days a device is told the tenant's holidays.
const shutAhead = 100

// DeviceWindows are what devices themselves keep to of a tenant's windows:
// the windows, in the order of their names, and the holidays of the next hundred
// days where one of them is shut on those, at most as many as a command line
// holds. A tenant that is offered a package, to install it whenever somebody
// asks for it, has none for installations.
func DeviceWindows(week fleet.Week, t fleet.Tenant, from time.Time, offered bool) (windows []fleet.Window, shut []string, err error) {
	days, err := calendar.TenantDays(week, t)
	if err != nil {
		return nil, nil, fleet.Errorf(fleet.Invalid, "rollout.window", string(t.ID), "%w", err)
	}
	for _, w := range windowList(t) {
		if offered {
			w.For = slices.DeleteFunc(slices.Clone(w.For), func(what string) bool { return what == "install" })
		}
		windows = append(windows, w)
	}
	if !slices.ContainsFunc(windows, func(w fleet.Window) bool { return w.Holidays == "shut" }) {
		return windows, nil, nil
	}
	zone, err := calendar.Zone(t.Zone)
	if err != nil {
		return nil, nil, err
	}
	for n := -1; n < shutAhead && len(shut) < wrapper.ShutHolds; n++ {
		if day := calendar.DateOf(from.In(zone)).Add(n); days.Holiday(day) != "" {
			shut = append(shut, fmt.Sprintf("%04d-%02d-%02d", day.Year, day.Month, day.Day))
		}
	}
	return windows, shut, nil
}
