package rollout

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// onward says whether a release may enter the cycle of a cut-off, and as what.
// It travels in one open cycle at a time. What a closed cycle left undone, for
// tenants that had deferred or pinned it or a wave that was missed, is carried
// on: the same artifact, with the evidence it has. What failed or was refused
// is not: that was an answer.
func onward(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID, entry fleet.Entry, cutOff time.Time) (fleet.Entry, bool) {
	var from fleet.CycleID
	for _, name := range repo.CycleIDs() {
		was, ok := repo.Cycles[name].Entries[id]
		switch {
		case !ok || was.Release != entry.Release:
			continue
		case was.Artifact != entry.Artifact || !closedCycle(repo, rec, name) || refused(repo, name):
			return entry, false
		case from == "" || repo.Cycles[from].CutOff.Before(repo.Cycles[name].CutOff):
			from = name
		}
	}
	if from == "" {
		return entry, true
	}
	if !taken(rec, id, entry.Artifact) {
		return entry, true // nobody was ever to take it
	}
	if failedOnce(rec, entry.Artifact) || !lacked(repo, rec, id, entry, cutOff) {
		return entry, false
	}
	entry.CarriedFrom = from
	return entry, true
}

// refused reports whether people refused a gate of a cycle.
func refused(repo *fleet.Repository, name fleet.CycleID) bool {
	for _, a := range repo.Approvals[name] {
		if a.Decision == "rejected" {
			return true
		}
	}
	return false
}

// taken reports whether some intent ever gave an artifact to a tenant.
func taken(rec *fleet.Record, id fleet.PackageID, artifact fleet.Digest) bool {
	return slices.ContainsFunc(rec.Intents, func(in fleet.Intent) bool {
		return in.Package == id && in.Artifact == artifact && in.Action == "assign"
	})
}

// A holding is who has an artifact already, as far as intents tell: all devices
// of a tenant where it was made stable, else those of the waves that it was
// assigned to there. A pilot is not the tenant.
type holding struct {
	whole   map[fleet.TenantID]bool
	devices map[fleet.TenantID]map[string]bool
}

// holders are those who have an artifact.
func holders(rec *fleet.Record, id fleet.PackageID, artifact fleet.Digest) holding {
	h := holding{whole: map[fleet.TenantID]bool{}, devices: map[fleet.TenantID]map[string]bool{}}
	type part struct {
		cycle  fleet.CycleID
		wave   string
		tenant fleet.TenantID
	}
	parts := map[part]bool{}
	left := map[fleet.TenantID]time.Time{} // when the package last left it
	for i := range rec.Receipts {
		if r := &rec.Receipts[i]; r.Package == id && r.Action == "remove" && r.Outcome == "done" {
			left[r.Tenant] = later(left[r.Tenant], r.At)
		}
	}
	for i := range rec.Intents {
		in := &rec.Intents[i]
		if in.Package != id || in.Artifact != artifact || in.At.Before(left[in.Tenant]) {
			continue
		}
		switch in.Action {
		case "promote":
			h.whole[in.Tenant] = true
		case "assign":
			parts[part{in.Cycle, in.Wave, in.Tenant}] = true
		}
	}
	if len(parts) == 0 {
		return h
	}
	frozen := map[part]bool{}
	for i := range rec.Members {
		m := &rec.Members[i]
		if !parts[part{m.Cycle, m.Wave, m.Tenant}] {
			continue
		}
		frozen[part{m.Cycle, m.Wave, m.Tenant}] = true
		if h.devices[m.Tenant] == nil {
			h.devices[m.Tenant] = make(map[string]bool, len(m.Devices))
		}
		for _, d := range m.Devices {
			h.devices[m.Tenant][d] = true
		}
	}
	for p := range parts {
		if !frozen[p] {
			h.whole[p.tenant] = true // nothing tells whom it reached: nobody is asked twice
		}
	}
	return h
}

// without are the devices of a tenant that have not got the artifact.
func (h holding) without(t fleet.TenantID, devices []fleet.InventoryRow) []fleet.InventoryRow {
	if h.whole[t] {
		return nil
	}
	have := h.devices[t]
	if len(have) == 0 {
		return devices
	}
	return slices.DeleteFunc(slices.Clone(devices), func(d fleet.InventoryRow) bool { return have[d.Device] })
}

// lacked reports whether a tenant that uses the package and has devices for it
// is still without the release, and would take it by the end of the week.
func lacked(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID, entry fleet.Entry, cutOff time.Time) bool {
	by := cutOff
	for _, w := range fleet.WavesIn(repo.Waves, fleet.LaneWeek) {
		if opens, err := calendar.Opens(repo.Week, calendar.CycleOf(repo.Week, cutOff), cutOff, w); err == nil {
			by = later(by, opens)
		}
	}
	pkg := repo.Packages[id]
	release := pkg.Releases[entry.Release]
	published := planner{known: firstSeen(rec)}.published(id, entry.Release, release)
	devices, has := LatestInventory(rec, time.Time{}), holders(rec, id, entry.Artifact)
	return slices.ContainsFunc(repo.TenantIDs(), func(name fleet.TenantID) bool {
		t := repo.Tenants[name]
		_, uses := t.Packages[id]
		return uses && countOn(pkg, meant(t, id, has.without(name, devices[name]))) > 0 && Excluded(calendar.CycleOf(repo.Week, cutOff), t, id, entry, release, published, by) == "" && cmp.Or(unserved(t, pkg), blocked(t, pkg, entry.Release, by)) == ""
	})
}

// inherit gives carried entries the passes of the cycle they come from: the
// same artifact passed the same wave there, and need not again.
func inherit(cycles []CycleState) {
	for i := range cycles {
		c := &cycles[i]
		for j := range c.Entries {
			e := &c.Entries[j]
			e.lineage = []fleet.CycleID{c.ID}
			for from := e.Entry.CarriedFrom; from != "" && !slices.Contains(e.lineage, from); {
				e.lineage = append(e.lineage, from)
				o := slices.IndexFunc(cycles, func(o CycleState) bool { return o.ID == from })
				from = ""
				if o < 0 {
					break
				}
				was := cycles[o].Entry(e.Package)
				if was == nil || was.Entry.Artifact != e.Entry.Artifact {
					break
				}
				for wave, v := range was.Last {
					if e.Last[wave] == nil && v.Decision == "pass" {
						e.Last[wave] = v
					}
				}
				from = was.Entry.CarriedFrom
			}
		}
	}
}
