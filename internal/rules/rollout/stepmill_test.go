package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// release makes a version the newest of a package.
func release(id fleet.PackageID, version string, r fleet.Release) fact {
	return edit(id, func(p *fleet.Package) {
		list := map[string]fleet.Release{version: r}
		for v, old := range p.Releases {
			list[v] = old
		}
		p.Releases = list
	})
}

func TestStepMill(t *testing.T) {
	wed := detectAt.Add(time.Hour)
	builds := []string{"build tool 2.0"}
	onlyTool := func(w *world) { delete(w.repo.Packages, pad) }
	seen := all(onlyTool, merged(wed, "acme/tool@2.0"), inventory(detectAt, own, aalt, berg), beat("detect", detectAt))
	ready := all(seen, built(tool, "1.0"), built(tool, "2.0"), tested(tool, "2.0", "passed"))
	try(t, []situation{
		{"a merge without a record comes before all else", all(seen, func(w *world) { w.unrecorded = []string{"c1", "c2"} }), wed,
			[]string{"record-merge c1", "record-merge c2"}, nil},
		{"devices are counted before detection, by tenant", all(onlyTool, inventory(detectAt.Add(-time.Hour), own), inventory(detectAt, aalt)), wed,
			[]string{"inventory nordic/berg", "inventory us/own", "detect", "build tool 1.0", "build tool 2.0"}, nil},
		{"detection is due since the last detect step", all(seen, func(w *world) { w.rec.Heartbeats[0].At = detectAt.Add(-time.Second) }, built(tool, "1.0"), built(tool, "2.0"), tested(tool, "2.0", "passed")), wed,
			[]string{"detect"}, nil},
		{"detection is not due again", ready, wed, nil, nil},
		{"detection is not due before the next detect step", ready, detectAt.AddDate(0, 0, 7).Add(-time.Second), nil,
			[]string{"dogfood missed: the wave would have opened at 2026-11-19 07:00Z"}},
		{"detection is due at the next detect step", ready, detectAt.AddDate(0, 0, 7),
			[]string{"inventory nordic/aalto", "inventory nordic/berg", "inventory us/own", "detect"},
			[]string{"dogfood missed"}},
		{"the newest and the way back are built", seen, wed, []string{"build tool 1.0", "build tool 2.0"}, nil},
		{"the newest is tested, the way back is not", all(seen, built(tool, "1.0"), built(tool, "2.0")), wed, []string{"test tool 2.0"}, nil},
		{"an uninstall needs no older artifact", all(seen, edit(tool, func(p *fleet.Package) { p.Rollback = "uninstall" })), wed, builds, nil},
		{"a configuration's older files are not in git", all(seen, edit(tool, func(p *fleet.Package) { p.Kind = "configuration" })), wed, builds, nil},
		{"a first release has no way back", all(seen, edit(tool, func(p *fleet.Package) { p.Releases = map[string]fleet.Release{"2.0": {Counter: 2}} })), wed, builds, nil},
		{"a baseline is not built", all(seen, release(tool, "3.0", fleet.Release{Counter: 3, Baseline: true})), wed, nil, nil},
		{"what no tenant has is not built", all(seen, func(w *world) {
			for id := range w.repo.Tenants {
				tenant(id, func(t *fleet.Tenant) { t.Packages = nil })(w)
			}
		}), wed, nil, nil},
	})
}

func TestStepOpen(t *testing.T) {
	sites := func(w *world) {
		tenant(berg, func(t *fleet.Tenant) { t.Intune = nil })(w)
		w.rec.Inventory = w.rec.Inventory[:20]
	}
	unread := func(w *world) { w.rec.Inventory = w.rec.Inventory[10:] }
	stale := func(w *world) {
		for i := range w.rec.Inventory[:10] {
			w.rec.Inventory[i].At = cutOffAt.Add(-25 * time.Hour)
		}
	}
	empty := func(w *world) {
		unread(w)
		w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: own, At: detectAt})
	}
	try(t, []situation{
		{"not before the cut-off", milled, cutOffAt.Add(-time.Second), nil, nil},
		{"at the cut-off", milled, cutOffAt, []string{"open"}, nil},
		{"up to the first wave", milled, dogfoodAt.Add(-time.Second), []string{"open"}, nil},
		{"not when the first wave would have opened", milled, dogfoodAt, nil, []string{"dogfood missed"}},
		{"not twice", opened, cutOffAt.Add(time.Hour), nil, []string{"dogfood approved"}},
		{"not without a wave", all(milled, func(w *world) { w.repo.Waves = nil }), cutOffAt, nil, nil},
		{"not before every tenant's devices are counted", all(milled, unread), cutOffAt, []string{"inventory us/own"},
			[]string{"the devices of 1 tenants are not read yet"}},
		{"nor on an inventory of the day before yesterday", all(milled, stale), cutOffAt, []string{"inventory us/own"},
			[]string{"the devices of 1 tenants are not read yet"}},
		{"one tenant that cannot be read keeps nobody back for long", all(milled, stale), cutOffAt.Add(2 * time.Hour),
			[]string{"inventory us/own", "open"}, []string{"the devices of us/own could not be read"}},
		{"a tenant without devices is read", all(milled, empty), cutOffAt, []string{"open"}, nil},
		{"a tenant without a console is not asked", all(milled, sites), cutOffAt, []string{"open"}, nil},
		{"not before the tests passed", all(milled, func(w *world) { w.rec.Tests = nil }), cutOffAt, []string{"test pad 2.0", "test tool 2.0"}, nil},
		{"not with what was merged after the cut-off", all(milled, merged(cutOffAt.Add(time.Second), "acme/tool@2.0", "acme/pad@2.0")), cutOffAt.Add(time.Hour), nil, nil},
		{"not with nothing to carry", all(milled, func(w *world) { w.rec.Tests[0].Result, w.rec.Tests[1].Result = "failed", "skipped" }), cutOffAt, nil,
			[]string{"acme/pad 2.0 stays out of every cycle: no cell passed on windows, skipped: windows-11"}},
	})
}
