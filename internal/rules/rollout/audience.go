package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

// The audiences that waves bring packages to, as fleet.Assignment names them.
const (
	AllDevices = "all devices"
	AllUsers   = "all users"
)

// FleetWide is the assignment of a package that waves carry out: the one to all
// devices, else the one to all users; nil if there is neither.
func FleetWide(list []fleet.Assignment) *fleet.Assignment {
	for _, group := range []string{AllDevices, AllUsers} {
		if i := slices.IndexFunc(list, func(a fleet.Assignment) bool { return a.Group == group }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// ForUsers reports whether a tenant takes a package for its users: waves then
// reach the users of their devices, through groups of users.
func ForUsers(t fleet.Tenant, id fleet.PackageID) bool {
	a := FleetWide(t.Packages[id])
	return a != nil && a.Group == AllUsers
}

// LeftOut reports whether a tenant leaves a device out of a package: it is in a
// group that the assignment excludes, as the inventory told. The devices of
// users in such a group are not known here.
func LeftOut(t fleet.Tenant, id fleet.PackageID, d *fleet.InventoryRow) bool {
	a := FleetWide(t.Packages[id])
	if a == nil || len(a.Exclude) == 0 {
		return false
	}
	for folder, g := range t.Groups {
		if slices.Contains(a.Exclude, g.Name) && d.Attributes[fleet.GroupPrefix+folder] != "" {
			return true
		}
	}
	return false
}

// LeftOutOf are the devices that a tenant leaves out of a package, by its newest
// inventory.
func LeftOutOf(facts Facts, t fleet.Tenant, id fleet.PackageID) map[string]bool {
	if a := FleetWide(t.Packages[id]); a == nil || len(a.Exclude) == 0 {
		return nil
	}
	out := map[string]bool{}
	for _, d := range LatestInventory(facts.Record, time.Time{})[t.ID] {
		if LeftOut(t, id, &d) {
			out[d.Device] = true
		}
	}
	return out
}

// meant are the devices that a tenant does not leave out of a package.
func meant(t fleet.Tenant, id fleet.PackageID, devices []fleet.InventoryRow) []fleet.InventoryRow {
	if a := FleetWide(t.Packages[id]); a == nil || len(a.Exclude) == 0 {
		return devices
	}
	return slices.DeleteFunc(slices.Clone(devices), func(d fleet.InventoryRow) bool { return LeftOut(t, id, &d) })
}

// unasked says why devices cannot be asked whether they have any version of a
// package, "" when they can.
func unasked(pkg fleet.Package) string {
	_, release, _ := pkg.Latest()
	for _, key := range pkg.InstallerKeys() {
		d, ships := release.Installers[key]
		if in := pkg.Installers[key]; in.Platform == "windows" && ships {
			if _, err := detection.AnyVersion(in, d); err != nil {
				return "installer " + key + ": " + err.Error()
			}
		}
	}
	return ""
}
