package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestServes is which platforms a console delivers a package to.
func TestServes(t *testing.T) {
	for _, tt := range []struct {
		platform, kind string
		want           bool
	}{
		{"windows", "msi", true}, {"windows", "store", true}, {"macos", "pkg", true}, {"macos", "dmg", true},
		{"macos", "portable", false}, {"linux", "deb", false},
	} {
		pkg := fleet.Package{Installers: map[string]fleet.Installer{"a": {Platform: tt.platform, Type: tt.kind}}}
		for _, platform := range []string{"windows", "macos", "linux"} {
			if got := rollout.Serves(pkg, platform); got != (tt.want && platform == tt.platform) {
				t.Errorf("%s for %s on %s: %v", tt.kind, tt.platform, platform, got)
			}
		}
	}
}

// TestKeptToWindows: what no script of packmill's runs keeps to no window.
func TestKeptToWindows(t *testing.T) {
	window := func(what string) fleet.Tenant {
		return fleet.Tenant{Windows: map[string]fleet.Window{"n": {On: []string{"Sun"}, From: "02:00", Until: "05:00", For: []string{what}}}}
	}
	mac := fleet.Installer{Platform: "macos", Type: "pkg"}
	for name, tt := range map[string]struct {
		tenant fleet.Tenant
		in     fleet.Installer
		want   bool
	}{
		"no windows": {fleet.Tenant{}, mac, true}, "windows for reboots": {window("reboot"), mac, true}, "windows": {window("install"), mac, false},
		"a store's app": {window("install"), fleet.Installer{Platform: "windows", Type: "store"}, false},
		"a program":     {window("install"), fleet.Installer{Platform: "windows", Type: "exe"}, true},
	} {
		if got := rollout.KeptToWindows(tt.tenant, tt.in); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNoStartIsPushedLate: what devices take as soon as they hear of it is pushed
// when it is to begin, also by a tenant's own clock; the rest is pushed before.
func TestNoStartIsPushedLate(t *testing.T) {
	opens := time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		kind  fleet.Installer
		local bool
		want  time.Time // pushed from, the zero time for as soon as the wave has started
	}{
		"windows":      {fleet.Installer{Platform: "windows", Type: "exe"}, false, time.Time{}},
		"macOS":        {fleet.Installer{Platform: "macos", Type: "pkg"}, false, opens},
		"a disk image": {fleet.Installer{Platform: "macos", Type: "dmg"}, false, opens},
		"the store":    {fleet.Installer{Platform: "windows", Type: "store"}, false, opens},
		"local time":   {fleet.Installer{Platform: "macos", Type: "pkg"}, true, opens.Add(-3 * time.Hour)},
	} {
		repo := baseRepo()
		edit(tool, func(p *fleet.Package) { p.Installers = map[string]fleet.Installer{"a": tt.kind} })(&world{repo: repo})
		tenant(own, func(t *fleet.Tenant) { t.Windows, t.Zone = nil, "Europe/Helsinki" })(&world{repo: repo})
		row := fleet.PlanRow{Tenant: own, Package: tool, To: "2.0", NotBefore: opens, Deadline: opens.Add(4 * time.Hour), LocalTime: tt.local}
		now := opens.Add(-6 * time.Hour)
		got := rollout.TimingOf(repo, w47, repo.Waves[0], row, rollout.Consent{Until: opens.Add(24 * time.Hour)}, now)
		if !got.Push.Equal(tt.want) || got.Due(now) != tt.want.IsZero() || !got.Opens.Equal(opens) || !got.Due(opens) {
			t.Errorf("%s: %+v, want from %s", name, got, tt.want)
		}
	}
}
