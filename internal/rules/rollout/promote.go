package rollout

import (
	"cmp"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// unready says why an entry that passed the last wave is not made stable on a
// tenant that took it, "" when it is. A stable slot reaches every device: so
// the tenant must take the release now, by its own policy and its partner's
// word, and must have been given it in every wave that the plan has it in. A
// pilot alone gives nobody the right to all the other devices.
func (s *stepper) unready(c *CycleState, e *EntryState, id fleet.TenantID) string {
	t, pkg := s.f.Repo.Tenants[id], s.f.Repo.Packages[e.Package]
	release := pkg.Releases[e.Entry.Release]
	last := &c.Waves[len(c.Waves)-1]
	published := planner{known: s.firstSeen()}.published(e.Package, e.Entry.Release, release)
	if why := cmp.Or(Excluded(c.ID, t, e.Package, e.Entry, release, published, later(s.now, last.Opens)), unserved(t, pkg), blocked(t, pkg, e.Entry.Release, later(s.now, last.Opens)), unmet(t, pkg)); why != "" {
		return why
	}
	for i := range c.Waves {
		w := &c.Waves[i]
		if w.Start == nil || !s.planned(w, id, e) {
			continue
		}
		if said, why := consent(s.f, c.ID, w.Wave.Name, id, later(w.Opens, w.Start.At)); said != agrees {
			return why
		}
		if !s.given(c, w, e, id) {
			return "it was not given to the devices of wave " + w.Wave.Name
		}
	}
	// A refusal that came later counts too: the more careful wins.
	if a, answered := s.f.Repo.TenantApprovals[id][c.ID]; answered && a.Decision != "approved" {
		return "refused: " + a.Because
	}
	return ""
}

// planned reports whether a started wave's plan brings an entry to a tenant.
func (s *stepper) planned(w *WaveState, t fleet.TenantID, e *EntryState) bool {
	if s.rows == nil {
		s.rows = map[fleet.Digest]map[slot]bool{}
	}
	known, ok := s.rows[w.Start.Plan]
	if !ok {
		known = map[slot]bool{}
		for i := range s.f.Record.PlanRows[w.Start.Plan] {
			row := &s.f.Record.PlanRows[w.Start.Plan][i]
			known[slot{row.Tenant, row.Package}] = true
		}
		s.rows[w.Start.Plan] = known
	}
	return known[slot{t, e.Package}]
}

// given reports whether a tenant was ever assigned an entry for a wave.
func (s *stepper) given(c *CycleState, w *WaveState, e *EntryState, t fleet.TenantID) bool {
	own := of([]fleet.CycleID{c.ID}, e.Entry.Artifact, "assign")
	return newest(s.x.slots[slot{t, e.Package}], func(x trace) bool { return x.done && own(x) && x.Wave == w.Wave.Name }) > 0
}

// firstSeen is when versions were first seen, worked out once.
func (s *stepper) firstSeen() map[seen]time.Time {
	if s.known == nil {
		s.known = firstSeen(s.f.Record)
	}
	return s.known
}
