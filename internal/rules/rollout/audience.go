package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
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

// Unadopted is the id of an app that a tenant hands over, "" where evidence has
// the receipt of that.
func Unadopted(rec *fleet.Record, t fleet.TenantID, id fleet.PackageID, app string) string {
	if app == "" || adopted(rec, t, id, func(a string) bool { return a == app }) {
		return ""
	}
	return app
}

// handedOver reports whether a tenant gave an app of its own as the package's
// stable slot, and did not get it back.
func handedOver(rec *fleet.Record, t fleet.TenantID, id fleet.PackageID) bool {
	return adopted(rec, t, id, func(a string) bool { return a != "" })
}

// adopted reports whether an app of those that are asked for became the stable
// slot, and no removal of the package gave it back since.
func adopted(rec *fleet.Record, t fleet.TenantID, id fleet.PackageID, asked func(app string) bool) bool {
	var adopted, left time.Time
	for i := range rec.Receipts {
		r := &rec.Receipts[i]
		switch {
		case r.Tenant != t || r.Package != id || r.Outcome != "done":
		case asked(r.Adopted):
			adopted = later(adopted, r.At)
		case r.Action == "remove": // which gave it back
			left = later(left, r.At)
		}
	}
	return !adopted.IsZero() && !left.After(adopted)
}

// awaited are the enrolment status pages that wait for slots, as each tenant's
// newest inventory told them.
func awaited(rec *fleet.Record) map[Slot]string {
	newest := map[fleet.TenantID]time.Time{}
	for i := range rec.Inventory {
		if r := &rec.Inventory[i]; r.At.After(newest[r.Tenant]) {
			newest[r.Tenant] = r.At
		}
	}
	words := map[Slot][]string{}
	for i := range rec.Inventory {
		r := &rec.Inventory[i]
		if len(r.Awaited) == 0 || !r.At.Equal(newest[r.Tenant]) {
			continue
		}
		for _, a := range r.Awaited {
			at := Slot{r.Tenant, a.Package}
			words[at] = append(words[at], fmt.Sprintf("%q waits for %s, %s", a.Page, a.Slot, a.App))
		}
	}
	out := make(map[Slot]string, len(words))
	for at, list := range words {
		slices.Sort(list)
		out[at] = strings.Join(slices.Compact(list), "; ")
	}
	return out
}

// groupChange is what becomes of a tenant's group when a wave is frozen anew.
// Both lists are in the order of device ids.
func groupChange(t fleet.Tenant, before *fleet.Membership, m Members) fleet.GroupChange {
	g := fleet.GroupChange{Tenant: t.ID, Devices: len(m.Devices), Joining: len(m.Devices)}
	if before == nil {
		return g
	}
	old := before.Devices
	if !slices.IsSorted(old) {
		old = slices.Sorted(slices.Values(old))
	}
	stay := 0
	for i, j := 0, 0; i < len(old) && j < len(m.Devices); {
		switch c := strings.Compare(old[i], m.Devices[j].Device); {
		case c == 0:
			stay, i, j = stay+1, i+1, j+1
		case c < 0:
			i++
		default:
			j++
		}
	}
	g.Joining, g.Leaving = len(m.Devices)-stay, len(old)-stay
	return g
}

// frozenBefore are the last memberships of a wave, by tenant.
func frozenBefore(rec *fleet.Record, wave string) map[fleet.TenantID]*fleet.Membership {
	out := map[fleet.TenantID]*fleet.Membership{}
	for i := range rec.Members {
		if m := &rec.Members[i]; m.Wave == wave {
			out[m.Tenant] = m
		}
	}
	return out
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
