package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Step says what is due at now, in the order to do it, and what is not due
// yet. It only ever looks at facts: executing the actions, recording what came
// of them and asking again goes on until nothing is due. Asked twice about the
// same facts it says the same, which is what makes a killed run resumable.
func Step(f Facts, now time.Time) ([]Action, []Wait, error) {
	s := stepper{f: f, x: newIndex(f.Record), now: now, asked: map[fleet.TenantID]bool{}}
	for _, commit := range f.Unrecorded {
		s.act(Action{Kind: RecordMerge, Commit: commit, Why: "a merge without a record in evidence"})
	}
	returning := s.reinstate()
	if len(f.Unrecorded) == 0 {
		if err := s.mill(); err != nil {
			s.wait(Wait{Kind: fleet.Stalled, Why: "no cycle is opened: " + err.Error()})
		}
	}
	cycles := derive(f, s.x, now)
	s.cycles = cycles
	for i := range cycles {
		if cycles[i].Fault != nil {
			s.faulty(&cycles[i])
		} else if cycles[i].Closed {
			s.closed(&cycles[i])
		} else {
			s.cycle(&cycles[i])
		}
	}
	s.restore()
	s.leave()
	s.bringsNothing(returning)
	s.onlyHarmless()
	s.onlyStops()
	return s.actions, s.waits, nil
}

// onlyStops drops all but what stops and what is judged while a merge is not
// recorded yet: approvals count once they are. A forge that cannot be asked must
// not keep a release that fails from being stopped.
func (s *stepper) onlyStops() {
	if len(s.f.Unrecorded) == 0 {
		return
	}
	s.actions = slices.DeleteFunc(s.actions, func(a Action) bool {
		return a.Kind != RecordMerge && a.Kind != Judge && a.Kind != Withdraw
	})
	s.waits = nil
}

type stepper struct {
	f        Facts
	x        *index
	now      time.Time
	cycles   []CycleState
	actions  []Action
	waits    []Wait
	asked    map[fleet.TenantID]bool // for an inventory
	consents map[consentKey]bool
	rows     map[fleet.Digest]map[slot]bool // of started plans
	known    map[seen]time.Time             // versions, when they were first seen
}

func (s *stepper) act(a Action) { s.actions = append(s.actions, a) }

func (s *stepper) wait(w Wait) { s.waits = append(s.waits, w) }

// mill is the part of the week before the cycle: inventory, detect, build,
// test, open.
func (s *stepper) mill() error {
	week := s.f.Repo.Week
	detect, err := calendar.Last(week, calendar.Detect, s.now)
	if err != nil {
		return err
	}
	if !s.x.beatSince("detect", detect) {
		// Proposals say whom they reach, so devices are counted first. A
		// tenant that cannot be read keeps nothing from being detected.
		s.inventories(detect, "proposals say whom they reach")
		s.act(Action{Kind: Detect, Why: "the week's detect step was at " + stamp(detect)})
	}
	s.builds()
	cutOff, err := calendar.Last(week, calendar.CutOff, s.now)
	if err != nil {
		return err
	}
	if err := s.open(cutOff); err != nil {
		return err
	}
	return s.securityLane()
}

// inventories asks for the devices of tenants that were last read before an
// instant, and gives these tenants.
func (s *stepper) inventories(since time.Time, why string) []fleet.TenantID {
	return s.inventoriesOf(s.f.Repo.TenantIDs(), since, why)
}

// inventoriesOf does so for some tenants alone.
func (s *stepper) inventoriesOf(tenants []fleet.TenantID, since time.Time, why string) []fleet.TenantID {
	var out []fleet.TenantID
	for _, t := range tenants {
		if at, ok := s.x.inventory[t]; s.f.Repo.Tenants[t].Intune == nil || ok && !at.Before(since) {
			continue
		}
		out = append(out, t)
		if !s.asked[t] {
			s.asked[t] = true
			s.act(Action{Kind: TakeInventory, Tenant: t, Why: why})
		}
	}
	return out
}

// builds asks for the artifacts that rollouts need: of every package's newest
// release, and of the one before it, which is the way back. A configuration's
// files stand in git beside the release, so the one before was built in its
// own week or not at all.
func (s *stepper) builds() {
	for _, id := range s.f.Repo.PackageIDs() {
		pkg := s.f.Repo.Packages[id]
		newest, release, ok := pkg.Latest()
		if !ok || release.Baseline || !used(s.f.Repo, id) {
			continue
		}
		versions := []string{newest}
		if before, _, ok := pkg.Before(newest); ok && pkg.Rollback == "previous" && pkg.Kind != "configuration" {
			versions = []string{before, newest}
		}
		for _, v := range versions {
			built := BuiltOf(s.f.Record, id, v)
			switch {
			case built == nil:
				s.act(Action{Kind: Build, Packages: []fleet.PackageID{id}, Version: v, Why: "merged and not built"})
			case v == newest && !tested(s.f.Record, built) && !allCellless(pkg, built):
				s.act(Action{Kind: Test, Packages: []fleet.PackageID{id}, Version: v, Artifact: built.Artifact, Why: "built and not tested"})
			case v == newest:
				s.lacking(pkg, built)
			}
		}
	}
}

// patience is how long after the cut-off a cycle waits for tenants whose
// devices cannot be read. Then it opens with what was last known of them: one
// tenant must not keep all others from their updates.
const patience = 2 * time.Hour

// freshness is how long before the cut-off an inventory may have been taken.
const freshness = 24 * time.Hour

// open asks for the cycle of the cut-off, once there is something to put into
// it and its first wave is still to come.
func (s *stepper) open(cutOff time.Time) error {
	id := calendar.CycleOf(s.f.Repo.Week, cutOff)
	waves := fleet.WavesIn(s.f.Repo.Waves, fleet.LaneWeek)
	if _, exists := s.f.Repo.Cycles[id]; exists || len(waves) == 0 {
		return nil
	}
	entries := NewCycle(s.f.Repo, s.f.Record, id, cutOff, nil).Entries
	if len(entries) == 0 {
		return nil
	}
	first := waves[0]
	opens, err := calendar.Opens(s.f.Repo.Week, id, cutOff, first)
	if err != nil {
		return err
	}
	if !s.now.Before(opens) {
		s.wait(Wait{Cycle: id, Wave: first.Name, Kind: fleet.Waiting, Why: "missed: the wave would have opened at " + stamp(opens) + "; the releases go into the next cycle"})
		return nil
	}
	unread := s.inventories(cutOff.Add(-freshness), "a plan counts devices as of the cut-off")
	if until := cutOff.Add(patience); s.now.Before(until) && len(unread) > 0 {
		s.wait(Wait{Cycle: id, Kind: fleet.Waiting, Why: fmt.Sprintf("the devices of %d tenants are not read yet", len(unread)), Until: until})
		return nil
	}
	for _, t := range unread {
		s.wait(Wait{Cycle: id, Kind: fleet.Stalled, Why: "the devices of " + string(t) + " could not be read: the cycle goes by what was last known of them"})
	}
	s.act(Action{Kind: OpenCycle, Cycle: id, CutOff: cutOff, Why: fmt.Sprintf("cut-off was at %s, %d releases are ready", stamp(cutOff), len(entries))})
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// faulty lists what stops in a cycle that cannot be read whole: a wave that is
// gone must not keep a release that failed on devices.
func (s *stepper) faulty(c *CycleState) {
	for i := range c.Entries {
		s.wayBack(c, &c.Entries[i])
	}
	s.wait(Wait{Cycle: c.ID, Kind: fleet.Stalled, Why: "nothing of it goes on but what stops: " + c.Fault.Error()})
}
