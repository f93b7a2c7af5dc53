package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// scoopFile is the part of a Scoop manifest that is read
// (github.com/ScoopInstaller/Scoop/wiki/App-Manifests).
type scoopFile struct {
	Version  string               `json:"version"`
	Homepage string               `json:"homepage"`
	Check    json.RawMessage      `json:"checkver"`
	Archs    map[string]scoopArch `json:"architecture"`
	Update   scoopUpdate          `json:"autoupdate"`
	scoopArch
}

// scoopArch are the values of one processor, or of all.
type scoopArch struct {
	URL       oneOrMore       `json:"url"`
	Dir       oneOrMore       `json:"extract_dir"`
	Bin       json.RawMessage `json:"bin"`
	Inno      bool            `json:"innosetup"`
	Installer scoopInstaller  `json:"installer"`
}

type scoopInstaller struct {
	File string    `json:"file"`
	Args oneOrMore `json:"args"`
}

type scoopUpdate struct {
	URL   oneOrMore `json:"url"`
	Archs map[string]struct {
		URL oneOrMore `json:"url"`
	} `json:"architecture"`
}

// scoopCheck is checkver when it is no mere text.
type scoopCheck struct {
	GitHub      string          `json:"github"`
	SourceForge json.RawMessage `json:"sourceforge"`
	URL         string          `json:"url"`
	Regex       string          `json:"regex"`
	Re          string          `json:"re"`
	JSONPath    string          `json:"jsonpath"`
	JP          string          `json:"jp"`
	XPath       string          `json:"xpath"`
	Replace     string          `json:"replace"`
	Script      json.RawMessage `json:"script"`
}

// scoopArchs are Scoop's words for processors, in the order they are read.
var scoopArchs = []struct{ theirs, ours string }{{"64bit", "x64"}, {"arm64", "arm64"}, {"32bit", "x86"}}

// Scoop reads a Scoop manifest. name says where it was read; the file's name is
// that of the application.
func Scoop(name string, data []byte) (*fleet.Manifest, error) {
	var f scoopFile
	if err := decodeJSON(data, &f); err != nil {
		return nil, err
	}
	if f.Version == "" || len(f.URL) == 0 && len(f.Archs) == 0 {
		return nil, errors.New("is no Scoop manifest: version and url must be there")
	}
	id := strings.TrimSuffix(path.Base(name), ".json")
	m := &fleet.Manifest{Kind: fleet.ManifestScoop, Read: []string{name}, ID: id, Name: id, Version: f.Version, Homepage: f.Homepage}
	if err := f.check(m); err != nil {
		return nil, err
	}
	for _, arch := range scoopArchs {
		one, ok := f.Archs[arch.theirs]
		if !ok {
			continue
		}
		template := f.Update.Archs[arch.theirs].URL.first()
		if template == "" {
			template = f.Update.URL.first()
		}
		m.Installers = append(m.Installers, f.offer(one, arch.ours, template))
	}
	if len(m.Installers) == 0 {
		m.Installers = append(m.Installers, f.offer(f.scoopArch, "universal", f.Update.URL.first()))
	}
	for i := range m.Installers {
		if err := checkOffer(&m.Installers[i]); err != nil {
			return nil, err
		}
	}
	return m, texts(map[string]*string{"name": &m.ID, "version": &m.Version, "homepage": &m.Homepage})
}

// offer makes one installer. Scoop unpacks installers rather than running them,
// so the file's name says what it is, and little says how it is run.
func (f scoopFile) offer(one scoopArch, arch, template string) fleet.Offer {
	if len(one.URL) == 0 {
		one.URL = f.URL
	}
	if len(one.Dir) == 0 {
		one.Dir = f.Dir
	}
	if len(one.Bin) == 0 {
		one.Bin = f.Bin
	}
	if one.Installer.File == "" && len(one.Installer.Args) == 0 {
		one.Installer = f.Installer
	}
	address, renamed, _ := strings.Cut(one.URL.first(), "#/")
	template, _, _ = strings.Cut(template, "#/")
	o := fleet.Offer{Platform: "windows", Arch: arch, URL: address, Template: template}
	program := strings.ReplaceAll(firstProgram(one.Bin), `\`, "/")
	switch strings.ToLower(path.Ext(fileOf(address))) {
	case ".msi":
		o.Type = "msi"
	case ".msix", ".appx", ".msixbundle", ".appxbundle":
		o.Type = "msix"
	case ".exe":
		o.Type = "portable"
		switch {
		case one.Inno || f.Inno:
			o.Type = "inno"
		case one.Installer.File != "" || len(one.Installer.Args) > 0 || strings.HasPrefix(renamed, "dl.") || strings.HasSuffix(renamed, ".7z"):
			o.Type, o.Silent = "exe", strings.Join(one.Installer.Args, " ")
		}
	case ".zip":
		o.Type = "archive"
		if program != "" {
			o.Type, o.Member = "portable", path.Join(one.Dir.first(), program)
		}
	default:
		o.Type = "archive"
	}
	return o
}

// firstProgram is the first entry of bin: a text, or a list of texts and of lists
// that begin with one.
func firstProgram(bin json.RawMessage) string {
	var list []json.RawMessage
	var name string
	for range 3 {
		if len(bin) == 0 || json.Unmarshal(bin, &name) == nil {
			return name
		}
		if json.Unmarshal(bin, &list) != nil || len(list) == 0 {
			return ""
		}
		bin, list = list[0], nil
	}
	return ""
}

// check reads checkver: "github", a regular expression for the homepage, or an
// object.
func (f scoopFile) check(m *fleet.Manifest) error {
	if len(f.Check) == 0 || string(f.Check) == "null" {
		return nil
	}
	var word string
	c := &fleet.ScoopCheck{}
	m.Check = c
	if json.Unmarshal(f.Check, &word) == nil {
		switch word {
		case "github":
			c.GitHub = f.Homepage
		case "sourceforge":
			c.Other = "sourceforge without a project"
		default:
			c.URL, c.Regex = f.Homepage, word
		}
		return texts(map[string]*string{"checkver": &c.Regex, "homepage": &c.URL})
	}
	var o scoopCheck
	if err := json.Unmarshal(f.Check, &o); err != nil {
		return fmt.Errorf("checkver: %w", err)
	}
	*c = fleet.ScoopCheck{GitHub: o.GitHub, URL: o.URL, Regex: o.Regex + o.Re, JSONPath: o.JSONPath + o.JP, XPath: o.XPath, Replace: o.Replace}
	if o.Regex != "" && o.Re != "" || o.JSONPath != "" && o.JP != "" {
		return errors.New("checkver says the same thing twice")
	}
	if len(o.Script) > 0 {
		c.Other = "script"
	}
	if c.URL == "" && c.GitHub == "" {
		c.URL = f.Homepage
	}
	if len(o.SourceForge) > 0 && json.Unmarshal(o.SourceForge, &c.SourceForge) != nil {
		var project struct{ Project, Path string }
		if err := json.Unmarshal(o.SourceForge, &project); err != nil {
			return fmt.Errorf("checkver: sourceforge: %w", err)
		}
		c.SourceForge = project.Project + "/" + strings.Trim(project.Path, "/")
	}
	return texts(map[string]*string{
		"checkver's github": &c.GitHub, "checkver's sourceforge": &c.SourceForge, "checkver's url": &c.URL, "checkver's regex": &c.Regex,
		"checkver's jsonpath": &c.JSONPath, "checkver's xpath": &c.XPath, "checkver's replace": &c.Replace,
	})
}
