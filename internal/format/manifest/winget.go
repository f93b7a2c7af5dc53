package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/packmill/packmill/internal/fleet"
)

// wingetFile is the part of a manifest that is read, of any of its types:
// version, installer, defaultLocale, locale, singleton.
type wingetFile struct {
	ID            string `yaml:"PackageIdentifier"`
	Version       string `yaml:"PackageVersion"`
	Type          string `yaml:"ManifestType"`
	Schema        string `yaml:"ManifestVersion"`
	DefaultLocale string `yaml:"DefaultLocale"`

	Locale     string `yaml:"PackageLocale"`
	Publisher  string `yaml:"Publisher"`
	Name       string `yaml:"PackageName"`
	PackageURL string `yaml:"PackageUrl"`

	wingetInstaller `yaml:",inline"`  // values for all installers
	Installers      []wingetInstaller `yaml:"Installers"`
}

// wingetInstaller is one entry of Installers, or the values that hold for all.
type wingetInstaller struct {
	Architecture string          `yaml:"Architecture"`
	Kind         string          `yaml:"InstallerType"`
	NestedKind   string          `yaml:"NestedInstallerType"`
	Nested       []wingetNested  `yaml:"NestedInstallerFiles"`
	URL          string          `yaml:"InstallerUrl"`
	Scope        string          `yaml:"Scope"`
	Language     string          `yaml:"InstallerLocale"`
	MinimumOS    string          `yaml:"MinimumOSVersion"`
	ProductCode  string          `yaml:"ProductCode"`
	Family       string          `yaml:"PackageFamilyName"`
	Elevation    string          `yaml:"ElevationRequirement"`
	Switches     wingetSwitches  `yaml:"InstallerSwitches"`
	Success      []string        `yaml:"InstallerSuccessCodes"`
	Returns      []wingetReturn  `yaml:"ExpectedReturnCodes"`
	Entries      []wingetEntries `yaml:"AppsAndFeaturesEntries"`
}

type wingetNested struct {
	Path string `yaml:"RelativeFilePath"`
}

type wingetSwitches struct {
	Silent string `yaml:"Silent"`
	Custom string `yaml:"Custom"`
}

type wingetReturn struct {
	Code     string `yaml:"InstallerReturnCode"`
	Response string `yaml:"ReturnResponse"`
}

type wingetEntries struct {
	Display     string `yaml:"DisplayVersion"`
	ProductCode string `yaml:"ProductCode"`
}

// Winget reads the manifests of one version of one package: the version,
// installer and default locale files, or a singleton. Names are those of the
// files; they are listed in what is read.
func Winget(files map[string][]byte) (*fleet.Manifest, error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files are more than a version has (%d are read)", len(files), MaxFiles)
	}
	var installer, locale, version *wingetFile
	var read []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := wingetParse(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(name), err)
		}
		read = append(read, name)
		switch strings.ToLower(f.Type) {
		case "installer":
			installer = f
		case "defaultlocale":
			locale = f
		case "version":
			version = f
		case "singleton":
			installer, locale = f, f
		default:
			read = read[:len(read)-1] // another language's texts
		}
	}
	if installer == nil {
		return nil, errors.New("there is no manifest of type installer or singleton")
	}
	if locale == nil {
		return nil, errors.New("there is no manifest of type defaultLocale")
	}
	for _, f := range []*wingetFile{locale, version} {
		if f != nil && (f.ID != installer.ID || f.Version != installer.Version) {
			return nil, fmt.Errorf("the manifests are of %s %s and of %s %s", installer.ID, installer.Version, f.ID, f.Version)
		}
	}
	m := &fleet.Manifest{
		Kind: fleet.ManifestWinget, Read: read, ID: installer.ID, Version: installer.Version,
		Publisher: locale.Publisher, Name: locale.Name, Homepage: locale.PackageURL,
	}
	if m.ID == "" || m.Version == "" || m.Name == "" {
		return nil, errors.New("PackageIdentifier, PackageVersion and PackageName must be there")
	}
	for i, one := range installer.Installers {
		o, err := one.over(installer.wingetInstaller).offer()
		if err != nil {
			return nil, fmt.Errorf("installer %d: %w", i+1, err)
		}
		m.Installers = append(m.Installers, o)
	}
	return m, texts(map[string]*string{"PackageIdentifier": &m.ID, "PackageVersion": &m.Version, "Publisher": &m.Publisher, "PackageName": &m.Name, "PackageUrl": &m.Homepage})
}

