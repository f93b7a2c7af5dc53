package desired

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	weekFile  = "schedules/week.cue"
	wavesFile = "schedules/waves.cue"
)

// schedules checks week, waves, cycles, approvals, freezes and holds.
func (x *checks) schedules() {
	if !x.policyDone {
		return
	}
	if x.readable(weekFile) {
		x.week()
	}
	if x.readable(wavesFile) {
		x.waves()
		x.lanes()
	}
	for _, id := range x.repo.CycleIDs() {
		if x.files[weekFile].Path == "" || x.files[wavesFile].Path == "" {
			x.say(fleet.Pos{File: CyclePath(id)}, "", "a cycle needs %s and %s", weekFile, wavesFile)
			continue
		}
		x.cycle(id)
	}
	for _, p := range x.places {
		if (p.role == rolePlan || p.role == roleApproval) && x.files[CyclePath(fleet.CycleID(p.keys[0]))].Path == "" {
			x.say(fleet.Pos{File: p.Path}, "", "there is no cycle.cue for cycle %s", p.keys[0])
		}
	}
	x.freezes()
	x.holds()
}

func (x *checks) week() {
	x.zone(weekFile, k("week", "zone"), x.repo.Week.Zone)
	for _, step := range []string{"detect", "cutOff"} {
		if _, ok := x.repo.Week.Steps[step]; !ok {
			x.fault(weekFile, k("week", "steps"), "the week has no step %q", step)
		}
	}
	x.holidays(weekFile, k("week", "holidays"), x.repo.Week.Holidays)
}

// readable reports whether a file is there and gave what it should: what is
// missing in another one is no fault of those that name it.
func (x *checks) readable(file string) bool { return x.files[file].Path != "" && !x.faulty[file] }

func (x *checks) waves() {
	orders := map[int]string{}
	for _, w := range x.repo.Waves {
		if other, ok := orders[w.Order]; ok {
			x.fault(wavesFile, k("waves", w.Name, "order"), "%d is also the order of %s", w.Order, other)
		}
		orders[w.Order] = w.Name
		if w.Name == "close" {
			x.fault(wavesFile, k("waves", w.Name), "\"close\" is the gate that ends a cycle; a wave cannot be called so")
		}
		if _, ok := x.repo.Week.Steps[w.Opens.Step]; x.readable(weekFile) && !ok {
			x.fault(wavesFile, k("waves", w.Name, "opens", "step"), "the week has no step %q%s", w.Opens.Step, suggest(w.Opens.Step, slices.Collect(maps.Keys(x.repo.Week.Steps))))
		}
		x.selects(w)
		x.gate(w)
		for name, d := range map[string]fleet.Duration{"soak": w.Soak, "arm": w.Arm, "within": w.Within} {
			if d < 0 {
				x.fault(wavesFile, k("waves", w.Name, name), "is negative")
			}
		}
		if w.Within > 0 && w.OnMissedWindow != "runIfWithin" {
			x.fault(wavesFile, k("waves", w.Name, "within"), "says something only with onMissedWindow: \"runIfWithin\"")
		}
	}
}

// cycle checks one cycle, its plans and its approvals.
func (x *checks) cycle(id fleet.CycleID) {
	c, file := x.repo.Cycles[id], CyclePath(id)
	at := k("cycles", string(id))
	if loc, err := time.LoadLocation(x.repo.Week.Zone); err == nil && x.readable(weekFile) {
		if week := fleet.CycleOf(c.CutOff.In(loc)); week != id[:min(len(id), 8)] {
			x.fault(file, append(at, "cutOff"), "lies in week %s", week)
		}
	}
	if len(c.Entries) == 0 {
		x.fault(file, append(at, "entries"), "the cycle has no entries")
	}
	x.laneCycle(id)
	for _, pkg := range slices.Sorted(maps.Keys(c.Entries)) {
		x.releaseName(file, append(at, "entries", string(pkg)), string(pkg), c.Entries[pkg].Release)
	}
	if x.readable(wavesFile) && !x.repo.Closed(id) {
		x.cycleWaves(id, c)
	}
	for _, gate := range slices.Sorted(maps.Keys(x.repo.Plans[id])) {
		if gate != "close" && !slices.Contains(c.Waves, gate) {
			x.fault(PlanPath(id), k("plans", string(id), gate), "the cycle has no wave %q%s", gate, suggest(gate, c.Waves))
		}
	}
	for _, gate := range slices.Sorted(maps.Keys(x.repo.Approvals[id])) {
		x.approval(id, gate, c)
	}
}

