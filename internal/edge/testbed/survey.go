package testbed

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// A survey is what lies on a device, each thing as its kind and its name:
// "file /usr/bin/widget", "registry HKLM\Software\Widget\Version",
// "service Widget", "task \Widget\Update", "tcp 0.0.0.0:80".
type survey map[string]bool

// maxThings is how many things a survey takes: ten times a large system.
const maxThings = 2_000_000

// added are the things of a survey that were not there before, sorted.
func (s survey) added(before survey) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !before[name] {
			out = append(out, name)
		}
	}
	return out
}

// files adds what lies below a folder, its name inside being at. Folders that
// skip names, as they are called inside, are left out with what is in them.
func (s survey) files(system fs.FS, at string, skip func(inside string) bool) error {
	return fs.WalkDir(system, ".", func(name string, e fs.DirEntry, err error) error {
		inside := at + name
		switch {
		case err != nil || name == ".":
			return nil // what cannot be read cannot have been written by the package's user either
		case skip(inside):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			return nil // a folder alone does nothing
		case len(s) >= maxThings:
			return failf("there are more than %d files", maxThings)
		}
		s["file "+inside] = true
		return nil
	})
}

// notable are those of added things that act without anybody's doing: services,
// tasks, what starts by itself, accounts. Each is named once, sorted.
func notable(added []string) []string {
	var out []string
	for _, thing := range added {
		kind, name, _ := strings.Cut(thing, " ")
		words := ""
		switch {
		case kind == "file" && strings.HasPrefix(name, "/"):
			words = notableUnix(name)
		case kind == "file":
			words = notableWindowsFile(name)
		case kind == "registry":
			words = notableKey(name)
		case kind == "service", kind == "task", kind == "account", kind == "autostart":
			words = thing
		}
		if words != "" {
			out = append(out, words)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// notableUnix names a file that Linux or macOS acts on: systemd.unit(5),
// cron(8), the Desktop Application Autostart Specification, launchd.plist(5).
func notableUnix(name string) string {
	dir, base := path.Split(name)
	switch {
	case strings.Contains(name, "/systemd/"):
		switch path.Ext(base) {
		case ".service", ".timer", ".socket", ".path":
		default:
			return ""
		}
		if strings.HasSuffix(dir, ".wants/") || strings.HasSuffix(dir, ".requires/") {
			return "enabled unit " + base
		}
		return "unit " + base
	case strings.HasPrefix(name, "/etc/cron"), strings.HasPrefix(name, "/var/spool/cron/"):
		return "cron job " + name
	case strings.HasPrefix(name, "/etc/init.d/"):
		return "init script " + base
	case strings.HasPrefix(name, "/etc/xdg/autostart/"):
		return "autostart entry " + base
	case strings.HasPrefix(name, "/etc/profile.d/"), strings.HasPrefix(name, "/etc/sudoers.d/"), name == "/etc/ld.so.preload":
		return "file " + name
	case strings.HasPrefix(name, "/Library/LaunchDaemons/"), strings.HasPrefix(name, "/Library/LaunchAgents/"):
		return "launchd job " + strings.TrimSuffix(base, ".plist")
	}
	return ""
}

// notableWindowsFile names a file that Windows acts on.
func notableWindowsFile(name string) string {
	folded := strings.ToLower(name)
	switch {
	case strings.HasPrefix(folded, `c:\windows\system32\tasks\`), strings.HasPrefix(folded, `c:\windows\tasks\`):
		return "task " + name[strings.LastIndexByte(name, '\\')+1:]
	case strings.Contains(folded, `\start menu\programs\startup\`):
		return "autostart entry " + name[strings.LastIndexByte(name, '\\')+1:]
	case strings.HasPrefix(folded, `c:\windows\system32\drivers\`):
		return "driver file " + name[strings.LastIndexByte(name, '\\')+1:]
	}
	return ""
}

// notableKey names a registry place that Windows acts on: "Services", the Run
// keys ("Run and RunOnce Registry Keys"), the task scheduler's cache.
func notableKey(name string) string {
	folded := strings.ToLower(name)
	for _, place := range []struct{ under, words string }{
		{`hklm\system\currentcontrolset\services\`, "service "},
		{`\microsoft\windows\currentversion\run\`, "autostart entry "},
		{`\microsoft\windows\currentversion\runonce\`, "autostart entry "},
		{`\schedule\taskcache\tree\`, "task "},
		{`\currentversion\image file execution options\`, "debugger of "},
	} {
		if i := strings.Index(folded, place.under); i >= 0 {
			rest, _, _ := strings.Cut(name[i+len(place.under):], `\`)
			return place.words + rest
		}
	}
	return ""
}
