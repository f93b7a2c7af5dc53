package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Freeze is who belongs to a wave from now on, and its start: every tenant of
// the approved plan with its devices of the inventory that the plan was made
// from, then the root over all of them. then is evidence as of the heads the
// plan records.
func Freeze(repo *fleet.Repository, then *fleet.Record, plan fleet.Plan, now time.Time) ([]fleet.Membership, fleet.WaveStart, error) {
	devices, err := MembersOf(repo, then, plan.Cycle, repo.Cycles[plan.Cycle], plan.Gate)
	if err != nil {
		return nil, fleet.WaveStart{}, err
	}
	opens, err := WaveOpens(repo, plan.Cycle, repo.Cycles[plan.Cycle], plan.Gate)
	if err != nil {
		return nil, fleet.WaveStart{}, err
	}
	planned := make(map[fleet.TenantID]bool, len(devices))
	for i := range plan.Rows {
		planned[plan.Rows[i].Tenant] = true
	}
	var all []string
	var members []fleet.Membership
	for _, tenant := range repo.TenantIDs() {
		if !planned[tenant] {
			continue
		}
		m := devices[tenant]
		row := fleet.Membership{Cycle: plan.Cycle, Wave: plan.Gate, Tenant: tenant, Inactive: m.Inactive, Devices: []string{}}
		for _, d := range m.Devices {
			row.Devices = append(row.Devices, d.Device)
		}
		row.Root = Root(row.Devices)
		all = append(all, row.Devices...)
		members = append(members, row)
	}
	slices.Sort(all)
	start := fleet.WaveStart{Cycle: plan.Cycle, Wave: plan.Gate, Opens: opens, Devices: len(all), Root: Root(all), Plan: plan.Digest(), At: now}
	return members, start, nil
}

// IsFrozen reports whether evidence's newest membership is this one already: an
// earlier run was stopped before it could write the start. One that differs was
// left by a run that acted on another plan, and is superseded.
func IsFrozen(rec *fleet.Record, row fleet.Membership) bool {
	m := MembershipOf(rec, row.Cycle, row.Wave, row.Tenant)
	return m != nil && m.Root == row.Root && m.Inactive == row.Inactive && slices.Equal(m.Devices, row.Devices)
}

// WaveOpens is the instant a wave of a cycle opens. The cycle need not be on
// main yet.
func WaveOpens(repo *fleet.Repository, id fleet.CycleID, cycle fleet.Cycle, gate string) (time.Time, error) {
	wave, err := WaveOf(repo, id, gate)
	if err != nil {
		return time.Time{}, err
	}
	return calendar.Opens(repo.Week, id, cycle.CutOff, wave)
}
