package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// What a console takes: apps that supersede each other, directly or by way of
// others (Microsoft, "Add Win32 app supersedence"), of which a package has one in
// each slot.
const (
	maxSuperseding = 10
	slotsOfPackage = 2
)

// supersedes checks the names of the packages that one takes the place of.
func (x *checks) supersedes(file, self string, p fleet.Package) {
	for _, id := range sortedIDs(p.Supersedes) {
		keys := k("pkg", "supersedes", string(id))
		switch {
		case string(id) == self:
			x.fault(file, keys, "names the package itself")
		case !x.packages[string(id)]:
			x.fault(file, keys, "there is no package %q%s", id, suggest(string(id), slices.Collect(maps.Keys(x.packages))))
		}
	}
}

// supersedence checks what packages that supersede others are together: apps for
// Windows, in no circle, in no contradiction with what needs what, and not more
// than a console takes.
func (x *checks) supersedence() {
	linked := map[fleet.PackageID][]fleet.PackageID{} // both ways
	for _, id := range x.repo.PackageIDs() {
		p := x.repo.Packages[id]
		for _, old := range sortedIDs(p.Supersedes) {
			o, known := x.repo.Packages[old]
			if !known || old == id {
				continue // said elsewhere
			}
			x.superseded(id, p, old, o)
			linked[id], linked[old] = append(linked[id], old), append(linked[old], id)
		}
	}
	said := map[fleet.PackageID]bool{}
	for _, id := range x.repo.PackageIDs() {
		if said[id] || len(x.repo.Packages[id].Supersedes) == 0 {
			continue
		}
		together := reached(id, func(p fleet.PackageID) []fleet.PackageID { return linked[p] })
		maps.Copy(said, together)
		if n := len(together) * slotsOfPackage; n > maxSuperseding {
			x.fault(id.Dir()+"/package.cue", k("pkg", "supersedes"), "%d packages supersede each other, which are %d apps in a tenant, one for each slot: the console takes %d", len(together), n, maxSuperseding)
		}
	}
}

// superseded checks one package that another takes the place of.
func (x *checks) superseded(id fleet.PackageID, p fleet.Package, old fleet.PackageID, o fleet.Package) {
	file, keys := id.Dir()+"/package.cue", k("pkg", "supersedes", string(old))
	needs := func(p fleet.PackageID) []fleet.PackageID { return x.repo.Packages[p].Requires }
	olds := func(p fleet.PackageID) []fleet.PackageID { return sortedIDs(x.repo.Packages[p].Supersedes) }
	switch {
	case !windowsApp(p):
		x.fault(file, keys, "this package has no installer for Windows that packmill brings: only such apps replace others")
	case !windowsApp(o):
		x.fault(file, keys, "%q has no installer for Windows that packmill brings: only such apps are replaced", old)
	case reached(id, needs)[old]:
		x.fault(file, keys, "%q must also be there before this package: see requires", old)
	case reached(old, olds)[id]:
		x.fault(file, keys, "%q supersedes this package in turn: devices would never come to rest", old)
	}
}

// windowsApp reports whether a package becomes an app of the kind that can
// supersede others: one with an installer for Windows that packmill brings.
func windowsApp(p fleet.Package) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(p.Installers)), func(in fleet.Installer) bool { return in.Platform == "windows" && in.Type != "store" })
}

// reached are the packages that can be reached from one, itself among them.
func reached(from fleet.PackageID, next func(fleet.PackageID) []fleet.PackageID) map[fleet.PackageID]bool {
	seen := map[fleet.PackageID]bool{}
	for todo := []fleet.PackageID{from}; len(todo) > 0; {
		id := todo[0]
		todo = todo[1:]
		if !seen[id] {
			seen[id] = true
			todo = append(todo, next(id)...)
		}
	}
	return seen
}

func sortedIDs(m map[fleet.PackageID]string) []fleet.PackageID { return slices.Sorted(maps.Keys(m)) }
