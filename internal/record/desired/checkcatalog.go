package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// catalog checks publishers, packages and their releases.
func (x *checks) catalog() {
	for _, p := range x.places {
		switch p.role {
		case rolePackage:
			if pkg, ok := x.repo.Packages[fleet.PackageID(p.keys[0])]; ok {
				x.pkg(p.Path, p.keys[0], pkg)
			}
		case roleRelease:
			if !x.packages[p.keys[0]] {
				x.say(fleet.Pos{File: p.Path}, "", "there is no package.cue beside this release")
			}
		case rolePayload:
			if !x.packages[p.keys[0]] {
				x.say(fleet.Pos{File: p.Path}, "", "there is no package.cue above this file")
			}
		}
	}
	for _, part := range x.parts {
		if part.rough != nil {
			x.roughly(part)
		}
	}
	x.dependencies()
	x.supersedence()
}

// roughly looks up the names in a package that could not be decoded, except
// where something was said already.
func (x *checks) roughly(part catalogPart) {
	before := len(x.findings)
	x.references(fleet.PackageID(part.unit.id).Dir()+"/package.cue", part.unit.id, *part.rough)
	fresh := slices.DeleteFunc(x.findings[before:], func(e *fleet.Error) bool {
		return slices.ContainsFunc(part.findings, func(said *fleet.Error) bool { return said.Pos == e.Pos })
	})
	x.findings = x.findings[:before+len(fresh)]
}

// pkg checks one package.
func (x *checks) pkg(file, id string, p fleet.Package) {
	publisher := fleet.PackageID(id).Publisher()
	if string(p.ID) != id {
		x.fault(file, k("pkg", "id"), "is %q; the folder says %q", p.ID, id)
	}
	if x.files["catalog/"+publisher+"/publisher.cue"].Path == "" {
		x.fault(file, k("pkg"), "its publisher has no catalog/%s/publisher.cue", publisher)
	}
	before := len(x.findings)
	x.references(file, id, p)
	x.kind(file, p)
	x.settings(file, p)
	x.feeds(file, p)
	x.upstream(file, p)
	for _, key := range p.InstallerKeys() {
		x.installer(file, id, key, p)
		x.wrapper(file, key, p)
	}
	x.updaterOff(file, p)
	x.release(id, p)
	if len(x.findings) == before { // what is wrong in itself need not be tried out
		x.detection(file, p)
	}
}

// references checks every name in a package that stands for something else.
func (x *checks) references(file, id string, p fleet.Package) {
	x.names(file, k("pkg", "requires"), id, p.Requires)
	x.names(file, k("pkg", "conflicts"), id, p.Conflicts)
	x.supersedes(file, id, p)
	x.names(file, k("pkg", "tests", "neighbours"), id, p.Tests.Neighbours)
	for i, name := range p.Tests.Matrix {
		if _, ok := x.repo.Matrices[name]; !ok && !x.matricesBroken() {
			x.fault(file, k("pkg", "tests", "matrix", index(i)), "catalog/matrices.cue has no environment %q%s", name, suggest(name, slices.Collect(maps.Keys(x.repo.Matrices))))
		}
	}
	x.payloads(file, id, p)
}

// matricesBroken reports whether there is a catalog/matrices.cue that could not
// be read: its own findings say enough.
func (x *checks) matricesBroken() bool {
	return slices.ContainsFunc(x.parts, func(p catalogPart) bool { return p.unit.role == roleMatrices && len(p.findings) > 0 })
}

// names checks references to packages.
func (x *checks) names(file string, keys []string, self string, ids []fleet.PackageID) {
	for i, id := range ids {
		at := append(slices.Clone(keys), index(i))
		switch {
		case string(id) == self:
			x.fault(file, at, "names the package itself")
		case !x.packages[string(id)]:
			x.fault(file, at, "there is no package %q%s", id, suggest(string(id), slices.Collect(maps.Keys(x.packages))))
		}
	}
	for _, i := range duplicates(ids) {
		x.fault(file, append(slices.Clone(keys), index(i)), "%q stands here twice", ids[i])
	}
}

