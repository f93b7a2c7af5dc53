package detection

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
)

// A Contradiction is a detection that cannot work, by what the package itself
// declares.
type Contradiction struct {
	Installer string // key in the package
	Release   string // version
	What      string
}

// Contradictions tries every installer's rules on imagined devices, for each
// release that ships it: a device without the package must not pass for one
// that has it, a device on which the release left what its own facts say must,
// and a device with the release before must not, or no device would ever be
// updated. What only a device can tell, the answer of a script, is taken to be
// right.
func Contradictions(p fleet.Package) []Contradiction {
	var out []Contradiction
	for _, key := range p.InstallerKeys() {
		in := p.Installers[key]
		for _, version := range p.Versions() {
			d, ships := p.Releases[version].Installers[key]
			if !ships {
				continue
			}
			for _, what := range contradicts(p, key, in, version, d) {
				out = append(out, Contradiction{Installer: key, Release: version, What: what})
			}
		}
	}
	return out
}

// contradicts are what is wrong with one installer's rules for one release.
func contradicts(p fleet.Package, key string, in fleet.Installer, version string, d fleet.Download) []string {
	var out []string
	for _, rule := range in.Detect {
		if why := lacks(rule, in, version, d); why != "" {
			out = append(out, why)
		}
		if _, _, compares := Wants(rule, version, d); compares && p.Updater == "tolerate" && rule.Operator != ">=" {
			out = append(out, fmt.Sprintf("%s must be exactly the release's, but the vendor's updater is tolerated: a device that updates itself would be set back again and again; say >=", Name(rule)))
		}
	}
	if present, _, err := Present(in.Detect, version, d, NewMachine()); err != nil {
		return append(out, err.Error())
	} else if present {
		out = append(out, "a device without the package passes for one that has it")
	}
	after := NewMachine()
	after.Leave(in, version, d)
	if present, why, err := Present(in.Detect, version, d, after); err != nil {
		return append(out, err.Error())
	} else if !present && len(out) == 0 {
		out = append(out, "a device that has just installed it does not pass for one that has it: "+why)
	}
	older, before, ok := p.Before(version)
	old, shipped := before.Installers[key]
	if !ok || !shipped {
		return out
	}
	device := NewMachine()
	device.Leave(in, older, old)
	if present, _, err := Present(in.Detect, version, d, device); err == nil && present {
		out = append(out, fmt.Sprintf("a device that still has %s passes for one that has %s: it would never be updated; compare a version", older, version))
	}
	return out
}

// lacks says what facts of the release a rule needs and does not find.
func lacks(rule fleet.Detect, in fleet.Installer, version string, d fleet.Download) string {
	switch {
	case rule.MSIProduct && (d.MSI == nil || d.MSI.ProductCode == ""):
		return "the rule looks for the MSI product code, which the release file does not have"
	case rule.Package != "" && d.Deb != nil && d.Deb.Package != rule.Package:
		return fmt.Sprintf("the rule looks for package %s, but the .deb is %s", rule.Package, d.Deb.Package)
	case rule.File != nil && rule.File.Version && in.Type == "portable" && d.PE != nil && d.PE.FileVersion == "":
		return "the rule compares the version of the file, which has none"
	case rule.File != nil && rule.File.Version && in.Type == "portable" && d.PE != nil:
		if ok, err := holds(rule.Operator, "windows", d.PE.FileVersion, version); err == nil && !ok {
			return fmt.Sprintf("the rule wants the file to be %s %s, but it says %s", operator(rule), version, d.PE.FileVersion)
		}
	}
	return ""
}