func wingetParse(data []byte) (*wingetFile, error) {
	if len(data) > MaxBytes {
		return nil, errLarge
	}
	var f wingetFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if major, _, _ := strings.Cut(f.Schema, "."); major != "1" {
		return nil, fmt.Errorf("ManifestVersion is %q; 1.x is read", f.Schema)
	}
	if len(f.Installers) > maxInstallers {
		return nil, fmt.Errorf("%d installers are listed; %d are read", len(f.Installers), maxInstallers)
	}
	return &f, nil
}

// over is the installer with the values for all where it has none of its own.
func (w wingetInstaller) over(all wingetInstaller) wingetInstaller {
	w.Architecture = cmp.Or(w.Architecture, all.Architecture)
	w.Kind = cmp.Or(w.Kind, all.Kind)
	w.NestedKind = cmp.Or(w.NestedKind, all.NestedKind)
	w.Scope = cmp.Or(w.Scope, all.Scope)
	w.Language = cmp.Or(w.Language, all.Language)
	w.MinimumOS = cmp.Or(w.MinimumOS, all.MinimumOS)
	w.ProductCode = cmp.Or(w.ProductCode, all.ProductCode)
	w.Family = cmp.Or(w.Family, all.Family)
	w.Elevation = cmp.Or(w.Elevation, all.Elevation)
	w.Switches.Silent = cmp.Or(w.Switches.Silent, all.Switches.Silent)
	w.Switches.Custom = cmp.Or(w.Switches.Custom, all.Switches.Custom)
	if w.Nested == nil {
		w.Nested = all.Nested
	}
	if w.Success == nil {
		w.Success = all.Success
	}
	if w.Returns == nil {
		w.Returns = all.Returns
	}
	if w.Entries == nil {
		w.Entries = all.Entries
	}
	return w
}

func (w wingetInstaller) offer() (fleet.Offer, error) {
	o := fleet.Offer{
		Platform: "windows", Arch: strings.ToLower(w.Architecture), Type: strings.ToLower(w.Kind), Scope: strings.ToLower(w.Scope),
		Language: w.Language, URL: w.URL, Silent: w.Switches.Silent, Custom: w.Switches.Custom, ProductCode: w.ProductCode,
		Family: w.Family, OS: w.MinimumOS, Elevation: w.Elevation,
	}
	if o.Arch == "neutral" {
		o.Arch = "universal"
	}
	if len(w.Success)+len(w.Returns)+len(w.Nested)+len(w.Entries) > 4*maxList {
		return o, fmt.Errorf("lists more than %d values", 4*maxList)
	}
	switch {
	case o.Type == "zip" && len(w.Nested) == 1:
		o.Type, o.Member = strings.ToLower(w.NestedKind), strings.ReplaceAll(w.Nested[0].Path, `\`, "/")
	case o.Type == "zip":
		o.Type = "archive" // of several programs, or of one that is not named
	}
	o.SuccessCodes = w.Success
	for _, r := range w.Returns {
		if o.ReturnCodes == nil {
			o.ReturnCodes = map[string]string{}
		}
		o.ReturnCodes[r.Code] = r.Response
	}
	if len(w.Entries) > 0 { // the first is the application's own
		o.Display = w.Entries[0].Display
		o.ProductCode = cmp.Or(o.ProductCode, w.Entries[0].ProductCode)
	}
	return o, checkOffer(&o)
}

// checkOffer bounds the texts of an installer.
func checkOffer(o *fleet.Offer) error {
	for i := range o.SuccessCodes {
		if err := texts(map[string]*string{"InstallerSuccessCodes": &o.SuccessCodes[i]}); err != nil {
			return err
		}
	}
	return texts(map[string]*string{
		"the architecture": &o.Arch, "the type": &o.Type, "the scope": &o.Scope, "the language": &o.Language, "the address": &o.URL,
		"the template of the address": &o.Template, "the member": &o.Member, "the silent arguments": &o.Silent, "the added arguments": &o.Custom,
		"the product code": &o.ProductCode, "the displayed version": &o.Display, "the package family": &o.Family, "the system version": &o.OS,
	})
}
