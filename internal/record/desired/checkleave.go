package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// leavings checks how packages leave a tenant: whose devices lose one is known from
// its assignment alone, one that stays does not leave, and neither does one that
// another needs.
func (x *checks) leavings(file string, t fleet.Tenant) {
	needed := x.needed(t)
	for _, id := range slices.Sorted(maps.Keys(t.Leave)) {
		keys := k("tenant", "leave", string(id))
		if !x.packages[string(id)] {
			x.fault(file, keys, "there is no package %q%s", id, suggest(string(id), slices.Collect(maps.Keys(x.packages))))
			continue
		}
		_, stays := t.Packages[id]
		pkg, read := x.repo.Packages[id]
		switch {
		case t.Leave[id] == "keep" && stays:
			x.fault(file, keys, "%s is under packages: take it out there", id)
		case t.Leave[id] == "uninstall" && !stays:
			x.fault(file, keys, "%s is not under packages: put it back until devices have lost it, or say \"keep\"", id)
		case t.Leave[id] == "uninstall" && read && pkg.ByWindowsUpdate():
			x.fault(file, keys, "what Windows Update delivered cannot be taken from devices: take it out of packages")
		case t.Leave[id] == "uninstall" && updatesOnly(t.Packages[id]):
			x.fault(file, keys, "%s is updateOnly here: people installed it themselves, and it would be taken from them; take it out of packages, and devices keep it", id)
		case t.Leave[id] == "uninstall" && len(needed[id]) > 0:
			x.fault(file, keys, "%s requires it and stays: say leave: %q: \"uninstall\" of that too, or take it out of packages", needed[id][0], needed[id][0])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(needed)) {
		if _, stays := t.Packages[id]; stays || !x.packages[string(id)] {
			continue
		}
		for _, by := range needed[id] {
			x.fault(file, k("tenant", "packages", string(by)), "requires %s, which is not under packages, where packmill takes away what it brought: put %q: [{}] there, or take this out too", id, id)
		}
	}
}

// needed are the packages that others of a tenant require, and which do, in the
// order of their ids: those that bring something to devices, and do not leave them.
func (x *checks) needed(t fleet.Tenant) map[fleet.PackageID][]fleet.PackageID {
	out := map[fleet.PackageID][]fleet.PackageID{}
	for _, id := range slices.Sorted(maps.Keys(t.Packages)) {
		brings := slices.ContainsFunc(t.Packages[id], func(a fleet.Assignment) bool { return a.Intent != "uninstall" })
		if !brings || t.Leave[id] == "uninstall" {
			continue
		}
		for _, needs := range x.repo.Packages[id].Requires {
			out[needs] = append(out[needs], id)
		}
	}
	return out
}

func updatesOnly(list []fleet.Assignment) bool {
	return slices.ContainsFunc(list, func(a fleet.Assignment) bool { return a.Intent == "updateOnly" })
}
