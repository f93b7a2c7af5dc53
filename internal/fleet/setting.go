package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A Setting is one configuration; exactly one field is set.
type Setting struct {
	CatalogPolicy       string          `json:"catalogPolicy,omitempty"`
	DeviceConfiguration string          `json:"deviceConfiguration,omitempty"`
	CompliancePolicy    string          `json:"compliancePolicy,omitempty"`
	Profile             string          `json:"profile,omitempty"`
	For                 string          `json:"for,omitempty"` // platform of a JSON payload: windows, macos
	Scripts             *SettingScripts `json:"scripts,omitempty"`
	Registry            []RegistryValue `json:"registry,omitempty"`
	Files               []SettingFile   `json:"files,omitempty"`
}

// SettingScripts detect a setting, remediate it, and revert it.
type SettingScripts struct {
	Detect    string   `json:"detect"`
	Remediate string   `json:"remediate"`
	Revert    string   `json:"revert"`
	Every     Duration `json:"every"`
}

// A RegistryValue is a value of the Windows registry that is kept as it says.
type RegistryValue struct {
	Key   string       `json:"key"`             // below HKLM
	Value string       `json:"value,omitempty"` // "" is the key's default value
	Type  string       `json:"type"`            // string, expandString, multiString, dword, qword, binary
	Data  RegistryData `json:"data"`
	View  int          `json:"view"` // 32 or 64
}

// A SettingFile is a file that is kept as it says.
type SettingFile struct {
	Path    string `json:"path"`    // on the device: absolute, or beginning with %VARIABLE%
	Content string `json:"content"` // below the package's folder
}

// RegistryData is what a registry value holds: text of string and expandString,
// and of binary as hexadecimal digits; a number of dword and qword; a list of
// multiString. Its JSON is a string, a number or a list of strings.
type RegistryData struct {
	Text   string
	Number uint64
	List   []string
	kind   byte // the JSON it was: 's', 'n', 'l'
}

// TextData, NumberData and ListData are the three kinds of data.
func TextData(s string) RegistryData { return RegistryData{Text: s, kind: 's'} }

// NumberData is the data of a dword or qword.
func NumberData(n uint64) RegistryData { return RegistryData{Number: n, kind: 'n'} }

// ListData is the data of a multiString.
func ListData(list ...string) RegistryData { return RegistryData{List: list, kind: 'l'} }

// Fits reports whether data of this kind can be of a registry type.
func (d RegistryData) Fits(registryType string) bool {
	switch registryType {
	case "string", "expandString", "binary":
		return d.kind == 's'
	case "dword":
		return d.kind == 'n' && d.Number <= 1<<32-1
	case "qword":
		return d.kind == 'n'
	case "multiString":
		return d.kind == 'l'
	}
	return false
}

// MarshalJSON is the string, number or list.
func (d RegistryData) MarshalJSON() ([]byte, error) {
	switch d.kind {
	case 'n':
		return json.Marshal(d.Number)
	case 'l':
		return json.Marshal(append([]string{}, d.List...))
	}
	return json.Marshal(d.Text)
}

// UnmarshalJSON reads a string, a whole number that is not negative, or a list
// of strings.
func (d *RegistryData) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(data, []byte{'"'}):
		*d = RegistryData{kind: 's'}
		return json.Unmarshal(data, &d.Text)
	case bytes.HasPrefix(data, []byte{'['}):
		*d = RegistryData{kind: 'l'}
		return json.Unmarshal(data, &d.List)
	}
	*d = RegistryData{kind: 'n'}
	if err := json.Unmarshal(data, &d.Number); err != nil {
		return fmt.Errorf("registry data is a string, a whole number or a list of strings: %w", err)
	}
	return nil
}

// Platform is the platform on whose devices a setting is installed like a
// program: by scripts, its own or generated ones, or as files of a package. It
// is "" for what consoles set by other means. Scripts that end in ".sh" and
// paths that begin with "/" are Linux's.
func (s Setting) Platform() string {
	switch {
	case s.Scripts != nil && strings.HasSuffix(s.Scripts.Remediate, ".sh"),
		len(s.Files) > 0 && strings.HasPrefix(s.Files[0].Path, "/"):
		return "linux"
	case s.Scripts != nil, len(s.Registry) > 0, len(s.Files) > 0:
		return "windows"
	}
	return ""
}

// Console is the platform of the devices on which a console alone sets a
// setting; "" for what is installed like a program.
func (s Setting) Console() string {
	switch {
	case s.Profile != "":
		return "macos"
	case s.CatalogPolicy != "" || s.DeviceConfiguration != "" || s.CompliancePolicy != "":
		if s.For != "" {
			return s.For
		}
		return "windows"
	}
	return ""
}

// LinuxPackage is the name of the Debian and RPM package that packmill makes of
// a package: of the setting with the given key, or of a program where it is "".
// It is a lower-case name in both systems.
func LinuxPackage(id PackageID, setting string) string {
	name := "packmill-" + id.Slug()
	if setting != "" {
		name += "-" + setting
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// Inline is the part of a setting that stands in package.cue itself and not in a
// file: the name under which a release states its digest, and the digest. The
// name is "" where there is no such part.
func (s Setting) Inline(key string) (name string, digest Digest) {
	if len(s.Registry) == 0 && len(s.Files) == 0 {
		return "", ""
	}
	return "settings/" + key, DigestJSON(struct {
		Registry []RegistryValue
		Files    []SettingFile
	}{s.Registry, s.Files})
}

// Payload are the files below the package's folder that a setting is made of.
func (s Setting) Payload() []string {
	var out []string
	for _, name := range []string{s.CatalogPolicy, s.DeviceConfiguration, s.CompliancePolicy, s.Profile} {
		if name != "" {
			out = append(out, name)
		}
	}
	if s.Scripts != nil {
		out = append(out, s.Scripts.Detect, s.Scripts.Remediate, s.Scripts.Revert)
	}
	for _, f := range s.Files {
		out = append(out, f.Content)
	}
	return out
}
