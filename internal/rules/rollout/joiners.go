package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// How many devices may join the last wave beyond those its plan counts: a
// twentieth of them, or a handful where that is more, since in a small fleet
// one device is a twentieth. People approved a number: what moves it further is
// no longer what they approved, and a fleet that grows so much in a few days
// more likely has an inventory that went wrong.
const (
	joinShare = 20
	joinFew   = 5
)

// JoinLimit is how many devices may join a wave of so many planned ones.
func JoinLimit(planned int) int { return max(joinFew, planned/joinShare) }

// Join lets devices into the last wave of a cycle that came after its plan was
// made: those that the newest inventory tells, that the wave selects, and that
// no wave of the cycle has yet. Tenants take part that the plan has, since only
// for these something was approved. members and start are the wave as planned;
// they come back as they are for any other wave.
//
// Above JoinLimit nobody joins, and the start counts who stayed outside. These
// get the release as devices do that enrol later: from the stable slot, once it
// has passed every wave.
func Join(f Facts, members []fleet.Membership, start fleet.WaveStart) ([]fleet.Membership, fleet.WaveStart, error) {
	cycle := f.Repo.Cycles[start.Cycle]
	waves, err := wavesOf(f.Repo, start.Cycle, cycle)
	if err != nil || len(waves) == 0 || waves[len(waves)-1].Name != start.Wave {
		return members, start, err
	}
	joining, n := joiners(f, waves, members, start)
	if n == 0 {
		return members, start, nil
	}
	if n > JoinLimit(start.Devices) {
		start.Outside = n
		return members, start, nil
	}
	out := slices.Clone(members)
	start.Joined = map[fleet.TenantID]string{}
	var all []string
	for i := range out {
		m := &out[i]
		if more := joining[m.Tenant]; len(more) > 0 {
			m.Devices = slices.Concat(m.Devices, more)
			slices.Sort(m.Devices)
			m.Joined, m.Root = len(more), Root(m.Devices)
			start.Joined[m.Tenant] = m.Root
		}
		all = append(all, m.Devices...)
	}
	slices.Sort(all)
	start.Devices, start.Root = len(all), Root(all)
	return out, start, nil
}

// joiners are the devices that came after the plan, by tenant.
func joiners(f Facts, waves []fleet.Wave, members []fleet.Membership, start fleet.WaveStart) (map[fleet.TenantID][]string, int) {
	last := waves[len(waves)-1]
	last.Select.Cover = nil // who comes late shows nothing in a pilot
	had := map[string]bool{}
	for _, m := range members {
		for _, d := range m.Devices {
			had[string(m.Tenant)+" "+d] = true
		}
	}
	for _, w := range waves[:len(waves)-1] {
		if s := startOf(f.Record, start.Cycle, w.Name); s != nil {
			for _, m := range Frozen(f.Record, *s) {
				for _, d := range m.Devices {
					had[string(m.Tenant)+" "+d] = true
				}
			}
		}
	}
	inventory := LatestInventory(f.Record, time.Time{})
	out, n := map[fleet.TenantID][]string{}, 0
	for _, m := range members {
		a := newAssignment(f.Repo.Tenants[m.Tenant], inventory[m.Tenant], string(start.Cycle), start.At)
		for i := range a.devices {
			a.taken[i] = had[string(m.Tenant)+" "+a.devices[i].Device]
		}
		for _, d := range a.wave(last).Devices {
			out[m.Tenant] = append(out[m.Tenant], d.Device)
			n++
		}
	}
	return out, n
}

// recounted asks for the devices of the last wave's tenants as they are now:
// those that came since the plan belong to it. It reports whether they are read,
// or there is no more time to wait for it: what a tenant does not tell keeps no
// other from its updates.
func (s *stepper) recounted(c *CycleState, i int) bool {
	w := &c.Waves[i]
	if i < len(c.Waves)-1 {
		return true
	}
	arm := w.Opens.Add(-w.Wave.Arm.Std())
	until := arm.Add(patience)
	if w.Opens.Before(until) {
		until = w.Opens
	}
	var tenants []fleet.TenantID
	for _, row := range s.f.Plans[c.ID][w.Wave.Name].Rows {
		if n := len(tenants); n == 0 || tenants[n-1] != row.Tenant {
			tenants = append(tenants, row.Tenant)
		}
	}
	unread := s.inventoriesOf(tenants, arm.Add(-freshness), "devices that came since the plan belong to the last wave")
	if len(unread) == 0 || !s.now.Before(until) {
		return true
	}
	s.wait(Wait{Cycle: c.ID, Wave: w.Wave.Name, Kind: fleet.Waiting, Why: fmt.Sprintf("the devices of %d tenants are not read again yet", len(unread)), Until: until})
	return false
}
