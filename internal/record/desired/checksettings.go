package desired

import (
	"encoding/hex"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// settings checks what a configuration's settings say beyond the schema.
func (x *checks) settings(file string, p fleet.Package) {
	for _, key := range slices.Sorted(maps.Keys(p.Settings)) {
		s, at := p.Settings[key], k("pkg", "settings", key)
		x.registry(file, append(slices.Clone(at), "registry"), s.Registry)
		x.settingFiles(file, append(slices.Clone(at), "files"), s.Files)
		if c := s.Scripts; c != nil {
			ends := path.Ext(c.Remediate)
			if path.Ext(c.Detect) != ends || path.Ext(c.Revert) != ends {
				x.fault(file, append(at, "scripts"), "detect, remediate and revert are not of one kind: their names end in %q, %q and %q", path.Ext(c.Detect), ends, path.Ext(c.Revert))
			}
		}
	}
}

// registry checks that data is of its value's type, and no value is set twice.
func (x *checks) registry(file string, at []string, values []fleet.RegistryValue) {
	seen := map[string]bool{}
	for i, v := range values {
		here := append(slices.Clone(at), index(i))
		if !v.Data.Fits(v.Type) {
			x.fault(file, append(here, "data"), "is no data of type %s", v.Type)
		} else if v.Type == "binary" {
			if _, err := hex.DecodeString(v.Data.Text); err != nil {
				x.fault(file, append(here, "data"), "is no row of hexadecimal digits, two to a byte")
			}
		}
		id := strings.ToLower(v.Key + "\x00" + v.Value + "\x00" + index(v.View))
		if seen[id] {
			x.fault(file, here, "the value stands here twice")
		}
		seen[id] = true
	}
}

// machinePlaces are the variables that Windows sets to places of the machine. All
// others are of an account, such as %AppData%, and another place for the system,
// or none, and then a folder that is called "%NAME%".
var machinePlaces = []string{
	"%ProgramData%", "%AllUsersProfile%", "%ProgramFiles%", "%ProgramFiles(x86)%", "%ProgramW6432%",
	"%CommonProgramFiles%", "%CommonProgramFiles(x86)%", "%CommonProgramW6432%", "%Public%", "%SystemDrive%", "%SystemRoot%", "%WinDir%",
}

// machineless is the first variable in a path on Windows that stands for no place
// of the machine, "" where there is none.
func machineless(path string) string {
	for _, v := range variable.FindAllString(path, -1) {
		if !slices.ContainsFunc(machinePlaces, func(m string) bool { return strings.EqualFold(m, v) }) {
			return v
		}
	}
	return ""
}

var variable = regexp.MustCompile(`%[^%\\]*%`)

// settingFiles checks that files are of one system, none of them twice.
func (x *checks) settingFiles(file string, at []string, files []fleet.SettingFile) {
	seen := map[string]bool{}
	for i, f := range files {
		here := append(slices.Clone(at), index(i), "path")
		linux := strings.HasPrefix(f.Path, "/")
		id := f.Path
		if !linux {
			id = strings.ToLower(id)
		}
		switch {
		case linux != strings.HasPrefix(files[0].Path, "/"):
			x.fault(file, here, "is of another system than the first path")
		case strings.Contains(f.Path, "/../"), strings.HasSuffix(f.Path, "/.."), strings.Contains(f.Path, "/./"), strings.HasSuffix(f.Path, "/."),
			strings.Contains(f.Path, `\..\`), strings.HasSuffix(f.Path, `\..`):
			x.fault(file, here, "has a part \".\" or \"..\"")
		case machineless(f.Path) != "":
			x.fault(file, here, "%s is no place of the machine: the scripts run as the system, and know %s", machineless(f.Path), strings.Join(machinePlaces, ", "))
		case seen[id]:
			x.fault(file, here, "the file stands here twice")
		}
		seen[id] = true
	}
}
