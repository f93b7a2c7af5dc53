package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/software"
)

// unseenDays is after how many days without a sign a device counts as not seen.
const unseenDays = 14

// An Inventory is the newest snapshot of each tenant, as evidence has it.
type Inventory struct {
	Tenants []TenantInventory `json:"tenants"` // by id
}

// A TenantInventory is what one tenant's devices are and have. It names none of
// them.
type TenantInventory struct {
	Tenant  fleet.TenantID `json:"tenant"`
	Name    string         `json:"name"`
	At      time.Time      `json:"at"` // of the devices
	Devices int            `json:"devices"`
	Unseen  int            `json:"unseen"` // of them, for fourteen days before At
	Systems []DeviceGroup  `json:"systems"`
	Models  []DeviceGroup  `json:"models"`

	AppsAt      time.Time      `json:"appsAt"` // of the programs; zero when they are not known
	Apps        []InstalledApp `json:"apps"`
	Rest        int            `json:"rest"`        // programs that the snapshot only sums
	RestDevices int            `json:"restDevices"` // on so many devices, added up
}

// A DeviceGroup is how many devices are alike.
type DeviceGroup struct {
	Platform string `json:"platform"`
	Name     string `json:"name"` // build, or manufacturer and model
	Devices  int    `json:"devices"`
}

// An InstalledApp is a program of one version on a tenant's devices.
type InstalledApp struct {
	Name      string `json:"name"`
	Publisher string `json:"publisher"`
	Version   string `json:"version"`
	Platform  string `json:"platform"`
	Devices   int    `json:"devices"`
}

// InventoryOf is the newest snapshot of the tenants that keep wants.
func InventoryOf(repo *fleet.Repository, rec *fleet.Record, keep func(fleet.TenantID) bool) Inventory {
	devices, apps := rollout.LatestInventory(rec, time.Time{}), software.Latest(rec.Apps)
	taken := map[fleet.TenantID]time.Time{}
	for i := range rec.Inventory {
		if r := &rec.Inventory[i]; r.At.After(taken[r.Tenant]) {
			taken[r.Tenant] = r.At
		}
	}
	out := Inventory{Tenants: []TenantInventory{}}
	for _, id := range slices.Sorted(maps.Keys(repo.Tenants)) {
		if !keep(id) {
			continue
		}
		t := TenantInventory{Tenant: id, Name: repo.Tenants[id].Name, At: taken[id], Devices: len(devices[id]), Apps: []InstalledApp{}}
		systems, models := map[DeviceGroup]int{}, map[DeviceGroup]int{}
		limit := taken[id].AddDate(0, 0, -unseenDays).UTC().Format(time.DateOnly)
		for _, d := range devices[id] {
			systems[DeviceGroup{Platform: d.Platform, Name: d.OSBuild}]++
			models[DeviceGroup{Platform: d.Platform, Name: strings.TrimSpace(d.Attributes["manufacturer"] + " " + d.Attributes["model"])}]++
			if d.LastSeen < limit {
				t.Unseen++
			}
		}
		t.Systems, t.Models = grouping(systems), grouping(models)
		for _, a := range apps[id] {
			t.AppsAt = a.At
			if a.Name == "" {
				t.Rest, t.RestDevices = t.Rest+a.Rest, t.RestDevices+a.Devices
				continue
			}
			t.Apps = append(t.Apps, InstalledApp{a.Name, a.Publisher, a.Version, a.Platform, a.Devices})
		}
		out.Tenants = append(out.Tenants, t)
	}
	return out
}

func grouping(counts map[DeviceGroup]int) []DeviceGroup {
	out := make([]DeviceGroup, 0, len(counts))
	for g, n := range counts {
		g.Devices = n
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b DeviceGroup) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), strings.Compare(a.Platform, b.Platform), strings.Compare(a.Name, b.Name))
	})
	return out
}

