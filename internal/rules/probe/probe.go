package probe

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Waiting is what a probe prints, alone on the first line of its output, when
// nothing is known of the release's health: it is not there yet, or the device
// has only just started.
const Waiting = "packmill: nothing is known yet"

// Signals are what a wave's gate judges a package's devices by, sorted: what the
// gate lists, as far as the package has it; without a list the installation and
// all probes that the package declares. What Windows Update delivers is judged by
// its installation alone: a script on the device cannot tell since when it is
// there.
func Signals(g fleet.Gate, pkg fleet.Package) []string {
	if pkg.ByWindowsUpdate() {
		return []string{fleet.SignalInstall}
	}
	has := map[string]bool{fleet.SignalInstall: true}
	for name := range pkg.Health {
		has[name] = true
	}
	if len(g.Signals) == 0 {
		return slices.Sorted(maps.Keys(has))
	}
	has[fleet.SignalServices] = has[fleet.SignalServices] || len(pkg.Tests.Services) > 0
	has[fleet.SignalCrash] = has[fleet.SignalCrash] || len(programs(pkg)) > 0
	has[fleet.SignalBoot] = true
	listed := slices.DeleteFunc(slices.Clone(g.Signals), func(name string) bool { return !has[name] })
	slices.Sort(listed)
	return slices.Compact(listed)
}

// Probes are the signals that a script on the device tells, sorted. There are
// none where nothing of a package is for Windows.
func Probes(g fleet.Gate, pkg fleet.Package) []string {
	if _, ok := windows(pkg); !ok {
		return nil
	}
	return slices.DeleteFunc(Signals(g, pkg), func(name string) bool { return name == fleet.SignalInstall })
}

// Watched reports whether any wave may have left probes of a package on
// devices.
func Watched(waves []fleet.Wave, pkg fleet.Package) bool {
	return slices.ContainsFunc(waves, func(w fleet.Wave) bool { return len(Probes(w.Gate, pkg)) > 0 })
}

// Every is how often a probe runs on a device.
func Every(pkg fleet.Package, name string) fleet.Duration {
	if p, declared := pkg.Health[name]; declared && p.Every > 0 {
		return p.Every
	}
	return hourly
}

const hourly = fleet.Duration(3600e9)

// windows is the installer that devices get: x64 before others, as consoles are
// given it. A configuration by scripts has none and is for Windows all the same.
func windows(pkg fleet.Package) (key string, ok bool) {
	for _, k := range pkg.InstallerKeys() {
		if i := pkg.Installers[k]; i.Platform == "windows" && (key == "" || i.Arch == "x64" && pkg.Installers[key].Arch != "x64") {
			key = k
		}
	}
	for _, s := range pkg.Settings {
		ok = ok || s.Platform() == "windows"
	}
	return key, ok || key != ""
}

// hosts are programs of Windows that others are started by: their crashes say
// nothing of a package.
func hosts() []string {
	return []string{"cmd.exe", "cscript.exe", "msiexec.exe", "powershell.exe", "rundll32.exe", "svchost.exe", "wscript.exe"}
}

// programs are the file names of a package's programs, in lower case and
// sorted, as far as its rules name them: a crash is told by the file's name.
func programs(pkg fleet.Package) []string {
	found := map[string]bool{}
	add := func(file string) {
		name := strings.ToLower(path.Base(strings.ReplaceAll(file, `\`, "/")))
		name = strings.TrimLeft(name, `"`)
		if strings.HasSuffix(name, ".exe") && name != ".exe" && !slices.Contains(hosts(), name) {
			found[name] = true
		}
	}
	for _, i := range pkg.Installers {
		if i.Platform != "windows" {
			continue
		}
		for _, d := range i.Detect {
			if d.File != nil {
				add(d.File.Path)
			}
		}
	}
	if launch := strings.ToLower(pkg.Tests.Launch); strings.Contains(launch, ".exe") {
		add(launch[:strings.Index(launch, ".exe")+len(".exe")])
	}
	return slices.Sorted(maps.Keys(found))
}
