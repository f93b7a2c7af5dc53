package rollout

import (
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

func selectsTenant(s fleet.Select, tenant fleet.Tenant) bool {
	for k, want := range s.Tenants {
		if !want.Admit(tenant.Label(k)) {
			return false
		}
	}
	return !s.Sites
}

// deviceSelector reports of a device of the tenant whether a wave takes it.
func deviceSelector(s fleet.Select, tenant fleet.Tenant) func(*fleet.InventoryRow) bool {
	keys := slices.Sorted(maps.Keys(s.Attributes))
	return func(d *fleet.InventoryRow) bool {
		for _, k := range keys {
			if k == fleet.GroupAttribute {
				if !s.Attributes[k].Admit(groupsOf(d)...) {
					return false
				}
			} else if !s.Attributes[k].Admit(attribute(tenant, d, k)) {
				return false
			}
		}
		return true
	}
}

// attribute is what a device has of an attribute that has one value, "" if
// nothing is known. A device whose country nobody tells is where its tenant is.
func attribute(tenant fleet.Tenant, d *fleet.InventoryRow, key string) string {
	switch key {
	case "platform":
		return d.Platform
	case "osBuild":
		return d.OSBuild
	}
	if v := d.Attributes[key]; v != "" || key != "country" {
		return v
	}
	return tenant.Labels[key]
}

// groupsOf are the groups a device is in, by the names of their folders.
func groupsOf(d *fleet.InventoryRow) []string {
	var out []string
	for k := range d.Attributes {
		if name, ok := strings.CutPrefix(k, fleet.GroupPrefix); ok {
			out = append(out, name)
		}
	}
	return out
}

// WithGroups is a tenant with those of its groups alone that waves select by, or
// that an assignment leaves out: whose members an inventory reads.
func WithGroups(repo *fleet.Repository, id fleet.TenantID) fleet.Tenant {
	t := repo.Tenants[id]
	groups := map[string]fleet.Group{}
	for _, w := range repo.Waves {
		for _, value := range w.Select.Attributes[fleet.GroupAttribute] {
			named := fleet.Values{strings.TrimPrefix(value, "!")}
			for folder, g := range t.Groups {
				if named.Admit(folder) {
					groups[folder] = g
				}
			}
		}
	}
	for id := range t.Packages {
		if a := FleetWide(t.Packages[id]); a != nil {
			for folder, g := range t.Groups {
				if slices.Contains(a.Exclude, g.Name) {
					groups[folder] = g
				}
			}
		}
	}
	t.Groups = groups
	return t
}
