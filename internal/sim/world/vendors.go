package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// installer is what the vendor ships as a version: a program of some kilobytes
// with a version resource.
func (a app) installer(version string) vendors.Content {
	return vendors.Installer(a.name, a.vendor, version, 48<<10)
}

// published is everything the world's vendors publish. The player's vendor
// takes its newest release back: from then on its feed tells an older one.
func published() vendors.Data {
	var data vendors.Data
	for _, a := range apps() {
		if a.feed == "github" {
			data.GitHub = append(data.GitHub, a.repository())
			continue
		}
		for _, v := range []struct {
			version string
			shown   vendors.Shown
		}{
			{a.before, vendors.Shown{At: began.AddDate(0, 0, -20), Until: publishedAt}},
			{a.found, vendors.Shown{At: publishedAt}},
		} {
			text := fmt.Sprintf("{\"product\": %q, \"version\": %q, \"published\": %q}\n", a.name, v.version, v.shown.At.Format(time.RFC3339))
			data.Pages = append(data.Pages, vendors.Page{Shown: v.shown, Host: a.host, Path: "/" + a.slug() + "/latest.json", Content: vendors.Text(text)})
			_, file, _ := strings.Cut(strings.TrimPrefix(a.address(v.version), "https://"), "/")
			shown := vendors.Shown{At: v.shown.At} // old downloads stay
			data.Pages = append(data.Pages, vendors.Page{Shown: shown, Host: a.host, Path: "/" + file, Content: a.installer(v.version)})
		}
	}
	return data
}

// repository is an app's releases on GitHub.
func (a app) repository() vendors.Repository {
	release := func(version string, shown vendors.Shown) vendors.Release {
		file := strings.ReplaceAll(a.file, "{version}", version)
		return vendors.Release{Shown: shown, Tag: "v" + version, Assets: map[string]vendors.Content{file: a.installer(version)}}
	}
	before := vendors.Shown{At: began.AddDate(0, 0, -20)}
	found := vendors.Shown{At: publishedAt}
	if a.backwards() {
		before.Until = publishedAt
		found.At = began.AddDate(0, 0, -50)
	}
	return vendors.Repository{Name: string(a.id), Releases: []vendors.Release{release(a.before, before), release(a.found, found)}}
}

// backwards reports whether the app's feed goes back to an older version.
func (a app) backwards() bool { return a.id == "tailspin/player" }

// fleet are the devices of a tenant: Windows 11 of three builds and four
// models, all with the versions that the fleet has.
func (t tenant) fleet(seed int64) []graph.Device {
	installed := map[fleet.PackageID]string{policyID: "1"}
	for _, a := range apps() {
		installed[a.id] = a.before
	}
	builds := []string{"10.0.22631.4460", "10.0.26100.2314", "10.0.26200.6899"}
	models := []string{"Latitude 5450", "ThinkPad T14", "EliteBook 840", "Surface Pro 11"}
	out := make([]graph.Device, t.devices)
	for i := range out {
		name := fmt.Sprintf("%s-%03d", t.id.Slug(), i+1)
		out[i] = graph.Device{
			Name: name, OSVersion: builds[pick(seed, len(builds), "build", name)], Model: models[pick(seed, len(models), "model", name)],
			Department: []string{"office", "finance", "field"}[pick(seed, 3, "department", name)], Zone: t.zone, Installed: installed, Software: t.software(seed, name),
		}
	}
	return out
}

// pick is a number below n that follows from the seed and the names.
func pick(seed int64, n int, parts ...string) int {
	return min(n-1, int(chance(seed, parts...)*float64(n)))
}
