package msix

import (
	"encoding/xml"
	"regexp"
	"strings"
)

// identity is the element of that name, in manifests of both kinds.
type identity struct {
	Name       string `xml:"Name,attr"`
	Publisher  string `xml:"Publisher,attr"`
	Version    string `xml:"Version,attr"`
	Arch       string `xml:"ProcessorArchitecture,attr"`
	ResourceID string `xml:"ResourceId,attr"`
}

type targetXML struct {
	Name      string `xml:"Name,attr"`
	Min       string `xml:"MinVersion,attr"`
	MaxTested string `xml:"MaxVersionTested,attr"`
}

// packageXML is AppxManifest.xml. Its elements have many namespaces, one for each
// time Windows learned something; their names alone tell them apart.
type packageXML struct {
	XMLName    xml.Name `xml:"Package"`
	Identity   identity `xml:"Identity"`
	Properties struct {
		Display     string `xml:"DisplayName"`
		Publisher   string `xml:"PublisherDisplayName"`
		Description string `xml:"Description"`
	} `xml:"Properties"`
	Targets      []targetXML `xml:"Dependencies>TargetDeviceFamily"`
	Prerequisite struct {    // of Windows 8, before there were families
		Min       string `xml:"OSMinVersion"`
		MaxTested string `xml:"OSMaxVersionTested"`
	} `xml:"Prerequisites"`
	Capabilities struct {
		All []struct {
			Name string `xml:"Name,attr"`
		} `xml:",any"`
	} `xml:"Capabilities"`
	Applications []struct {
		ID         string `xml:"Id,attr"`
		Executable string `xml:"Executable,attr"`
		Entry      string `xml:"EntryPoint,attr"`
		Visual     struct {
			Display string `xml:"DisplayName,attr"`
		} `xml:"VisualElements"`
	} `xml:"Applications>Application"`
}

// bundleXML is AppxBundleManifest.xml.
type bundleXML struct {
	XMLName  xml.Name `xml:"Bundle"`
	Identity identity `xml:"Identity"`
	Packages []struct {
		Type     string      `xml:"Type,attr"`
		Version  string      `xml:"Version,attr"`
		Arch     string      `xml:"Architecture,attr"`
		File     string      `xml:"FileName,attr"`
		Resource string      `xml:"ResourceId,attr"`
		Targets  []targetXML `xml:"Dependencies>TargetDeviceFamily"`
	} `xml:"Packages>Package"`
}

func (f *File) parsePackage(text []byte) error {
	var m packageXML
	if err := xml.Unmarshal(trimBOM(text), &m); err != nil {
		return invalid("%s: %w", fileManifest, err)
	}
	if len(m.Targets)+len(m.Capabilities.All)+len(m.Applications) > maxListed {
		return invalid("%s lists more than %d things", fileManifest, maxListed)
	}
	if err := f.identify(fileManifest, m.Identity); err != nil {
		return err
	}
	// A package without an architecture runs on all.
	f.Arch = m.Identity.Arch
	if f.Arch == "" {
		f.Arch = "neutral"
	}
	if !archs.MatchString(f.Arch) {
		return invalid("%s: %.40q is no architecture", fileManifest, f.Arch)
	}
	f.DisplayName, f.PublisherDisplay, f.Description = clean(m.Properties.Display), clean(m.Properties.Publisher), clean(m.Properties.Description)
	f.Targets = targets(m.Targets)
	if len(f.Targets) == 0 && m.Prerequisite.Min != "" {
		f.Targets = []Target{{"", clean(m.Prerequisite.Min), clean(m.Prerequisite.MaxTested)}}
	}
	for _, c := range m.Capabilities.All {
		f.Capabilities = append(f.Capabilities, clean(c.Name))
	}
	for _, a := range m.Applications {
		f.Applications = append(f.Applications, Application{clean(a.ID), clean(a.Executable), clean(a.Entry), clean(a.Visual.Display)})
	}
	return nil
}

func (f *File) parseBundle(text []byte) error {
	var m bundleXML
	if err := xml.Unmarshal(trimBOM(text), &m); err != nil {
		return invalid("%s: %w", fileBundle, err)
	}
	if len(m.Packages) > maxListed {
		return invalid("%s lists more than %d packages", fileBundle, maxListed)
	}
	if err := f.identify(fileBundle, m.Identity); err != nil {
		return err
	}
	for _, p := range m.Packages {
		kind := p.Type
		if kind == "" {
			kind = "resource" // what the schema says of its absence
		}
		f.Packages = append(f.Packages, Contained{clean(p.File), clean(kind), clean(p.Version), clean(p.Arch), clean(p.Resource), targets(p.Targets)})
	}
	return nil
}

// What the schema's types ST_PackageName, ST_VersionQuad and ST_Architecture
// take.
var (
	packageName = regexp.MustCompile(`^[-.A-Za-z0-9]{3,50}$`)
	versionQuad = regexp.MustCompile(`^(0|[1-9][0-9]{0,4})(\.(0|[1-9][0-9]{0,4})){3}$`)
	archs       = regexp.MustCompile(`^(x64|x86|x86a64|arm64|arm|neutral)$`)
)

func (f *File) identify(file string, id identity) error {
	switch {
	case !packageName.MatchString(id.Name):
		return invalid("%s: %.60q is no package name", file, id.Name)
	case !versionQuad.MatchString(id.Version):
		return invalid("%s: %.60q is no version of four numbers", file, id.Version)
	case id.Publisher == "" || len(id.Publisher) > 8192 || clean(id.Publisher) != id.Publisher:
		return invalid("%s names no publisher", file)
	}
	f.Name, f.Version, f.Publisher, f.Resource = id.Name, id.Version, id.Publisher, clean(id.ResourceID)
	return nil
}

func targets(in []targetXML) []Target {
	var out []Target
	for _, t := range in {
		out = append(out, Target{clean(t.Name), clean(t.Min), clean(t.MaxTested)})
	}
	return out
}

func trimBOM(text []byte) []byte { return []byte(strings.TrimPrefix(string(text), "\ufeff")) }

// clean makes a vendor's text fit for a line: no control characters.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s))
}
