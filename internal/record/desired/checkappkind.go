package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// fromStore reports whether a package has an app of a store, of which a release
// ships no bytes.
func fromStore(p fleet.Package) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(p.Installers)), func(in fleet.Installer) bool { return in.Type == "store" })
}

// appKind checks what the console must be told of an installer of which nothing
// can be read, and what it can do with what it installed.
func (x *checks) appKind(file, key string, p fleet.Package) {
	in := p.Installers[key]
	at := func(keys ...string) []string { return append(k("pkg", "installers", key), keys...) }
	names := func(by func(fleet.Detect) bool) bool { return slices.ContainsFunc(in.Detect, by) }
	if in.Managed && in.Type != "pkg" {
		x.fault(file, at("managed"), "is for type \"pkg\"; this is %q", in.Type)
	}
	switch s := in.Scripts; {
	case s == nil:
	case in.Type != "pkg" || in.Managed:
		x.fault(file, at("scripts"), "are for a \"pkg\" that is not managed: the console runs them around no other installation")
	case s.Before == "" && s.After == "":
		x.fault(file, at("scripts"), "names no script: give before, after or both")
	}
	switch in.Type {
	case "store":
		if !names(func(d fleet.Detect) bool { return d.Package != "" }) {
			x.fault(file, at("detect"), "an app of the store is named by a rule with its package: its product id there")
		}
	case "dmg":
		if !names(func(d fleet.Detect) bool { return d.Bundle != "" }) {
			x.fault(file, at("detect"), "what is in a disk image is not read: a rule with its bundle names the application")
		}
	case "pkg":
		if in.Platform == "macos" && p.Rollback == "uninstall" && !in.Managed {
			x.fault(file, at("managed"), "the console removes only managed packages, and rollback is \"uninstall\"")
		}
	}
	if in.Type == "store" && p.Rollback == "previous" {
		x.fault(file, k("pkg", "rollback"), "the store installs its newest version: \"previous\" is no way back")
	}
}
