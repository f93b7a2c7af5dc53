package xar

import (
	"cmp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Apps are the applications that the package installs, without those inside of
// other bundles.
func (f *File) Apps() []Bundle {
	folders := map[string]bool{}
	for _, p := range f.Packages {
		for _, b := range p.Bundles {
			folders[b.Path] = true
		}
	}
	var out []Bundle
	for _, p := range f.Packages {
		for _, b := range p.Bundles {
			if strings.HasSuffix(b.Path, ".app") && !inside(folders, b.Path) {
				out = append(out, b)
			}
		}
	}
	return out
}

// inside reports whether a folder above the path is one of those, or an
// application that the package only adds to, or unpacks into.
func inside(folders map[string]bool, path string) bool {
	for i, c := range path {
		if c == '/' && (folders[path[:i]] || strings.HasSuffix(path[:i], ".app")) {
			return true
		}
	}
	return false
}

// Main is the component that stands for the package: the only one; of several
// the first of those that install an application, in the Distribution's order,
// else the first that the Distribution names and the archive holds. ok is false
// for a product whose components are all elsewhere.
func (f *File) Main() (p Package, ok bool) {
	if len(f.Packages) == 1 {
		return f.Packages[0], true
	}
	known := map[string]Package{}
	for _, p := range f.Packages {
		if _, twice := known[p.Identifier]; !twice {
			known[p.Identifier] = p
		}
	}
	if f.Distribution == nil {
		return p, false
	}
	for _, r := range f.Distribution.References {
		here, held := known[r.ID]
		if !held {
			continue
		}
		for _, b := range here.Bundles {
			if strings.HasSuffix(b.Path, ".app") {
				return here, true
			}
		}
		if !ok {
			p, ok = here, true
		}
	}
	return p, ok
}

// Facts are what a release pins of the package. A product whose components are
// elsewhere is known by its own identifier.
func (f *File) Facts() fleet.PkgFacts {
	var out fleet.PkgFacts
	if p, ok := f.Main(); ok {
		out.Identifier, out.Version = p.Identifier, p.Version
	} else if f.Distribution != nil {
		out.Identifier, out.Version = f.Distribution.ProductID, f.Distribution.ProductVersion
	}
	apps := f.Apps()
	if len(apps) > fleet.MaxBundles {
		return out
	}
	for _, b := range apps {
		out.Bundles = append(out.Bundles, fleet.BundleFacts{ID: b.ID, Version: b.ShortVersion, Build: b.Version})
	}
	return out
}

// Version is the version of what the package installs, "" where it states none:
// that of its applications for people, if they agree on one; else the product's;
// else the main component's. Packagers often leave the last two at "0" or "1.0",
// while an application's is what devices report.
func (f *File) Version() string {
	version := ""
	for i, b := range f.Apps() {
		own := cmp.Or(b.ShortVersion, b.Version)
		if i > 0 && own != version {
			version = ""
			break
		}
		version = own
	}
	if version == "" && f.Distribution != nil {
		version = f.Distribution.ProductVersion
	}
	if p, ok := f.Main(); version == "" && ok {
		version = p.Version
	}
	return version
}

// Machines are the architectures that the product says it installs on, by the
// schema's names; none where it says nothing, which means any.
func (f *File) Machines() []string {
	if f.Distribution == nil {
		return nil
	}
	var out []string
	for _, a := range f.Distribution.HostArchitectures {
		switch a {
		case "x86_64":
			out = append(out, "x64")
		case "i386":
			out = append(out, "x86")
		default:
			out = append(out, a)
		}
	}
	return out
}
