package detection

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Leave puts on the machine what a release leaves there, as far as its
// installer's rules look and its facts tell: an MSI registers its product code,
// a program file has the version of its resource, a .deb its package name. Where
// facts are silent, what the rule looks for is there in the release's version.
func (m *Machine) Leave(in fleet.Installer, release string, d fleet.Download) {
	if d.MSI != nil && d.MSI.ProductCode != "" {
		m.Product(d.MSI.ProductCode, d.MSI.ProductVersion)
	}
	if d.Deb != nil {
		m.Package(d.Deb.Package, d.Deb.Version)
	}
	for _, rule := range in.Detect {
		switch {
		case rule.File != nil && in.Type == "portable" && d.PE != nil:
			m.File(rule.File.Path, d.PE.FileVersion)
		case rule.File != nil:
			m.File(rule.File.Path, release)
		case rule.Registry != nil:
			m.Registry(rule.Registry.Key, rule.Registry.Value, rule.Registry.View, release)
		case rule.Bundle != "":
			m.Bundle(rule.Bundle, release)
		case rule.Package != "" && d.Deb == nil:
			m.Package(rule.Package, release)
		case rule.Script != "":
			m.Script(rule.Script, release)
		}
	}
}

// Take takes away what Leave puts there, as the release's own removal does. It
// reports false when nothing of it was there.
func (m *Machine) Take(in fleet.Installer, release string, d fleet.Download) bool {
	trace := NewMachine()
	trace.Leave(in, release, d)
	before := len(m.things)
	maps.DeleteFunc(m.things, func(t thing, _ string) bool {
		_, its := trace.things[t]
		return its
	})
	return len(m.things) < before
}

// Things are the kinds and names of all that lies on the machine, sorted.
func (m *Machine) Things() []string {
	out := make([]string, 0, len(m.things))
	for t := range m.things {
		out = append(out, t.kind+" "+t.name)
	}
	slices.Sort(out)
	return out
}
