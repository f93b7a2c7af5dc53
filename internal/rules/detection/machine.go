package detection

import (
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Machine is what lies on a device, as far as detection rules can look: each
// map from the name of a thing to the version or text it has, "" where it has
// none. Make it with NewMachine and change it with its methods, which know
// which names are one on the device.
type Machine struct {
	things map[thing]string
}

// A thing is something a rule can look for.
type thing struct{ kind, name string }

// NewMachine is a device with nothing on it.
func NewMachine() *Machine { return &Machine{things: map[thing]string{}} }

// File puts a file on the machine, with the version of its resource.
func (m *Machine) File(path, version string) { m.things[thing{"file", foldPath(path)}] = version }

// Registry puts a value under a key; value "" is the key alone.
func (m *Machine) Registry(key, value string, view int, text string) {
	m.things[thing{"registry", foldKey(key, "", view)}] = ""
	m.things[thing{"registry", foldKey(key, value, view)}] = text
}

// Product registers an MSI product code with its version.
func (m *Machine) Product(code, version string) {
	m.things[thing{"product", strings.ToLower(code)}] = version
}

// Package puts a package into the system's package manager.
func (m *Machine) Package(name, version string) { m.things[thing{"package", name}] = version }

// Bundle puts a macOS bundle on the machine.
func (m *Machine) Bundle(id, version string) { m.things[thing{"bundle", id}] = version }

// Script says that a detection script, as it is in a release, finds what it
// looks for.
func (m *Machine) Script(path, release string) { m.things[thing{"script", path + "@" + release}] = "" }

// Observe is the machine's answer to one rule of a release.
func (m *Machine) Observe(rule fleet.Detect, release string, d fleet.Download) Observation {
	var t thing
	switch {
	case rule.MSIProduct:
		if d.MSI == nil || d.MSI.ProductCode == "" {
			return Observation{}
		}
		t = thing{"product", strings.ToLower(d.MSI.ProductCode)}
	case rule.File != nil:
		t = thing{"file", foldPath(rule.File.Path)}
	case rule.Registry != nil:
		t = thing{"registry", foldKey(rule.Registry.Key, rule.Registry.Value, rule.Registry.View)}
	case rule.Bundle != "":
		t = thing{"bundle", rule.Bundle}
	case rule.Package != "":
		t = thing{"package", rule.Package}
	case rule.Script != "":
		t = thing{"script", rule.Script + "@" + release}
	}
	value, found := m.things[t]
	return Observation{Found: found, Value: value}
}

// Present reports whether a release is on the machine, by Judge.
func Present(rules []fleet.Detect, release string, d fleet.Download, m *Machine) (present bool, why string, err error) {
	seen := make([]Observation, len(rules))
	for i, rule := range rules {
		seen[i] = m.Observe(rule, release, d)
	}
	return Judge(rules, release, d, seen)
}

// foldPath is a path as Windows compares it; others are taken as they are.
func foldPath(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return strings.ToLower(strings.ReplaceAll(path, "/", `\`))
}

// foldKey is a registry place as the 64-bit view has it: the 32-bit view of
// HKLM\SOFTWARE lies in its folder WOW6432Node (learn.microsoft.com, "Registry
// Redirector"); HKCU is shared.
func foldKey(key, value string, view int) string {
	key = strings.ToLower(strings.Trim(key, `\`))
	const software, redirected = `hklm\software\`, `hklm\software\wow6432node\`
	if rest, ok := strings.CutPrefix(key, software); ok && view == 32 && !strings.HasPrefix(key, redirected) {
		key = redirected + rest
	}
	return key + "\x00" + strings.ToLower(value)
}