// InventoryTables are an inventory for people: the tenants, then their systems,
// models and programs.
func InventoryTables(v Inventory) []Table {
	tenants := Table{Columns: Cols("tenant", "name", "as of", "devices>", "not seen>", "systems>", "models>", "programs as of", "programs>"), Empty: "there is no tenant"}
	systems := Table{Title: "Systems", Columns: Cols("tenant", "platform", "build", "devices>"), Empty: "no system is known"}
	models := Table{Title: "Models", Columns: Cols("tenant", "platform", "model", "devices>"), Empty: "no model is known"}
	for _, t := range v.Tenants {
		tenants.Add(string(t.Tenant), t.Name, utc(t.At), fmt.Sprint(t.Devices), fmt.Sprint(t.Unseen), fmt.Sprint(len(t.Systems)), fmt.Sprint(len(t.Models)), utc(t.AppsAt), fmt.Sprint(len(t.Apps)+t.Rest))
		for _, g := range t.Systems {
			systems.Add(string(t.Tenant), g.Platform, dash(g.Name), fmt.Sprint(g.Devices))
		}
		for _, g := range t.Models {
			models.Add(string(t.Tenant), g.Platform, dash(g.Name), fmt.Sprint(g.Devices))
		}
	}
	return []Table{tenants, systems, models, InventoryApps(v)}
}

// InventoryApps is the programs of an inventory, a row for each tenant and
// version.
func InventoryApps(v Inventory) Table {
	t := Table{Title: "Programs", Columns: Cols("tenant", "program", "publisher", "version", "platform", "devices>"), Empty: "no program is known"}
	for _, x := range v.Tenants {
		for _, a := range x.Apps {
			t.Add(string(x.Tenant), a.Name, dash(a.Publisher), dash(a.Version), dash(a.Platform), fmt.Sprint(a.Devices))
		}
		if x.Rest > 0 {
			t.Add(string(x.Tenant), fmt.Sprintf("%s more, only summed", grouped(x.Rest)), dash(""), dash(""), dash(""), fmt.Sprint(x.RestDevices))
		}
	}
	return t
}

// Uncatalogued is what is in use and not in the catalog, over all tenants that
// have a snapshot of programs.
type Uncatalogued struct {
	Tenants int      `json:"tenants"` // with a snapshot
	Without []string `json:"without"` // ids of tenants without one
	software.Comparison
}

// UncataloguedOf holds the newest snapshots against the catalog.
func UncataloguedOf(repo *fleet.Repository, rec *fleet.Record, keep func(fleet.TenantID) bool) Uncatalogued {
	snapshots := software.Latest(rec.Apps)
	out := Uncatalogued{Without: []string{}}
	for id := range snapshots {
		if _, ok := repo.Tenants[id]; !ok || !keep(id) {
			delete(snapshots, id) // a tenant that left counts no more
		}
	}
	for _, id := range slices.Sorted(maps.Keys(repo.Tenants)) {
		if keep(id) && len(snapshots[id]) == 0 {
			out.Without = append(out.Without, string(id))
		}
	}
	out.Tenants, out.Comparison = len(snapshots), software.Compare(repo, snapshots)
	return out
}

// UncataloguedTable is what the factory should package next, most used first.
func UncataloguedTable(v Uncatalogued) Table {
	t := Table{
		Title:   fmt.Sprintf("In use and not in the catalog, by the programs of %s", plural(v.Tenants, "tenant")),
		Columns: Cols("program", "publisher", "platform", "versions>", "tenants>", "devices>", "where"), Empty: "every program that is in use is in the catalog, or none is known",
	}
	for _, p := range v.Uncatalogued {
		t.Add(p.Name, dash(p.Publisher), dash(p.Platform), fmt.Sprint(p.Versions), fmt.Sprint(p.Tenants), fmt.Sprint(p.Devices), some(p.In, 3))
	}
	return t
}

// UncataloguedNote is what the list leaves out, in a sentence for each.
func UncataloguedNote(v Uncatalogued) []string {
	var out []string
	if n := len(v.Catalogued); n > 0 {
		out = append(out, "the catalog has "+plural(n, "program")+" in use")
	}
	if v.Store > 0 {
		out = append(out, plural(v.Store, "row")+" of packages that come with Windows are left out")
	}
	if v.Rest > 0 {
		out = append(out, fmt.Sprintf("%s on few devices (%s, added up) are only summed in the snapshots", plural(v.Rest, "program"), plural(v.RestDevices, "device")))
	}
	if len(v.Without) > 0 {
		out = append(out, "no programs are known of "+some(v.Without, 5))
	}
	return out
}
