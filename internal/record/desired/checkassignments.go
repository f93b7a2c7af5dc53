package desired

import (
	"maps"
	"path"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

const (
	allDevices = "all devices"
	allUsers   = "all users"
)

// audience checks that the groups of an assignment are known.
func (x *checks) audience(file string, keys []string, t fleet.Tenant, a fleet.Assignment) {
	if x.unread[path.Dir(file)] {
		return // a group could not be read: what they are called is not known
	}
	var groups []string
	for _, key := range slices.Sorted(maps.Keys(t.Groups)) {
		groups = append(groups, t.Groups[key].Name)
	}
	known := append([]string{allDevices, allUsers}, groups...)
	if !slices.Contains(known, a.Group) {
		x.fault(file, append(slices.Clone(keys), "group"), "the tenant has no group %q below groups/%s", a.Group, suggest(a.Group, known))
	}
	for i, g := range a.Exclude {
		switch {
		case g == allDevices || g == allUsers:
			x.fault(file, append(slices.Clone(keys), "exclude", index(i)), "%q cannot be left out: nobody would be left", g)
		case !slices.Contains(groups, g):
			x.fault(file, append(slices.Clone(keys), "exclude", index(i)), "the tenant has no group %q below groups/%s", g, suggest(g, groups))
		}
	}
}

// assignments checks what the assignments of one package say together, and
// against the package.
func (x *checks) assignments(file string, keys []string, t fleet.Tenant, id fleet.PackageID) {
	pkg, read := x.repo.Packages[id]
	whole := map[string]bool{}
	for i, a := range t.Packages[id] {
		at := func(key string) []string { return append(slices.Clone(keys), index(i), key) }
		if whole[a.Group] = true; whole[allDevices] && whole[allUsers] {
			x.fault(file, at("group"), "a package is for all devices or for all users of a tenant, never for both")
		}
		if a.FilterMode != "" && a.Filter == "" {
			x.fault(file, at("filterMode"), "there is no filter whose devices it could speak of")
		}
		if a.Filter != "" && read && pkg.ByWindowsUpdate() {
			x.fault(file, at("filter"), "what Windows Update delivers is approved for groups, which no filter narrows: leave groups out with exclude")
		}
		if a.Intent == "available" && a.Group == allDevices {
			x.fault(file, at("intent"), "consoles offer packages to people alone, and %q are devices: say %q, or another intent", a.Group, allUsers)
		}
		x.restart(file, at("restart"), t, a.Restart, pkg, read)
		for _, key := range pkg.InstallerKeys() {
			if in := pkg.Installers[key]; in.Platform == "windows" && in.Scope == "user" && a.Group == allDevices {
				x.fault(file, at("group"), "installer %s of %s installs for a user, whom devices cannot stand for: say %q", key, id, allUsers)
			}
		}
		if why := detection.Unasked(pkg); a.Intent == "updateOnly" && why != "" {
			x.fault(file, at("intent"), "devices cannot be asked whether they have any version of %s: %s", id, why)
		}
	}
}

// restart checks that a grace is one, and that something restarts.
func (x *checks) restart(file string, keys []string, t fleet.Tenant, r *fleet.RestartGrace, pkg fleet.Package, read bool) {
	if r == nil {
		return
	}
	if r.CountdownMinutes > r.GraceMinutes {
		x.fault(file, append(keys, "countdownMinutes"), "is longer than graceMinutes, %d", r.GraceMinutes)
	}
	if r.SnoozeMinutes > r.GraceMinutes {
		x.fault(file, append(keys, "snoozeMinutes"), "is longer than graceMinutes, %d", r.GraceMinutes)
	}
	restarts := false
	for _, key := range pkg.InstallerKeys() {
		in := pkg.Installers[key]
		restarts = restarts || in.Platform == "windows" && in.Restart == "byExitCode"
	}
	switch {
	case read && !restarts:
		x.fault(file, keys, "no Windows installer of %s restarts by its exit code: there is nothing to put off", pkg.ID)
	case t.Policy.Reboot == "windowOnly":
		x.fault(file, keys, "policy keeps restarts to the window, where nobody puts them off")
	}
}

// adoptions checks which app objects a tenant hands over to packmill.
func (x *checks) adoptions(file string, t fleet.Tenant) {
	taken := map[string]fleet.PackageID{}
	for _, id := range slices.Sorted(maps.Keys(t.Adopt)) {
		keys, app := k("tenant", "adopt", string(id)), t.Adopt[id]
		if _, uses := t.Packages[id]; !uses {
			x.fault(file, keys, "the tenant does not have %s under packages", id)
		}
		if other := taken[app]; other != "" {
			x.fault(file, keys, "is the app that %s adopts: one app is one package", other)
		}
		taken[app] = id
	}
	if len(t.Adopt) > 0 && t.Intune == nil {
		x.fault(file, k("tenant", "adopt"), "the tenant has no connection to a console that could hold an app")
	}
}

// restorations checks what is to be written anew: a console's objects, of a package
// that the tenant has.
func (x *checks) restorations(file string, t fleet.Tenant) {
	for _, id := range slices.Sorted(maps.Keys(t.Restore)) {
		keys := k("tenant", "restore", string(id))
		x.exception(exception{File: file, Keys: keys, Expires: t.Restore[id].Expires})
		_, uses := t.Packages[id]
		pkg, read := x.repo.Packages[id]
		switch {
		case !x.packages[string(id)]:
			x.fault(file, keys, "there is no package %q%s", id, suggest(string(id), slices.Collect(maps.Keys(x.packages))))
		case !uses:
			x.fault(file, keys, "the tenant does not have %s under packages", id)
		case read && pkg.ByWindowsUpdate():
			x.fault(file, keys, "what Windows Update delivers is an approval, which has nothing to write anew: approve it again with its next release")
		}
	}
}

// acknowledged checks that a word on foreign writes says which, and that none of
// them is still to come.
func (x *checks) acknowledged(file string, t fleet.Tenant) {
	for _, name := range slices.Sorted(maps.Keys(t.Acknowledged)) {
		a, keys := t.Acknowledged[name], k("tenant", "acknowledged", name)
		ranged := len(a.Objects) > 0 || a.From != nil || a.Until != nil
		switch {
		case !ranged && len(a.Events) == 0:
			x.fault(file, keys, "names no write: say events, or objects with from and until")
		case ranged && (len(a.Objects) == 0 || a.From == nil || a.Until == nil):
			x.fault(file, keys, "a period needs objects, from and until")
		case ranged && !a.Until.After(*a.From):
			x.fault(file, append(keys, "until"), "is not after from")
		case ranged && !x.options.Now.IsZero() && a.Until.After(x.options.Now):
			x.fault(file, append(keys, "until"), "has not come: what is not written yet cannot be acknowledged")
		}
	}
}
