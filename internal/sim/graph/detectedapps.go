package graph

import (
	"cmp"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A detected app is a program of one version and the devices that have it, as
// the service counts them from what devices told at their check-ins.
type detected struct {
	Software
	platform string
	size     int64
	devices  []*device
}

// id is of the service's form, 64 hexadecimal digits.
func (d detected) id(s *Server) string {
	h := s.hash("detected", d.Name, d.Publisher, d.Version, d.platform)
	return hex.EncodeToString(h[:])
}

// inventory is what devices told of their programs until now, by the id of the
// detected app.
func (t *tenant) inventory(now time.Time) map[string]*detected {
	known := map[fleet.PackageID]bool{}
	for _, a := range slices.Concat(oldestFirst(t.gone), t.sortedApps()) {
		for _, e := range a.History {
			known[e.Package] = true
		}
	}
	apps := map[fleet.PackageID][]*app{}
	for id := range known {
		apps[id] = t.appsOf(id)
	}
	out := map[string]*detected{}
	for _, d := range t.byManaged() {
		at, alive := t.lastCheckIn(d, now.Add(-t.reportLag(d)))
		if !alive {
			continue
		}
		for _, s := range t.programsOf(d, apps, at) {
			found := detected{Software: s, platform: platformOf(d)}
			id := found.id(t.s)
			if out[id] == nil {
				found.size = int64(t.s.upTo(500<<20, "size", s.Name))
				out[id] = &found
			}
			out[id].devices = append(out[id].devices, d)
		}
	}
	return out
}

func platformOf(d *device) string {
	if cmp.Or(d.OS, "Windows") == "Windows" {
		return "windows"
	}
	if d.OS == "macOS" {
		return "macOS"
	}
	return "unknown"
}

// programsOf is what a device has at an instant: what it came with, what apps
// made of that, and what is none of packmill's business.
func (t *tenant) programsOf(d *device, apps map[fleet.PackageID][]*app, at time.Time) []Software {
	out := slices.Clone(d.Software)
	ids := map[fleet.PackageID]bool{}
	for id := range apps {
		ids[id] = true
	}
	for id := range d.Installed {
		ids[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		r := &run{t: t, d: d, id: id, apps: apps[id], has: program{version: d.Installed[id]}, told: map[string]status{}}
		if cmp.Or(d.OS, "Windows") == "Windows" {
			for _, when := range r.checkIns(at) {
				r.checkIn(when)
			}
		}
		if r.has.version == "" {
			continue
		}
		s := t.s.o.Named(id)
		for _, a := range apps[id] {
			s.Name, s.Publisher = text(a.Props, "displayName"), text(a.Props, "publisher")
		}
		if s.Name == "" {
			continue // a configuration, which no list of programs shows
		}
		s.Version = r.has.version
		out = append(out, s)
	}
	return out
}

// detectedPage is how many detected apps the service puts on a page.
const detectedPage = 50

func listDetected(r *request) (reply, error) {
	out := []map[string]any{}
	all := r.t.inventory(r.t.s.o.Now())
	for _, id := range slices.Sorted(maps.Keys(all)) {
		a := all[id]
		res := map[string]any{
			"id": id, "displayName": a.Name, "version": a.Version, "publisher": a.Publisher, "platform": a.platform,
			"sizeInByte": a.size, "deviceCount": len(a.devices),
		}
		match, err := filter(r.URL.Query(), res)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, res))
		}
	}
	return page(r, out, detectedPage, 1000)
}

func listDetectedDevices(r *request) (reply, error) {
	now := r.t.s.o.Now()
	a := r.t.inventory(now)[r.PathValue("id")]
	if a == nil {
		return reply{}, fail(http.StatusNotFound, "ResourceNotFound", "detectedApp was not found")
	}
	out := []map[string]any{}
	for _, d := range a.devices {
		seen, _ := r.t.lastCheckIn(d, now)
		out = append(out, selected(r, d.managedDevice(seen)))
	}
	return page(r, out, 100, 1000)
}
