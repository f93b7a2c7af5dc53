package rehearsal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func (e *Engine) beat(command string, facts rollout.Facts) error {
	rec := e.State.facts.Record
	rec.Heartbeats = append(rec.Heartbeats, fleet.Heartbeat{Command: command, Main: facts.Repo.Commit, At: e.State.Now})
	return e.tell(Heartbeat, command, nil)
}

// build gives releases artifacts whose digests follow from their names: nothing
// is made of bytes here.
func (e *Engine) build(facts rollout.Facts, batch []rollout.Action) error {
	rec := e.State.facts.Record
	for _, a := range batch {
		id := a.Packages[0]
		b := fleet.Built{Package: id, Version: a.Version, Artifact: fleet.DigestOf([]byte("rehearsed " + string(id) + "@" + a.Version)), At: e.State.Now}
		for _, key := range parts(facts.Repo.Packages[id]) {
			b.Files = append(b.Files, fleet.BuiltFile{Installer: key, Name: key, Digest: fleet.DigestOf([]byte(string(b.Artifact) + key))})
		}
		rec.Builds = append(rec.Builds, b)
	}
	return e.tell(Mill, rollout.Build, nil)
}

// parts are what an artifact has a file of.
func parts(p fleet.Package) []string {
	return append(p.InstallerKeys(), slices.Sorted(maps.Keys(p.Settings))...)
}

// test lets every cell pass: what a test matrix finds is not rehearsed.
func (e *Engine) test(facts rollout.Facts, batch []rollout.Action) error {
	rec := e.State.facts.Record
	for _, a := range batch {
		id := a.Packages[0]
		for _, key := range parts(facts.Repo.Packages[id]) {
			rec.Tests = append(rec.Tests, fleet.Tested{Package: id, Version: a.Version, Artifact: a.Artifact, Cell: "rehearsed", Installer: key, Result: "passed", At: e.State.Now})
		}
	}
	return e.tell(Mill, rollout.Test, nil)
}

// inventory reads the devices of tenants again: the same ones, seen today but
// for those that are off this week. A tenant that cannot be reached does not
// keep the others back.
func (e *Engine) inventory(facts rollout.Facts, batch []rollout.Action) error {
	s := e.State
	latest := rollout.LatestInventory(facts.Record, time.Time{})
	rows := s.facts.Record.Inventory
	var failures []error
	for _, a := range batch {
		if e.Model.out(a.Tenant, s.Now) {
			failures = append(failures, fmt.Errorf("inventory of %s: the tenant cannot be reached", a.Tenant))
			continue
		}
		if len(latest[a.Tenant]) == 0 {
			rows = append(rows, fleet.InventoryRow{Tenant: a.Tenant, At: s.Now})
		}
		for _, r := range latest[a.Tenant] {
			r.At = s.Now
			if !e.Model.Off(e.Model.Device(r.Tenant, r.Device), s.Now) {
				r.LastSeen = s.Now.Format(time.DateOnly)
			}
			rows = append(rows, r)
		}
	}
	s.facts.Record.Inventory = rows
	return errors.Join(append([]error{e.tell(Inventory, rollout.TakeInventory, nil)}, failures...)...)
}

// opening is the proposal of a cycle. Its plans' inputs are kept: a wave is
// frozen from what was known when it was planned.
func (e *Engine) opening(facts rollout.Facts, a rollout.Action) (rollout.Proposal, error) {
	p, err := rollout.Opening(facts, a.Cycle, rollout.NewCycle(facts.Repo, facts.Record, a.Cycle, a.CutOff, a.Packages))
	if err != nil {
		return p, err
	}
	older, heads := e.State.then, facts.Record.Heads
	e.State.then = func(asked map[string]string) (*fleet.Record, error) {
		if maps.Equal(asked, heads) {
			return facts.Record, nil
		}
		return older(asked)
	}
	return p, nil
}

// start freezes a wave: memberships, the plan's rows, then the start.
func (e *Engine) start(facts rollout.Facts, a rollout.Action) error {
	s := e.State
	plan, ok := facts.Plans[a.Cycle][a.Wave]
	if !ok {
		return fleet.Errorf(fleet.Invalid, "rehearsal.start", string(a.Cycle), "no plan for the wave %q", a.Wave)
	}
	if s.then == nil {
		return fleet.Errorf(fleet.Internal, "rehearsal.start", string(a.Cycle), "nothing tells the evidence that plans were made from")
	}
	then, err := s.then(facts.Repo.Plans[a.Cycle][a.Wave].Inputs)
	if err != nil {
		return err
	}
	members, start, err := rollout.Freeze(facts.Repo, then, plan, s.Now)
	if err != nil {
		return err
	}
	if members, start, err = rollout.Join(facts, members, start); err != nil {
		return err
	}
	rec := s.facts.Record
	for _, m := range members {
		if !rollout.IsFrozen(facts.Record, m) {
			rec.Members = append(rec.Members, m)
		}
	}
	if err := e.tell(Members, rollout.StartWave, nil); err != nil {
		return err
	}
	if _, known := rec.PlanRows[start.Plan]; !known && len(plan.Rows) > 0 {
		rec.PlanRows = put(rec.PlanRows, start.Plan, plan.Rows)
		if err := e.tell(PlanRows, rollout.StartWave, nil); err != nil {
			return err
		}
	}
	start.At = s.Now
	rec.Starts = append(rec.Starts, start)
	if gates := maps.Clone(s.facts.Plans[a.Cycle]); gates != nil {
		delete(gates, a.Wave) // a wave that has started is not planned again
		s.facts.Plans = put(s.facts.Plans, a.Cycle, gates)
	}
	return e.tell(Started, rollout.StartWave, nil)
}

// announce tells the partners of a cycle, each channel once, and notes it.
func (e *Engine) announce(facts rollout.Facts, a rollout.Action) (string, error) {
	s := e.State
	reached, err := rollout.Reached(facts, a.Cycle, s.Now)
	if err != nil {
		return "", err
	}
	sent := 0
	for _, partner := range slices.Sorted(maps.Keys(reached)) {
		for _, channel := range slices.Sorted(maps.Keys(facts.Repo.Partners[partner].Channels)) {
			key := rollout.NoticeKey(a.Cycle, partner, channel, rollout.Announcement)
			known := false
			n := fleet.Notice{Key: key, Cycle: a.Cycle, Partner: partner, Channel: channel, Template: rollout.Announcement, MessageID: key, At: s.Now}
			done := false
			for _, x := range facts.Record.Notices {
				known, done = known || x.Key == key, done || x.Key == key && x.Sent
			}
			if done {
				continue
			}
			if n.PossiblyTwice = known; !known {
				s.facts.Record.Notices = append(s.facts.Record.Notices, n)
				if err := e.tell(Notices, rollout.Announce, nil); err != nil {
					return "", err
				}
			}
			n.Sent = true
			s.facts.Record.Notices = append(s.facts.Record.Notices, n)
			if err := e.tell(Notices, rollout.Announce, nil); err != nil {
				return "", err
			}
			sent++
		}
	}
	return fmt.Sprintf("%d messages", sent), e.beat("announce "+string(a.Cycle), facts)
}