// cycleWaves checks that the waves of an open cycle are there, in their order.
// A closed one tells what was, by the names that waves had then.
func (x *checks) cycleWaves(id fleet.CycleID, c fleet.Cycle) {
	at, last := k("cycles", string(id), "waves"), 0
	for i, name := range c.Waves {
		w, ok := x.repo.Wave(name)
		switch {
		case !ok:
			x.fault(CyclePath(id), append(slices.Clone(at), index(i)), "schedules/waves.cue has no wave %q%s", name, suggest(name, x.waveNames()))
		case w.Order < last:
			x.fault(CyclePath(id), append(slices.Clone(at), index(i)), "%q opens before the wave in front of it", name)
		default:
			last = w.Order
		}
	}
}

func (x *checks) waveNames() []string {
	var names []string
	for _, w := range x.repo.Waves {
		names = append(names, w.Name)
	}
	return names
}

// releaseName checks that a package and its release exist.
func (x *checks) releaseName(file string, keys []string, pkg, version string) {
	switch {
	case !x.packages[pkg]:
		x.fault(file, keys, "there is no package %q%s", pkg, suggest(pkg, slices.Collect(maps.Keys(x.packages))))
	case !x.releases[pkg][version]:
		x.fault(file, append(slices.Clone(keys), "release"), "%s has no release %q%s", pkg, version, suggest(version, slices.Collect(maps.Keys(x.releases[pkg]))))
	}
}

// approval checks that an approval is about the plan it names.
func (x *checks) approval(id fleet.CycleID, gate string, c fleet.Cycle) {
	a, file := x.repo.Approvals[id][gate], ApprovalPath(id, gate)
	at := func(field string) []string { return k("approvals", string(id), gate, field) }
	if a.Cycle != id {
		x.fault(file, at("cycle"), "is %q; the folder says %q", a.Cycle, id)
	}
	if a.Gate != gate {
		x.fault(file, at("gate"), "is %q; the file is named %q", a.Gate, gate)
	}
	if gate != "close" && !slices.Contains(c.Waves, gate) {
		x.fault(file, at("gate"), "the cycle has no wave %q%s", gate, suggest(gate, c.Waves))
		return
	}
	// Closing does nothing new: it names the plan of the last wave.
	planned := gate
	if gate == "close" && len(c.Waves) > 0 {
		planned = c.Waves[len(c.Waves)-1]
	}
	plan, ok := x.repo.Plans[id][planned]
	if !ok && x.faulty[PlanPath(id)] {
		return
	}
	if !ok {
		x.fault(file, at("plan"), "%s has no plan for %q", PlanPath(id), planned)
		return
	}
	if a.Plan != plan.Digest {
		x.fault(file, at("plan"), "is not the digest in %s, %s: the plan changed after this was written", PlanPath(id), plan.Digest.Short())
	}
	s, p := a.Summary, plan.Summary
	if s.Packages != p.Packages || s.Tenants != p.Tenants || s.Devices != p.Devices || !s.Deadline.Equal(p.Deadline) {
		x.fault(file, at("summary"), "does not agree with the plan: {packages: %d, tenants: %d, devices: %d, deadline: %q}", p.Packages, p.Tenants, p.Devices, instant(p.Deadline))
	}
	if a.Decision == "rejected" && a.Because == "" {
		x.fault(file, at("because"), "a rejection says why")
	}
}

// freezes checks freezes. One that is over stays as it is: unlike a pin or an
// opt-out it holds nothing back any more, and explains afterwards why a wave
// waited.
func (x *checks) freezes() {
	for _, id := range slices.Sorted(maps.Keys(x.repo.Freezes)) {
		f, file := x.repo.Freezes[id], "schedules/freezes/"+id+".cue"
		if !f.From.Before(f.Until) {
			x.fault(file, k("freezes", id, "until"), "is not after from")
		}
		if days := f.Until.Sub(f.From).Hours() / 24; x.maxDays >= 0 && x.repo.Operator.Name != "" && days > float64(x.maxDays) {
			x.fault(file, k("freezes", id, "until"), "the freeze lasts %.0f days; the operator's maxExceptionDays is %d", days, x.maxDays)
		}
	}
}

func (x *checks) holds() {
	for _, id := range slices.Sorted(maps.Keys(x.repo.Holds)) {
		h, file := x.repo.Holds[id], HoldPath(id)
		at := k("holds", id)
		x.releaseName(file, at, string(h.Package), h.Release)
		if h.RollbackTo != "" && !x.releases[string(h.Package)][h.RollbackTo] {
			x.fault(file, append(at, "rollbackTo"), "%s has no release %q", h.Package, h.RollbackTo)
		}
		if h.RollbackTo == h.Release {
			x.fault(file, append(at, "rollbackTo"), "is the release that is held")
		}
		if h.Kind == "revocation" && h.Expires != nil {
			x.fault(file, append(at, "expires"), "a revocation does not end: a new release takes its place")
		}
		p, ok := x.repo.Packages[h.Package]
		if h.RollbackTo != "" && ok && p.Rollback != "previous" {
			x.fault(file, append(at, "rollbackTo"), "the package's rollback is %q: no release takes its place", p.Rollback)
		}
	}
}
