package why

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// NextCycle is the ordinary cycle that follows at now: that of the next cut-off
// whose cycle is not on main yet.
func NextCycle(repo *fleet.Repository, now time.Time) (fleet.CycleID, time.Time, error) {
	cutOff, err := calendar.After(repo.Week, calendar.CutOff, now.Add(-time.Nanosecond))
	for err == nil {
		id := calendar.CycleOf(repo.Week, cutOff)
		if _, open := repo.Cycles[id]; !open {
			return id, cutOff, nil
		}
		cutOff, err = calendar.After(repo.Week, calendar.CutOff, cutOff)
	}
	return "", time.Time{}, err
}

// next finds the release that is on its way: in the newest open cycle, or, if it
// would travel there, in the one that follows.
func (p *pair) next(cycles []rollout.CycleState, now time.Time) (*rollout.CycleState, error) {
	for i := range slices.Backward(cycles) {
		c := &cycles[i]
		if e := c.Entry(p.pkg.ID); !c.Closed && e != nil && p.later(e.Entry.Release) {
			p.out.Next = Next{Release: e.Entry.Release, From: p.out.Stable.Release, Cycle: c.ID, Open: true, Why: "it travels in " + string(c.ID)}
			return c, p.waves(c, c.Cycle)
		}
	}
	version, release, ok := p.pkg.Latest()
	switch {
	case !ok:
		p.out.Next.Why = "the package has no release"
		return nil, nil
	case release.Baseline:
		p.out.Next.Why = "its newest release, " + version + ", is the baseline, which is never rolled out"
		return nil, nil
	case !p.later(version):
		p.out.Next.Why = "the newest release, " + version + ", is what it has"
		return nil, nil
	}
	id, cutOff, err := NextCycle(p.facts.Repo, now)
	if err != nil {
		return nil, err
	}
	entry, ready := rollout.Entries(p.facts.Repo, p.facts.Record, cutOff)[p.pkg.ID]
	p.out.Next = Next{Release: version, From: p.out.Stable.Release, Cycle: id, Why: "it is ready to travel in " + string(id) + ", whose cut-off is at " + stamp(cutOff)}
	if !ready {
		entry = fleet.Entry{Release: version}
		p.out.Next.Why = "it would travel in " + string(id) + ", whose cut-off is at " + stamp(cutOff) + ", but is not ready to"
	}
	cycle := rollout.NewCycle(p.facts.Repo, p.facts.Record, id, cutOff, nil)
	cycle.Entries = map[fleet.PackageID]fleet.Entry{p.pkg.ID: entry}
	return nil, p.waves(&rollout.CycleState{ID: id}, cycle)
}

// later reports whether a release is newer than what the stable slot holds.
func (p *pair) later(version string) bool {
	return p.pkg.Releases[version].Counter > p.pkg.Releases[p.out.Stable.Release].Counter
}

// waves are the tenant's parts in the waves of the cycle of the next release:
// as the plan of a started wave was approved, as it is recomputed for the
// others.
func (p *pair) waves(c *rollout.CycleState, cycle fleet.Cycle) error {
	for _, name := range cycle.Waves {
		plan, err := p.planOf(c, cycle, name)
		if err != nil {
			return err
		}
		w := NextWave{Wave: name}
		if state := c.Wave(name); state != nil {
			w.Phase, w.Decided = state.Phase, DecisionOf(state.Merge)
		}
		if e := c.Entry(p.pkg.ID); e != nil && e.Last[name] != nil {
			w.Verdict = e.Last[name].Decision + ": " + e.Last[name].Rule
		}
		for _, row := range plan.Rows {
			if row.Tenant == p.tenant.ID && row.Package == p.pkg.ID && row.Wave == name {
				row = p.asLate(c, &w, row)
				w.Devices, w.NotBefore, w.Deadline = row.Devices, p.instant(row, row.NotBefore), p.instant(row, row.Deadline)
			}
		}
		for _, skip := range plan.Skipped {
			if skip.Tenant == p.tenant.ID && skip.Package == p.pkg.ID {
				w.Skipped = skip.Why
			}
		}
		p.out.Next.Waves = append(p.out.Next.Waves, w)
	}
	return nil
}

// asLate is a row of a started wave that was never assigned with the times it
// has now, where it is too late for those of the plan.
func (p *pair) asLate(c *rollout.CycleState, w *NextWave, row fleet.PlanRow) fleet.PlanRow {
	state := c.Wave(w.Wave)
	there := slices.ContainsFunc(p.facts.Record.Receipts, func(r fleet.Receipt) bool {
		return r.Cycle == c.ID && r.Wave == w.Wave && r.Tenant == row.Tenant && r.Package == row.Package && r.Artifact == row.Artifact && r.Action == "assign" && r.Outcome == "done"
	})
	if state == nil || state.Start == nil || there {
		return row
	}
	timing := rollout.TimesOf(p.facts, c.ID, w.Wave, p.out.At).Of(row)
	row.NotBefore, row.Deadline, w.Late = timing.Opens, timing.Deadline, timing.Late
	if timing.Missed {
		w.Late = "missed in this cycle: " + timing.Late
	}
	return row
}

// planOf is the plan of a wave: what it was started with, what an approval is
// compared with, or what it would be.
func (p *pair) planOf(c *rollout.CycleState, cycle fleet.Cycle, wave string) (fleet.Plan, error) {
	if state := c.Wave(wave); state != nil && state.Start != nil {
		return fleet.Plan{Rows: p.facts.Record.PlanRows[state.Start.Plan]}, nil
	}
	if plan, ok := p.facts.Plans[c.ID][wave]; ok {
		return plan, nil
	}
	return rollout.Plan(p.facts.Repo, p.facts.Record, c.ID, cycle, wave)
}

// instant is the moment a plan's row means: one in the tenant's own time is
// carried as what its clocks read.
func (p *pair) instant(row fleet.PlanRow, at time.Time) time.Time {
	zone, err := calendar.Zone(p.tenant.Zone)
	if !row.LocalTime || err != nil {
		return at
	}
	return rollout.InstantOf(at, zone)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
