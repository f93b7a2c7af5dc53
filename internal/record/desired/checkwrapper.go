package desired

import (
	"errors"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// wrapper checks what a device is asked to do beyond running the installer:
// whether the wrapper script can do it, and whether every text can stand where
// the script puts it.
func (x *checks) wrapper(file, key string, p fleet.Package) {
	in := p.Installers[key]
	at := func(keys ...string) []string { return append(k("pkg", "installers", key), keys...) }
	before := len(x.findings)
	for field, there := range map[string]bool{"programs": len(in.Programs) > 0, "putOff": len(in.PutOff) > 0, "keep": len(in.Keep) > 0} {
		if there && !wrapper.Wraps(in) {
			x.fault(file, at(field), "is for installers of type \"msi\", \"exe\" and \"portable\" on windows; this is %q for %s", in.Type, in.Platform)
		}
	}
	for i, kept := range in.Keep {
		user := strings.HasPrefix(kept.Key, `HKCU\`)
		if user && in.RunAs != "user" {
			x.fault(file, at("keep", index(i), "key"), "is the user's, and the installer runs as the system: another account's registry would be kept")
		}
		if v := machineless(kept.File); v != "" && in.RunAs != "user" {
			x.fault(file, at("keep", index(i), "file"), "%s is no place of the machine, and the installer runs as the system: known are %s", v, strings.Join(machinePlaces, ", "))
		}
	}
	// Whoever drafts a package may not know yet how it runs silently; a build asks.
	silent := in.Arguments != nil && in.Arguments.Install != "" && in.Arguments.Uninstall != ""
	if !wrapper.Wraps(in) || len(x.findings) > before || in.Type == "exe" && !silent {
		return
	}
	// A release brings the product code: any does here.
	p.Releases = map[string]fleet.Release{"1": {Installers: map[string]fleet.Download{
		key: {MSI: &fleet.MSIFacts{ProductCode: "{00000000-0000-0000-0000-000000000000}"}},
	}}}
	var why *fleet.Error
	if _, err := wrapper.Make(p, "1", key, "setup"); errors.As(err, &why) {
		x.fault(file, at(), "the wrapper script cannot run it: %s: %v", why.Object, why.Err)
	}
}

// updaterOff checks that what switches an updater off is asked for.
func (x *checks) updaterOff(file string, p fleet.Package) {
	if p.UpdaterOff == nil {
		return
	}
	if p.Updater != "disable" {
		x.fault(file, k("pkg", "updaterOff"), "is for updater: \"disable\"; this package says %q", p.Updater)
	}
	for _, key := range p.InstallerKeys() {
		if in := p.Installers[key]; wrapper.Wraps(in) && in.RunAs == "user" {
			x.fault(file, k("pkg", "installers", key, "runAs"), "the user's account cannot switch off what updaterOff names")
		}
	}
}
