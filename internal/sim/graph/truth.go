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
	apps := t.appsOf(id)
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

// appsOf are the apps that ever were of a package, those that were deleted since
// among them.
func (t *tenant) appsOf(id fleet.PackageID) (out []*app) {
	for _, a := range slices.Concat(oldestFirst(t.gone), t.sortedApps()) {
		if slices.ContainsFunc(a.History, func(h epoch) bool { return h.Package == id }) {
			out = append(out, a)
		}
	}
	return out
}

// Lives are what the devices of all tenants have done, in numbers. A device that
// tries an installation again counts again where it had reason to.
type Lives struct {
	Decrypted int `json:"decrypted"` // contents, each decrypted and its folder read when it was committed
	Detected  int `json:"detected"`  // times that the detection rules of an app were evaluated on a device
	Installed int `json:"installed"` // installations that detection confirmed
	Failed    int `json:"failed"`    // installations that failed
	Silent    int `json:"silent"`    // devices that are off
	Removed   int `json:"removed"`   // removals
	Back      int `json:"back"`      // installations of a version that the device had had before
}

func (l *Lives) add(o Lives) {
	l.Detected, l.Installed, l.Failed = l.Detected+o.Detected, l.Installed+o.Installed, l.Failed+o.Failed
	l.Removed, l.Back = l.Removed+o.Removed, l.Back+o.Back
}

// Lives counts until an instant.
func (s *Server) Lives(now time.Time) (out Lives) {
	for _, t := range s.tenants {
		t.mu.Lock()
		t.live(now, &out)
		t.mu.Unlock()
	}
	return out
}

func (t *tenant) live(now time.Time, out *Lives) {
	packages := map[fleet.PackageID]bool{}
	for _, a := range slices.Concat(oldestFirst(t.gone), t.sortedApps()) {
		for _, e := range a.History {
			packages[e.Package] = true
		}
		for _, c := range a.Versions {
			for _, f := range c.Files {
				if f.State == stateCommitted {
					out.Decrypted++
				}
			}
		}
	}
	for _, d := range t.devices {
		if t.off(d, now) {
			out.Silent++
		}
		if cmp.Or(d.OS, "Windows") != "Windows" {
			continue
		}
		for id := range packages {
			out.add(t.lived(d, id, t.appsOf(id), now).did)
		}
	}
}
