package releases

import (
	"errors"
	"fmt"
	"strings"
)

// maxFolder is how many entries of a folder GitHub lists, and no more
// (docs.github.com/rest/repos/contents, "Get repository content").
const maxFolder = 1000

// wingetManifest is an installer manifest, or a singleton
// (github.com/microsoft/winget-cli, schemas/JSON/manifests). What the manifest
// says holds for each installer that does not say otherwise.
type wingetManifest struct {
	Version         string            `yaml:"PackageVersion" json:"PackageVersion"`
	wingetInstaller `yaml:",inline"`  // what holds for all
	Installers      []wingetInstaller `yaml:"Installers" json:"Installers"`
	Locale          struct {
		ReleaseNotes    string `json:"ReleaseNotes"`
		ReleaseNotesURL string `json:"ReleaseNotesUrl"`
	} `yaml:"-" json:"DefaultLocale"`
}

type wingetInstaller struct {
	Arch    string `yaml:"Architecture" json:"Architecture"`
	Type    string `yaml:"InstallerType" json:"InstallerType"`
	Nested  string `yaml:"NestedInstallerType" json:"NestedInstallerType"`
	Scope   string `yaml:"Scope" json:"Scope"`
	Locale  string `yaml:"InstallerLocale" json:"InstallerLocale"`
	Address string `yaml:"InstallerUrl" json:"InstallerUrl"`
	SHA256  string `yaml:"InstallerSha256" json:"InstallerSha256"`
	Date    string `yaml:"ReleaseDate" json:"ReleaseDate"`
}

// WingetFolder reads GitHub's listing of a package's folder in a repository of
// manifests: a folder for each version, and for packages whose ids go on. What
// has no digit is none of the first.
func WingetFolder(data []byte) ([]Entry, error) {
	var list []struct {
		Name string `json:"name"`
		Path string `json:"path"`
		Type string `json:"type"`
	}
	if err := decode(data, &list); err != nil {
		return nil, err
	}
	if len(list) >= maxFolder {
		return nil, fmt.Errorf("the folder has %d entries: GitHub lists no more, and the newest may be missing", len(list))
	}
	var out []Entry
	for _, f := range list {
		if f.Type == "dir" && strings.ContainsAny(f.Name, "0123456789") && named("a folder", f.Name) == nil {
			out = append(out, Entry{Version: f.Name, More: f.Path})
		}
	}
	return some(out)
}

// WingetManifest reads an installer manifest or a singleton.
func WingetManifest(data []byte) (Entry, error) {
	var m wingetManifest
	if err := unmarshalYAML(data, &m); err != nil {
		return Entry{}, err
	}
	return m.entry()
}

// WingetREST reads the manifests that a REST source has of a package
// (github.com/microsoft/winget-cli-restsource, documentation).
func WingetREST(data []byte) ([]Entry, error) {
	var answer struct {
		Data *struct {
			Versions []wingetManifest `json:"Versions"`
		} `json:"Data"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if answer.Data == nil {
		return nil, errors.New("the answer has no Data")
	}
	var out []Entry
	for _, m := range answer.Data.Versions {
		e, err := m.entry()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return some(out)
}

func (m wingetManifest) entry() (Entry, error) {
	if err := named("a manifest", m.Version); err != nil {
		return Entry{}, err
	}
	e := Entry{Version: m.Version, Notes: notes(m.Locale.ReleaseNotes), NotesURL: m.Locale.ReleaseNotesURL}
	for _, in := range m.Installers {
		in.inherit(m.wingetInstaller)
		if in.Type == "msstore" {
			continue // the store has no address
		}
		f, err := in.file()
		if err != nil {
			return Entry{}, fmt.Errorf("version %s: %w", clip(m.Version), err)
		}
		at, err := timeOr(in.Date)
		if err != nil {
			return Entry{}, err
		}
		if at.After(e.Published) {
			e.Published = at
		}
		e.Files = append(e.Files, f)
	}
	if len(e.Files) == 0 {
		return Entry{}, fmt.Errorf("the manifest of version %s lists no installer", clip(m.Version))
	}
	return e, nil
}

func (in *wingetInstaller) inherit(all wingetInstaller) {
	for _, f := range []struct {
		own *string
		all string
	}{{&in.Type, all.Type}, {&in.Nested, all.Nested}, {&in.Scope, all.Scope}, {&in.Locale, all.Locale}, {&in.Date, all.Date}} {
		if *f.own == "" {
			*f.own = f.all
		}
	}
}

func (in wingetInstaller) file() (File, error) {
	f, err := download("", in.Address)
	if err != nil {
		return File{}, err
	}
	if f.SHA256 = sha256Hex(in.SHA256); f.SHA256 == "" {
		return File{}, fmt.Errorf("InstallerSha256 of %s is no digest: %q", f.Name, clip(in.SHA256))
	}
	kind := in.Type
	if kind == "zip" {
		kind = in.Nested
	}
	f.Arch, f.Type, f.Scope, f.Language = in.Arch, wingetType(kind), in.Scope, in.Locale
	if f.Arch == "neutral" {
		f.Arch = "universal"
	}
	return f, nil
}

// wingetType is an installer type as packages spell it.
func wingetType(kind string) string {
	switch kind = strings.ToLower(kind); kind {
	case "wix":
		return "msi"
	case "burn", "inno", "nullsoft":
		return "exe"
	case "appx":
		return "msix"
	}
	return kind
}
