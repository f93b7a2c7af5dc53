// Package coverage says how much of what tenants have a test matrix stands for:
// which devices run a system that some environment tests on.
//
// Consoles tell a build number and test environments have a name, so a table
// of builds stands between the two. What the table does not know is shown by its
// number and counts as not covered: a new system is news.
package coverage

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Share is how many devices have one operating system, and the environments
// that test on it.
type Share struct {
	Platform     string   `json:"platform"`
	OS           string   `json:"os"` // "Windows 11 23H2", "macOS 15", or a version that no name is known for
	Devices      int      `json:"devices"`
	Environments []string `json:"environments"` // by name, sorted; empty: nothing is tested there
}

// A Report is the devices of an inventory, by system.
type Report struct {
	Devices int     `json:"devices"`
	Covered int     `json:"covered"` // devices with at least one environment
	Systems []Share `json:"systems"` // most devices first
	Models  []Share `json:"models"`  // by hardware model, where an environment names hardware
}

// Percent is the share of devices that are covered, 0 for no devices.
func (r Report) Percent() float64 {
	if r.Devices == 0 {
		return 0
	}
	return 100 * float64(r.Covered) / float64(r.Devices)
}

// Of counts an inventory, each device of which is there once, against the
// environments by name.
func Of(environments map[string]fleet.Environment, inventory map[fleet.TenantID][]fleet.InventoryRow) Report {
	type system struct{ platform, name string }
	systems, models := map[system]int{}, map[system]int{}
	out := Report{Systems: []Share{}, Models: []Share{}}
	for _, rows := range inventory {
		for _, d := range rows {
			out.Devices++
			systems[system{d.Platform, NameOf(d.Platform, d.OSBuild)}]++
			models[system{d.Platform, d.Attributes["model"]}]++
		}
	}
	for s, devices := range systems {
		share := Share{s.platform, s.name, devices, named(environments, func(e fleet.Environment) bool { return tests(e, s.platform, s.name) })}
		if len(share.Environments) > 0 {
			out.Covered += devices
		}
		out.Systems = append(out.Systems, share)
	}
	if slices.ContainsFunc(slices.Collect(maps.Values(environments)), func(e fleet.Environment) bool { return e.Hardware != "" }) {
		for m, devices := range models {
			if m.name != "" {
				out.Models = append(out.Models, Share{m.platform, m.name, devices, named(environments, func(e fleet.Environment) bool {
					return e.Platform == m.platform && strings.EqualFold(e.Hardware, m.name)
				})})
			}
		}
	}
	for _, list := range [][]Share{out.Systems, out.Models} {
		slices.SortFunc(list, func(a, b Share) int {
			return cmp.Or(cmp.Compare(b.Devices, a.Devices), strings.Compare(a.Platform, b.Platform), strings.Compare(a.OS, b.OS))
		})
	}
	return out
}

func named(environments map[string]fleet.Environment, fits func(fleet.Environment) bool) []string {
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(environments)) {
		if fits(environments[name]) {
			out = append(out, name)
		}
	}
	return out
}

// tests reports whether an environment stands for a system: by its own name
// ("Windows 11 24H2"), or by that of all its versions ("Windows 11"). A
// simulation and Wine are no system that a device has.
func tests(e fleet.Environment, platform, name string) bool {
	if e.Platform != platform || e.Runner.Local == "simulated" || e.Runner.Local == "wine" {
		return false
	}
	if platform == "linux" { // consoles tell a version, and no distribution
		words := strings.Fields(e.OS)
		return len(words) > 1 && (words[len(words)-1] == name || strings.HasPrefix(name, words[len(words)-1]+"."))
	}
	return strings.EqualFold(e.OS, name) || len(name) > len(e.OS) && strings.EqualFold(e.OS+" ", name[:len(e.OS)+1])
}

// builds are the names of Windows by build number (Microsoft: "Windows 10 release
// information", "Windows 11 release information", "Windows Server release
// information"). A build that is client and server is named as the client, which
// is what such consoles manage.
var builds = map[string]string{
	"10240": "Windows 10 1507", "10586": "Windows 10 1511", "14393": "Windows 10 1607", "15063": "Windows 10 1703", "16299": "Windows 10 1709",
	"17134": "Windows 10 1803", "17763": "Windows 10 1809", "18362": "Windows 10 1903", "18363": "Windows 10 1909", "19041": "Windows 10 2004",
	"19042": "Windows 10 20H2", "19043": "Windows 10 21H1", "19044": "Windows 10 21H2", "19045": "Windows 10 22H2", "20348": "Windows Server 2022",
	"22000": "Windows 11 21H2", "22621": "Windows 11 22H2", "22631": "Windows 11 23H2", "26100": "Windows 11 24H2", "26200": "Windows 11 25H2",
}

// NameOf is the name of a system by the version that a console tells: "10.0.22631.4460"
// is "Windows 11 23H2", "15.3.1" is "macOS 15". A version that has no name here
// stays as it is.
func NameOf(platform, version string) string {
	parts := strings.Split(version, ".")
	switch {
	case platform == "windows" && len(parts) >= 3 && builds[parts[2]] != "":
		return builds[parts[2]]
	case platform == "macos" && parts[0] == "10" && len(parts) > 1:
		return "macOS 10." + parts[1]
	case platform == "macos" && parts[0] != "":
		return "macOS " + parts[0]
	}
	return version
}