// kind checks that a package has the parts its kind asks for.
func (x *checks) kind(file string, p fleet.Package) {
	want := func(have bool, field, why string) {
		if !have {
			x.fault(file, k("pkg", field), "%s", why)
		}
	}
	switch p.Kind {
	case "configuration":
		want(len(p.Settings) > 0, "settings", "a configuration needs settings")
		want(len(p.Installers) == 0, "installers", "a configuration has settings, not installers")
	case "driver":
		want(p.Driver != nil, "driver", "a driver package says what it applies to")
	case "osPatch":
		want(p.Patch != nil, "patch", "an OS patch says its builds")
		x.patch(file, p)
	}
	want(!p.ByWindowsUpdate() || p.Rollback == "forwardOnly", "rollback", "what Windows Update delivered stays: the way back is \"forwardOnly\"")
	want(!p.ByWindowsUpdate() || len(p.Health) == 0, "health", "no probe runs for what Windows Update delivers")
	want(p.Kind == "configuration" || len(p.Settings) == 0, "settings", "only a configuration has settings")
	want(p.Kind == "driver" || p.Driver == nil, "driver", "only a driver package has it")
	want(p.Kind == "osPatch" || p.Patch == nil, "patch", "only an OS patch has it")
	if p.Upstream == nil {
		return
	}
	x.glob(file, k("pkg", "upstream", "allowed"), p.Upstream.Allowed)
	if p.Upstream.From.GoProxy != nil && len(p.Releases) > 0 {
		x.fault(file, k("pkg", "upstream", "from", "goProxy"), "source is detected, never released; the package has releases")
	}
	if p.Updater == "tolerate" {
		for _, key := range p.InstallerKeys() {
			for i, d := range p.Installers[key].Detect {
				if d.Operator != ">=" {
					x.fault(file, k("pkg", "installers", key, "detect", index(i)), "the vendor's updater is tolerated: detection needs operator \">=\"")
				}
			}
		}
	}
}

// patch checks what a patch of Windows says of itself.
func (x *checks) patch(file string, p fleet.Package) {
	is := p.Patch
	if is == nil {
		return
	}
	if len(p.Installers) == 0 && (is.KB == "") == (is.Feature == "") {
		x.fault(file, k("pkg", "patch"), "says kb or feature, one of them: Windows Update delivers an article's update, or a version of Windows")
	}
	if is.Feature != "" && len(p.Installers) > 0 {
		x.fault(file, k("pkg", "patch", "feature"), "Windows Update delivers it; the package has installers")
	}
	if is.Feature != "" && len(is.Builds) != 1 {
		x.fault(file, k("pkg", "patch", "builds"), "a version of Windows has one build that it begins with")
	}
	if is.Deploy != nil && is.Feature == "" {
		x.fault(file, k("pkg", "patch", "deploy"), "is for a version of Windows: Windows Update spreads and watches nothing else")
	}
	if is.Expedite == nil {
		return
	}
	if is.KB == "" || len(p.Installers) > 0 {
		x.fault(file, k("pkg", "patch", "expedite"), "is for an article's update that Windows Update delivers")
	}
	for _, version := range p.Versions() {
		if r := p.Releases[version]; r.Change != "security" {
			x.fault(file, k("pkg", "patch", "expedite"), "is for releases whose change is \"security\"; that of %s is %q", version, r.Change)
		}
	}
}

// platforms says on which platform an installer type runs; types that are
// missing run on any.
var platforms = map[string]string{"msi": "windows", "exe": "windows", "msix": "windows", "store": "windows", "pkg": "macos", "dmg": "macos", "deb": "linux", "rpm": "linux"}

