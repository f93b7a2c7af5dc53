package xar

import (
	"cmp"
	"path"
	"strings"
)

// A Package is one component: what is installed together, and is known by its
// identifier afterwards.
type Package struct {
	Folder          string // of the archive, "Tool.pkg"; "" where the file is the component
	Identifier      string
	Version         string
	InstallLocation string // "/" where none is stated
	Auth            string // "root" or "none"
	Files           string // how many it installs, as the package says
	InstallKBytes   string // and how large they are
	Preinstall      bool   // it runs scripts of its own before or after
	Postinstall     bool
	Bundles         []Bundle
}

// A Bundle is an application, framework or plug-in that a component installs.
type Bundle struct {
	ID           string // CFBundleIdentifier
	Path         string // on the device: "/Applications/Tool.app"
	ShortVersion string // CFBundleShortVersionString, the one for people
	Version      string // CFBundleVersion, the build
}

// A Distribution is what a product says of itself as a whole.
type Distribution struct {
	Title             string // often a key of a table of translations
	ProductID         string
	ProductVersion    string
	References        []Reference
	HostArchitectures []string // "x86_64", "arm64", …; none where any will do
	OSVersions        []OSRange
	Domains           map[string]bool // anywhere, currentUserHome, localSystem, as far as stated
	VolumeCheck       string          // the JavaScript expression that decides, "" where there is none
	InstallationCheck string
}

// A Reference is a component as the Distribution sees it.
type Reference struct {
	ID      string
	Version string
	Target  string // "#Tool.pkg" inside the archive, or an address outside
}

// An OSRange is macOS releases that a product may be installed on.
type OSRange struct {
	Min    string
	Before string
}

// Caps on what is kept of the descriptions.
const (
	maxBundles    = 4096 // of one component
	maxPath       = 1024 // bytes
	maxReferences = 256
	maxName       = 256 // bytes of an identifier, of a version
)

// readFacts reads the files that describe the package.
func (f *File) readFacts() error {
	for _, m := range f.Members {
		dir, name := path.Split(m.Path)
		dir = strings.TrimSuffix(dir, "/")
		switch {
		case m.Type != "file" || strings.Contains(dir, "/"):
		case name == "PackageInfo":
			p, err := f.component(m, dir)
			if err != nil {
				return err
			}
			if len(f.Packages) == maxPackages {
				return m.element.fail("a product of more than %d components", maxPackages)
			}
			f.Packages = append(f.Packages, p)
		case m.Path == "Distribution":
			d, err := f.distribution(m)
			if err != nil {
				return err
			}
			f.Distribution = d
		}
	}
	if f.Distribution == nil && (len(f.Packages) != 1 || f.Packages[0].Folder != "") {
		return invalid("offset %d: a xar archive that is no installer package: at its root is neither PackageInfo nor Distribution", headerSize)
	}
	return nil
}

func (f *File) component(m Member, folder string) (Package, error) {
	text, err := f.text(m)
	if err != nil {
		return Package{}, err
	}
	root, err := parse(text, m.Path)
	if err != nil {
		return Package{}, err
	}
	p := Package{
		Folder: folder, Identifier: root.attr("identifier"), Version: root.attr("version"), Auth: root.attr("auth"),
		InstallLocation: path.Join("/", root.attr("install-location")),
	}
	if root.name != "pkg-info" || p.Identifier == "" {
		return p, root.fail("no pkg-info with an identifier")
	}
	if len(p.Identifier) > maxName || len(p.Version) > maxName {
		return p, root.fail("an identifier of %d bytes, a version of %d", len(p.Identifier), len(p.Version))
	}
	for _, payload := range root.all("payload") {
		p.Files, p.InstallKBytes = payload.attr("numberOfFiles"), payload.attr("installKBytes")
	}
	for _, scripts := range root.all("scripts") {
		p.Preinstall = p.Preinstall || scripts.has("preinstall")
		p.Postinstall = p.Postinstall || scripts.has("postinstall")
	}
	return p, p.bundles(root, p.InstallLocation, map[Bundle]bool{})
}

// bundles adds those inside an element. A bundle's path is below the one that
// its element stands in. Older packages write the identifier as
// CFBundleIdentifier; elements of rules for upgrades name an id alone, and are
// passed over.
func (p *Package) bundles(inside *element, location string, known map[Bundle]bool) error {
	for _, e := range inside.kids {
		below := location
		if e.name == "bundle" && e.attr("path") != "" {
			b := Bundle{
				ID: cmp.Or(e.attr("CFBundleIdentifier"), e.attr("id")), Path: path.Join(location, e.attr("path")),
				ShortVersion: e.attr("CFBundleShortVersionString"), Version: e.attr("CFBundleVersion"),
			}
			below = b.Path
			if len(b.Path) > maxPath || len(p.Bundles) == maxBundles {
				return e.fail("a path of %d bytes, or one of more than %d bundles", len(b.Path), maxBundles)
			}
			if longest := max(len(b.ID), len(b.ShortVersion), len(b.Version)); longest > maxName {
				return e.fail("an identifier or version of %d bytes", longest)
			}
			if b.ID != "" && !known[b] {
				known[b] = true
				p.Bundles = append(p.Bundles, b)
			}
		}
		if err := p.bundles(e, below, known); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) distribution(m Member) (*Distribution, error) {
	text, err := f.text(m)
	if err != nil {
		return nil, err
	}
	root, err := parse(text, m.Path)
	if err != nil {
		return nil, err
	}
	if root.name != "installer-gui-script" && root.name != "installer-script" {
		return nil, root.fail("no installer script")
	}
	d := &Distribution{}
	for _, e := range root.kids {
		d.add(e)
	}
	return d, nil
}

// add takes what one element of the Distribution says.
func (d *Distribution) add(e *element) {
	switch e.name {
	case "title":
		d.Title = printable(e.text)
	case "product":
		if id, version := e.attr("id"), e.attr("version"); len(id) <= maxName && len(version) <= maxName {
			d.ProductID, d.ProductVersion = id, version
		}
	case "pkg-ref":
		d.reference(e)
	case "options":
		for arch := range strings.SplitSeq(e.attr("hostArchitectures"), ",") {
			if arch = strings.TrimSpace(arch); arch != "" && len(d.HostArchitectures) < 16 {
				d.HostArchitectures = append(d.HostArchitectures, arch)
			}
		}
	case "domains":
		d.Domains = map[string]bool{}
		for _, name := range []string{"anywhere", "currentUserHome", "localSystem"} {
			if v := e.attr("enable_" + name); v != "" {
				d.Domains[name] = v == "true"
			}
		}
	case "installation-check":
		d.InstallationCheck = e.attr("script")
	case "volume-check", "allowed-os-versions":
		if script := e.attr("script"); script != "" {
			d.VolumeCheck = script
		}
		e.walk(func(v *element) bool {
			if v.name == "os-version" && len(d.OSVersions) < 64 {
				d.OSVersions = append(d.OSVersions, OSRange{v.attr("min"), v.attr("before")})
			}
			return true
		})
	}
}

// reference joins what several elements say of one component.
func (d *Distribution) reference(e *element) {
	id := e.attr("id")
	for i := range d.References {
		if r := &d.References[i]; r.ID == id {
			if v := e.attr("version"); v != "" {
				r.Version = v
			}
			if e.text != "" {
				r.Target = printable(e.text)
			}
			return
		}
	}
	if id != "" && len(d.References) < maxReferences {
		d.References = append(d.References, Reference{id, e.attr("version"), printable(e.text)})
	}
}
