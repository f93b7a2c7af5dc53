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
	kin := t.kinOf(id)
	out := map[string]string{}
	for _, d := range t.devices {
		if cmp.Or(d.OS, "Windows") != "Windows" {
			continue
		}
		out[d.object] = t.lived(d, id, kin, now).has.version
	}
	return out
}

// lived is a device's life with one package until an instant, which is also one
// with the package's kin.
func (t *tenant) lived(d *device, id fleet.PackageID, family []kin, now time.Time) *run {
	var own *run
	var runs []*run
	for _, k := range family {
		r := &run{t: t, d: d, id: k.id, apps: k.apps, has: program{version: d.Installed[k.id]}, told: map[string]status{}}
		runs = append(runs, r)
		if k.id == id {
			own = r
		}
	}
	if len(runs) == 1 {
		for _, at := range own.checkIns(now) {
			own.checkIn(at)
		}
		return own
	}
	var all []time.Time
	for _, r := range runs {
		r.kin = runs
		all = append(all, r.checkIns(now)...)
	}
	slices.SortFunc(all, time.Time.Compare)
	for _, at := range slices.CompactFunc(all, time.Time.Equal) {
		for _, r := range own.ordered(at) {
			r.checkIn(at)
		}
	}
	return own
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
	family := map[fleet.PackageID][]kin{}
	for id := range packages {
		family[id] = t.kinOf(id)
	}
	for _, d := range t.devices {
		if t.off(d, now) {
			out.Silent++
		}
		if cmp.Or(d.OS, "Windows") != "Windows" {
			continue
		}
		for id := range packages {
			out.add(t.lived(d, id, family[id], now).did)
		}
	}
}