// installer checks one installer and its detection rules.
func (x *checks) installer(file, id, key string, p fleet.Package) {
	in := p.Installers[key]
	at := func(keys ...string) []string { return append(k("pkg", "installers", key), keys...) }
	if platform := platforms[in.Type]; platform != "" && platform != in.Platform {
		x.fault(file, at("type"), "%s installers are for %s, not %s", in.Type, platform, in.Platform)
	}
	if in.Type != "msi" && (len(in.Properties) > 0 || len(in.Transforms) > 0) {
		x.fault(file, at("type"), "properties and transforms are for type \"msi\"; this is %q", in.Type)
	}
	if in.Type != "portable" && in.ProgramFiles != "" {
		x.fault(file, at("programFiles"), "is for type \"portable\"; this is %q", in.Type)
	}
	x.appKind(file, key, p)
	for i, d := range in.Detect {
		rule := func(have bool, field, only string, ok bool) {
			if have && !ok {
				x.fault(file, at("detect", index(i), field), "is for %s", only)
			}
		}
		rule(d.MSIProduct, "msiProduct", "type \"msi\"", in.Type == "msi")
		rule(d.Registry != nil, "registry", "windows", in.Platform == "windows")
		rule(d.File != nil && d.File.Version, "file", "version resources of windows", in.Platform == "windows")
		rule(d.Bundle != "", "bundle", "macos", in.Platform == "macos")
	}
	if in.Source != nil {
		x.source(file, id, at("source"), p, *in.Source)
	}
}

// source checks where an installer's bytes come from, and their digest.
func (x *checks) source(file, id string, keys []string, p fleet.Package, s fleet.Source) {
	at := func(more ...string) []string { return append(slices.Clone(keys), more...) }
	for field, template := range map[string]string{"asset": s.Asset, "url": s.URL, "purl": s.PURL, "member": s.Member} {
		x.placeholders(file, at(field), template, sourceWords(p))
	}
	lists := p.Upstream != nil && releases.ListsFiles(p.Upstream.From)
	if !lists {
		const why = "the package's upstream lists no files of a release: give url or purl"
		if s.Asset != "" {
			x.fault(file, at("asset"), why)
		}
		if s.Listed {
			x.fault(file, at("listed"), why)
		}
	}
	if s.URL != "" {
		x.host(file, at("url"), id, s.URL)
	}
	if s.Checksum == nil {
		return
	}
	for field, template := range map[string]string{"asset": s.Checksum.Asset, "url": s.Checksum.URL} {
		x.placeholders(file, at("checksum", field), template, sourceWords(p))
	}
	switch {
	case s.PURL != "":
		x.fault(file, at("checksum"), "the registry that purl names states digests itself")
	case s.Checksum.Asset != "" && !lists:
		x.fault(file, at("checksum", "asset"), "the package's upstream lists no files of a release: give url")
	case s.Checksum.URL != "":
		x.host(file, at("checksum", "url"), id, s.Checksum.URL)
	}
}

// host checks an address against the publisher's hosts.
func (x *checks) host(file string, keys []string, id, url string) {
	publisher, ok := x.repo.Publishers[fleet.PackageID(id).Publisher()]
	if host := hostOf(url); ok && !slices.Contains(publisher.Hosts, host) {
		x.fault(file, keys, "%q is none of the hosts in catalog/%s/publisher.cue", host, fleet.PackageID(id).Publisher())
	}
}

// dependencies reports packages that require each other in a circle, or
// require what they conflict with.
func (x *checks) dependencies() {
	const open, done = 1, 2
	state := map[fleet.PackageID]int{}
	var visit func(id fleet.PackageID)
	visit = func(id fleet.PackageID) {
		state[id] = open
		for i, next := range x.repo.Packages[id].Requires {
			keys := k("pkg", "requires", index(i))
			if state[next] == open && next != id {
				x.fault(id.Dir()+"/package.cue", keys, "%q requires this package in turn: neither could be installed first", next)
			}
			if slices.Contains(x.repo.Packages[id].Conflicts, next) {
				x.fault(id.Dir()+"/package.cue", keys, "%q is also among the conflicts", next)
			}
			if state[next] == 0 {
				visit(next)
			}
		}
		state[id] = done
	}
	for _, id := range x.repo.PackageIDs() {
		if state[id] == 0 {
			visit(id)
		}
	}
}
