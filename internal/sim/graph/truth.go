package graph

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Installed is what version of a package each Windows device of a tenant has at
// an instant, by its object in the directory: "" of one that has none. It is what
// is true, whatever the service was told of it.
func (s *Server) Installed(directory string, id fleet.PackageID, now time.Time) map[string]string {
	t := s.tenants[directory]
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var apps []*app
	for _, a := range t.sortedApps() {
		if slices.ContainsFunc(a.History, func(h epoch) bool { return h.Package == id }) {
			apps = append(apps, a)
		}
	}
	out := map[string]string{}
	for _, d := range t.devices {
		if cmp.Or(d.OS, "Windows") != "Windows" {
			continue
		}
		out[d.object] = t.lived(d, id, apps, now).has.version
	}
	return out
}

// lived is a device's life with one package until an instant.
func (t *tenant) lived(d *device, id fleet.PackageID, apps []*app, now time.Time) *run {
	r := &run{t: t, d: d, id: id, apps: apps, has: program{version: d.Installed[id]}, told: map[string]status{}}
	for _, at := range r.checkIns(now) {
		r.checkIn(at)
	}
	return r
}
