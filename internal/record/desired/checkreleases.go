package desired

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/setting"
	"github.com/packmill/packmill/internal/rules/version"
)

// A named file is a payload path and the keys that lead to it in package.cue.
type namedFile struct {
	keys []string
	path string
}

// payloadFiles lists every file of its folder that a package names.
func payloadFiles(p fleet.Package) []namedFile {
	var list []namedFile
	add := func(path string, keys ...string) {
		if path != "" {
			list = append(list, namedFile{append(k("pkg"), keys...), path})
		}
	}
	add(p.Icon, "icon")
	for _, key := range p.InstallerKeys() {
		in := p.Installers[key]
		for i, t := range in.Transforms {
			add(t, "installers", key, "transforms", index(i))
		}
		for i, d := range in.Detect {
			add(d.Script, "installers", key, "detect", index(i), "script")
		}
		if in.Needs != nil {
			add(in.Needs.Script, "installers", key, "needs", "script")
		}
		if in.Scripts != nil {
			add(in.Scripts.Before, "installers", key, "scripts", "before")
			add(in.Scripts.After, "installers", key, "scripts", "after")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Health)) {
		add(p.Health[key].Script, "health", key, "script")
	}
	return append(list, settingFiles(p)...)
}

// settingFiles are the files that a configuration's settings name.
func settingFiles(p fleet.Package) []namedFile {
	var list []namedFile
	for _, key := range slices.Sorted(maps.Keys(p.Settings)) {
		s := p.Settings[key]
		named := []namedFile{{k("catalogPolicy"), s.CatalogPolicy}, {k("deviceConfiguration"), s.DeviceConfiguration}, {k("compliancePolicy"), s.CompliancePolicy}, {k("profile"), s.Profile}}
		for i, f := range s.Files {
			named = append(named, namedFile{k("files", index(i), "content"), f.Content})
		}
		if s.Scripts != nil {
			named = append(named, namedFile{k("scripts", "detect"), s.Scripts.Detect},
				namedFile{k("scripts", "remediate"), s.Scripts.Remediate}, namedFile{k("scripts", "revert"), s.Scripts.Revert})
		}
		for _, n := range named {
			if n.path != "" {
				list = append(list, namedFile{append(k("pkg", "settings", key), n.keys...), n.path})
			}
		}
	}
	return list
}

// payloads checks that the files a package names are there, below files/, and
// that devices can run its scripts: PowerShell reads its own as they were written.
func (x *checks) payloads(file, id string, p fleet.Package) {
	for _, n := range payloadFiles(p) {
		if _, ok := x.payload[id][n.path]; !ok {
			x.fault(file, n.keys, "there is no file %s/%s", fleet.PackageID(id).Dir(), n.path)
			continue
		}
		fault := setting.Readable
		switch {
		case slices.Contains(n.keys, "installers") && slices.Contains(n.keys, "scripts"):
			fault = setting.Runnable
		case !strings.EqualFold(path.Ext(n.path), ".ps1"):
			continue
		}
		var why *fleet.Error
		data, err := x.tree.Read(x.payload[id][n.path].Path)
		if err == nil && errors.As(fault(n.path, data), &why) {
			x.fault(file, n.keys, "%s: %v", n.path, why.Err)
		}
	}
}

// order checks that counters rise with versions, as the package's scheme orders
// them: "the newest release" then means the same to people and to packmill. A
// higher epoch is above every version of a lower one, which may have been of
// another scheme.
func (x *checks) order(id string, p fleet.Package) {
	if p.Upstream == nil || p.Upstream.Scheme == version.Regex && version.PatternFault(p.Upstream.Pattern) != "" { // said elsewhere
		return
	}
	var newest version.Version
	var before string
	epoch := 0
	versions := slices.Sorted(maps.Keys(p.Releases))
	slices.SortStableFunc(versions, func(a, b string) int { return cmp.Compare(p.Releases[a].Counter, p.Releases[b].Counter) })
	for _, v := range versions {
		file, at := ReleasePath(fleet.PackageID(id), v), k("pkg", "releases", v)
		r := p.Releases[v]
		switch {
		case r.Epoch > p.Upstream.Epoch:
			x.fault(file, append(at, "epoch"), "%d is above upstream.epoch, %d", r.Epoch, p.Upstream.Epoch)
			continue
		case r.Epoch < epoch:
			x.fault(file, append(at, "epoch"), "%d is below that of a release with a lower counter, %d", r.Epoch, epoch)
			continue
		}
		if epoch = r.Epoch; epoch < p.Upstream.Epoch {
			continue
		}
		parsed, err := version.SchemeOf(*p.Upstream).Parse(v)
		if err != nil {
			x.fault(file, at, "%q is no version of scheme %q", v, p.Upstream.Scheme)
			continue
		}
		same := before != "" && p.Releases[before].Counter == r.Counter // said elsewhere
		if before != "" && !same && version.Compare(parsed, newest) <= 0 {
			x.fault(file, append(at, "counter"), "%d is above that of %s, which is no lower version", r.Counter, before)
			continue
		}
		newest, before = parsed, v
	}
}

