package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func TestUnserved(t *testing.T) {
	const id fleet.PackageID = "p/a"
	all := []fleet.Assignment{{Intent: "required", Group: "all devices"}}
	pkg := fleet.Package{ID: id, Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Restart: "never"}}}
	restarts := fleet.Package{ID: id, Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Restart: "byExitCode"}}}
	tenant := func(p fleet.Policy, a []fleet.Assignment) fleet.Tenant {
		return fleet.Tenant{Packages: map[fleet.PackageID][]fleet.Assignment{id: a}, Policy: p}
	}
	windowed := func(what string) fleet.Tenant {
		t := tenant(fleet.Policy{Reboot: "windowOnly"}, all)
		t.Windows = map[string]fleet.Window{"w": {On: []string{"Sun"}, From: "02:00", Until: "04:00", For: []string{what}}}
		return t
	}
	as := func(kind, account string) fleet.Package {
		return fleet.Package{ID: id, Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Type: kind, RunAs: account, Restart: "byExitCode"}}}
	}
	for name, c := range map[string]struct {
		tenant fleet.Tenant
		pkg    fleet.Package
		want   string // part of the reason, "" for none
	}{
		"plain":                       {tenant(fleet.Policy{Approval: "implicit", Reboot: "windowOnly"}, all), pkg, ""},
		"restart, any time":           {tenant(fleet.Policy{Reboot: "anytime"}, all), restarts, ""},
		"restart, in the window only": {tenant(fleet.Policy{Reboot: "windowOnly"}, all), restarts, "restarts by its exit code"},
		"no window for that":          {windowed("install"), as("msi", "system"), "no window for reboots"},
		"a window for that":           {windowed("reboot"), as("msi", "system"), ""},
		"no script for that":          {windowed("reboot"), as("msix", "system"), "no wrapper script"},
		"a Mac keeps to no window":    {windowed("install"), fleet.Package{ID: id, Installers: map[string]fleet.Installer{"mac": {Platform: "macos", Type: "pkg"}}}, "keeps this package"},
		"a Mac's window for reboots":  {windowed("reboot"), fleet.Package{ID: id, Installers: map[string]fleet.Installer{"mac": {Platform: "macos", Type: "pkg"}}}, ""},
		"Windows beside the Mac":      {windowed("install"), fleet.Package{ID: id, Installers: map[string]fleet.Installer{"mac": {Platform: "macos", Type: "pkg"}, "x64": {Platform: "windows", Type: "exe"}}}, ""},
		"nobody who may":              {windowed("reboot"), as("exe", "user"), "runs as the user"},
		"partner approves":            {tenant(fleet.Policy{Approval: "partner"}, all), pkg, ""},
		"update only":                 {tenant(fleet.Policy{}, []fleet.Assignment{{Intent: "updateOnly", Group: "all devices"}}), pkg, "updateOnly"},
		"patch, any time":             {tenant(fleet.Policy{Reboot: "anytime"}, all), patchOf(id, "always"), ""},
		"patch, in the window only":   {windowed("reboot"), patchOf(id, "maybe"), "update ring"},
		"patch that never restarts":   {windowed("reboot"), patchOf(id, "never"), ""},
	} {
		if got := unserved(c.tenant, c.pkg); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// patchOf is a patch that Windows Update delivers.
func patchOf(id fleet.PackageID, reboot string) fleet.Package {
	return fleet.Package{ID: id, Kind: "osPatch", Patch: &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11": "22631.6199"}, Reboot: reboot}}
}

func TestBlocked(t *testing.T) {
	const id fleet.PackageID = "intel/wifi"
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	until := func(pattern string, expires time.Time) fleet.Tenant {
		return fleet.Tenant{Policy: fleet.Policy{DriverBlock: map[string]fleet.Because{pattern: {Reason: "it drops calls", Expires: expires}}}}
	}
	driver := fleet.Package{ID: id, Kind: "driver", Driver: &fleet.Driver{Class: "Net"}}
	for name, c := range map[string]struct {
		tenant fleet.Tenant
		pkg    fleet.Package
		want   bool
	}{
		"this version":      {until("intel/wifi-23.*", now.AddDate(0, 0, 1)), driver, true},
		"all drivers":       {until("*", now.AddDate(0, 0, 1)), driver, true},
		"other versions":    {until("intel/wifi-22.*", now.AddDate(0, 0, 1)), driver, false},
		"a block of before": {until("intel/wifi-23.*", now), driver, false},
		"no driver":         {until("*", now.AddDate(0, 0, 1)), fleet.Package{ID: id, Kind: "application"}, false},
	} {
		why := blocked(c.tenant, c.pkg, "23.1.0", now)
		if (why != "") != c.want || c.want && !strings.Contains(why, "it drops calls") {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// TestPatchIsServedUntested: nothing but Windows Update can install it.
func TestPatchIsServedUntested(t *testing.T) {
	pkg := patchOf("microsoft/kb5068861", "always")
	if !Serves(pkg, "windows") || Serves(pkg, "linux") {
		t.Error("a patch of Windows is for Windows")
	}
	built := &fleet.Built{Files: []fleet.BuiltFile{{Installer: "update"}}}
	if !passed(pkg, built, []fleet.Tested{{Result: "skipped"}}) || passed(pkg, built, []fleet.Tested{{Result: "failed"}}) {
		t.Error("a patch waits for a cell, or passes one that failed")
	}
	if pkg.Installers = map[string]fleet.Installer{"x64": {Platform: "windows"}}; pkg.ByWindowsUpdate() || passed(pkg, built, []fleet.Tested{{Result: "skipped"}}) {
		t.Error("a patch with an installer of its own is tested")
	}
}

func TestDeviceWindows(t *testing.T) {
	days := &fleet.Holidays{Add: map[string]string{"2026-12-25": "x", "2026-11-01": "past", "2027-06-24": "far"}}
	tenant := fleet.Tenant{Zone: "Europe/Helsinki", Holidays: days, Windows: map[string]fleet.Window{
		"b": {On: []string{"Sun"}, From: "02:00", Until: "04:00", For: []string{"reboot", "install"}, Holidays: "shut"},
		"a": {On: []string{"Mon"}, From: "20:00", Until: "23:00", For: []string{"install"}},
	}}
	from := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	windows, shut, err := DeviceWindows(fleet.Week{}, tenant, from, false)
	if err != nil || len(windows) != 2 || windows[0].From != "20:00" || strings.Join(shut, " ") != "2026-12-25" {
		t.Errorf("%+v %q %v", windows, shut, err)
	}
	windows, _, err = DeviceWindows(fleet.Week{}, tenant, from, true)
	if err != nil || len(windows) != 2 || len(windows[0].For) != 0 || strings.Join(windows[1].For, " ") != "reboot" {
		t.Errorf("offered: %+v %v", windows, err)
	}
	delete(tenant.Windows, "b")
	if _, shut, err := DeviceWindows(fleet.Week{}, tenant, from, false); err != nil || shut != nil {
		t.Errorf("no window is shut: %q %v", shut, err)
	}
}

func TestWindow(t *testing.T) {
	opens := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // Monday 14:00 in Helsinki
	p := planner{repo: &fleet.Repository{}, opens: opens}
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	nights := fleet.Window{On: []string{"Mon", "Tue"}, From: "20:00", Until: "23:00", For: []string{"install"}}
	noon := fleet.Window{On: []string{"Mon"}, From: "13:00", Until: "15:00", For: []string{"install", "reboot"}}
	reboots := fleet.Window{On: []string{"Sun"}, From: "02:00", Until: "04:00", For: []string{"reboot"}}
	for name, c := range map[string]struct {
		windows     map[string]fleet.Window
		from, until time.Time
	}{
		"no window":               {nil, opens, time.Time{}},
		"reboots only":            {map[string]fleet.Window{"r": reboots}, opens, time.Time{}},
		"later the same day":      {map[string]fleet.Window{"n": nights}, at(23, 18), at(23, 21)},
		"open already":            {map[string]fleet.Window{"n": noon}, opens, at(23, 13)},
		"the earlier of two":      {map[string]fleet.Window{"a": nights, "b": noon}, opens, at(23, 13)},
		"reboots do not count in": {map[string]fleet.Window{"n": nights, "r": reboots}, at(23, 18), at(23, 21)},
	} {
		got := p.stay(fleet.Tenant{Zone: "Europe/Helsinki", Windows: c.windows})
		if got.why != "" || !got.opens.Equal(c.from) || !got.until.Equal(c.until) {
			t.Errorf("%s: from %v until %v %q, want %v until %v", name, got.opens, got.until, got.why, c.from, c.until)
		}
	}
	if got := p.stay(fleet.Tenant{Zone: "Europe/Nowhere", Windows: map[string]fleet.Window{"n": nights}}); got.why == "" {
		t.Error("a window in a zone that does not exist is passed over")
	}
}
