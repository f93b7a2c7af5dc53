package rehearsal

import (
	"errors"
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// judge reads what the devices of a wave would have reported, and gives the
// gate's verdict on each entry. A tenant that cannot be asked has silent
// devices, and keeps a wave from passing.
func (e *Engine) judge(facts rollout.Facts, a rollout.Action) (string, error) {
	reports, unasked := e.reports(facts, a)
	s := e.State
	s.facts.Record.Reports = append(s.facts.Record.Reports, reports...)
	if err := e.tell(Reports, rollout.Judge, nil); err != nil {
		return "", err
	}
	judge := e.Verdict
	if judge == nil {
		judge = e.compared
	}
	decided := map[string]int{}
	for _, id := range a.Packages {
		v, err := judge(facts, a, id, reports)
		if err != nil {
			return "", err
		}
		v.At = s.Now
		decided[v.Decision]++
		s.facts.Record.Verdicts = append(s.facts.Record.Verdicts, v)
	}
	if err := e.tell(Verdicts, rollout.Judge, nil); err != nil {
		return "", err
	}
	note := fmt.Sprintf("%d pass, %d fail, %d inconclusive", decided[gate.Pass], decided[gate.Fail], decided[gate.Inconclusive])
	return note, errors.Join(unasked...)
}

// reports are what the members of a started wave reported for some packages,
// tenant by tenant: as factory reads them, from the model's devices.
func (e *Engine) reports(facts rollout.Facts, a rollout.Action) (out []fleet.Report, unasked []error) {
	s := e.State
	var start *fleet.WaveStart
	for i := range facts.Record.Starts {
		if x := &facts.Record.Starts[i]; start == nil && x.Cycle == a.Cycle && x.Wave == a.Wave {
			start = x
		}
	}
	if start == nil {
		return nil, []error{fleet.Errorf(fleet.Invalid, "rehearsal.judge", string(a.Cycle)+"/"+a.Wave, "the wave has not started")}
	}
	assigned := map[rollout.Slot]bool{}
	for i := range facts.Record.Receipts {
		r := &facts.Record.Receipts[i]
		if r.Cycle == a.Cycle && r.Wave == a.Wave && r.Action == "assign" && r.Outcome == "done" && r.Artifact == facts.Repo.Cycles[a.Cycle].Entries[r.Package].Artifact {
			assigned[rollout.Slot{Tenant: r.Tenant, Package: r.Package}] = true
		}
	}
	for _, m := range rollout.Frozen(facts.Record, *start) {
		_, present := facts.Repo.Tenants[m.Tenant]
		down := e.Model.out(m.Tenant, s.Now)
		asked := false
		for _, id := range a.Packages {
			if !assigned[rollout.Slot{Tenant: m.Tenant, Package: id}] {
				continue
			}
			asked = true
			entry := facts.Repo.Cycles[a.Cycle].Entries[id]
			r := fleet.Report{Cycle: a.Cycle, Wave: a.Wave, Tenant: m.Tenant, Package: id, Artifact: entry.Artifact, Look: a.Look, At: s.Now}
			if !present {
				r.Counts.Excluded = len(m.Devices)
			} else if r.Counts = e.count(facts, m, id, entry, down); down {
				r.Errors = []string{fleet.NotAsked}
			}
			out = append(out, r)
		}
		if asked && present && down {
			unasked = append(unasked, fleet.Errorf(fleet.Waiting, "rehearsal.judge", string(m.Tenant), "its devices count as silent: it cannot be reached"))
		}
	}
	return out, unasked
}

// lucky is a member of a wave: its luck, and whether it is a device that
// consoles deliver to.
type lucky struct {
	device   Device
	platform string
}

// members are the devices of a membership, looked up once.
func (e *Engine) members(facts rollout.Facts, m fleet.Membership) []lucky {
	key := string(m.Tenant) + "/" + m.Root
	if known, ok := e.State.luck[key]; ok && len(known) == len(m.Devices) {
		return known
	}
	platform := map[string]string{}
	for i := range facts.Record.Inventory {
		if r := &facts.Record.Inventory[i]; r.Tenant == m.Tenant {
			platform[r.Device] = r.Platform
		}
	}
	out := make([]lucky, len(m.Devices))
	for i, d := range m.Devices {
		out[i] = lucky{e.Model.Device(m.Tenant, d), platform[d]}
	}
	e.State.luck[key] = out
	return out
}

// count sorts a wave's members by what they have reported of a release until
// now. A device reports once it has checked in after it was to start.
func (e *Engine) count(facts rollout.Facts, m fleet.Membership, id fleet.PackageID, entry fleet.Entry, down bool) fleet.Counts {
	s := e.State
	pkg, tenant := facts.Repo.Packages[id], facts.Repo.Tenants[m.Tenant]
	given, ok := s.holder(rollout.Slot{Tenant: m.Tenant, Package: id}).Candidate[m.Wave]
	ok = ok && given.Artifact == entry.Artifact && !down
	if rollout.Offered(facts.Repo, tenant, facts.Repo.Cycles[m.Cycle], m.Wave, id, entry.Release) {
		ok = false // nobody is made to take what is only offered
	}
	from, late := later(given.At, inZone(given.Opens, given.Local, tenant.Zone)), later(given.At, inZone(given.Deadline, given.Local, tenant.Zone))
	fails := e.Model.lot("fail", id, entry.Release, e.Model.failing(id, entry.Release))
	defers := e.Model.lot("defer", id, entry.Release, e.Model.Deferring)
	serves := map[string]bool{}
	var c fleet.Counts
	for _, d := range e.members(facts, m) {
		served, known := serves[d.platform]
		if !known {
			served = rollout.Serves(pkg, d.platform)
			serves[d.platform] = served
		}
		start := from
		if defers.drawn(d.device) {
			start = late
		}
		switch {
		case !served:
			c.Excluded++
		case !ok || !e.Model.reported(d.device, start, s.Now):
			c.Silent++
		case fails.drawn(d.device):
			c.Failed++
		default:
			c.Succeeded++
		}
	}
	return c
}

// reported reports whether a device has checked in between two instants.
func (m *Model) reported(d Device, from, until time.Time) bool {
	if from.After(until) {
		return false
	}
	if until.Sub(from) >= m.CheckIn.Std() && !m.Off(d, from) && !m.Off(d, from.Add(m.CheckIn.Std())) {
		return true // whatever its phase
	}
	c, ok := m.NextCheckIn(d, from)
	return ok && !c.After(until)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// inZone is an instant as a plan carries it: local time is what the tenant's
// clocks show, written as if it were UTC.
func inZone(t time.Time, local bool, zone string) time.Time {
	if !local || t.IsZero() {
		return t
	}
	loc, err := calendar.Zone(zone)
	if err != nil {
		return t
	}
	u := t.UTC()
	return time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), 0, loc).UTC()
}