// release checks the releases of a package against it and against each other.
func (x *checks) release(id string, p fleet.Package) {
	counters := map[int]string{}
	x.order(id, p)
	for _, v := range slices.Sorted(maps.Keys(p.Releases)) {
		r := p.Releases[v]
		file := ReleasePath(fleet.PackageID(id), v)
		at := k("pkg", "releases", v)
		if other, ok := counters[r.Counter]; ok {
			x.fault(file, append(at, "counter"), "%d is also the counter of %s; every release has one of its own", r.Counter, other)
		}
		counters[r.Counter] = v
		if p.Kind == "configuration" {
			x.configured(file, v, p)
			continue
		}
		if len(r.Files) > 0 {
			x.fault(file, append(at, "files"), "only releases of a configuration list files")
		}
		if len(r.Installers) == 0 && !fromStore(p) && !p.ByWindowsUpdate() {
			x.fault(file, at, "the release has no installers")
		}
		for _, key := range slices.Sorted(maps.Keys(r.Installers)) {
			x.download(file, id, v, key, p)
		}
	}
}

// configured checks a configuration's release. Which files it lists, and with
// what digests, is that of its day: files and settings that changed since are
// the next release, which the week's detection finds and proposes.
func (x *checks) configured(file, v string, p fleet.Package) {
	r := p.Releases[v]
	at := k("pkg", "releases", v)
	if len(r.Installers) > 0 {
		x.fault(file, append(at, "installers"), "the release of a configuration lists files, not installers")
	}
	if len(r.Files) == 0 {
		x.fault(file, at, "the release of a configuration lists its files with their digests")
	}
}

// download checks the bytes of one installer of a release.
func (x *checks) download(file, id, v, key string, p fleet.Package) {
	d := p.Releases[v].Installers[key]
	at := func(keys ...string) []string {
		return append(k("pkg", "releases", v, "installers", key), keys...)
	}
	in, ok := p.Installers[key]
	if !ok {
		x.fault(file, at(), "the package has no installer %q%s", key, suggest(key, p.InstallerKeys()))
		return
	}
	if d.URL != "" {
		x.host(file, at("url"), id, d.URL)
	}
	if d.Base != nil {
		if d.Base.Base.Size != d.Size || d.Base.Base.SHA256 != d.SHA256 {
			x.fault(file, at("base"), "size and sha256 are those of the base; they differ here")
		}
		for i, blob := range append([]fleet.Blob{d.Base.Base}, d.Base.Patches...) {
			if blob.URL != "" {
				x.host(file, append(at("base"), []string{"base", "patches"}[min(i, 1)]), id, blob.URL)
			}
		}
	}
	if (d.Member == "") != (d.MemberSHA256 == "") {
		x.fault(file, at("member"), "member and memberSHA256 are given together")
	}
	if slices.ContainsFunc(in.Detect, func(r fleet.Detect) bool { return r.MSIProduct }) && d.MSI == nil {
		x.fault(file, at(), "detection by MSI product needs the product code: msi: productCode: …")
	}
	x.signer(file, at("signer"), id, d.Signer)
}

// signer checks who signed an installer against what the publisher allows.
func (x *checks) signer(file string, keys []string, id string, s fleet.SignedBy) {
	publisher, ok := x.repo.Publishers[fleet.PackageID(id).Publisher()]
	if !ok {
		return
	}
	path := "catalog/" + fleet.PackageID(id).Publisher() + "/publisher.cue"
	if s.Unsigned && (s.Issuer != "" || s.Thumbprint != "" || s.Timestamp != nil) {
		x.fault(file, keys, "issuer, thumbprint and timestamp are those of a signature, and it says there is none")
	}
	if s.Unsigned && publisher.Unsigned != "accepted" {
		x.fault(file, keys, "the installer carries no signature and %s does not accept that", path)
		return
	}
	known := slices.ContainsFunc(slices.Collect(maps.Values(publisher.Signers)), func(e fleet.ExpectedSigner) bool { return e.Subject == s.Subject })
	if !s.Unsigned && !known {
		x.fault(file, keys, "%q is none of the signers in %s: a new certificate needs an approval of its own", s.Subject, path)
	}
}
