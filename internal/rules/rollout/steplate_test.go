package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// installs gives a tenant one window for installations.
func installs(id fleet.TenantID, from, until string, days ...string) fact {
	return tenant(id, func(t *fleet.Tenant) {
		t.Windows = map[string]fleet.Window{"w": {On: days, From: from, Until: until, For: []string{"install"}}}
	})
}

// missing is what the first wave does about a missed time.
func missing(rule string, within time.Duration) fact {
	return func(w *world) {
		w.repo.Waves[0].OnMissedWindow, w.repo.Waves[0].Within = rule, fleet.Duration(within)
	}
}

// TestStepLate has a runner that comes when the wave's time is over.
func TestStepLate(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	late := dogfoodAt.Add(7 * time.Hour)
	started := all(opened, start("dogfood", arm))
	deploys := []string{"deploy dogfood us/own pad tool"}
	armed := []string{"dogfood armed"}
	looks := "dogfood the gate looks next"
	mornings := all(installs(own, "09:00", "12:00", "Thu", "Fri"), opened, start("dogfood", arm)) // 07:00 to 10:00 in UTC
	thursdays := all(installs(own, "09:00", "12:00", "Thu"), opened, start("dogfood", arm))
	shifted := "dogfood us/own: its window ended at 2026-11-19 10:00Z; its next time is 2026-11-20 07:00Z"
	gone := "dogfood us/own: missed, and left to the next cycle: its start was at 2026-11-19 07:00Z; its next time is 2026-11-26 07:00Z, after what was approved"
	judge := "judge dogfood pad tool 6h"
	try(t, []situation{
		{"before its start it goes out", started, arm, deploys, armed},
		{"an hour after it too", started, dogfoodAt.Add(time.Hour), deploys, []string{looks}},
		{"not later", started, dogfoodAt.Add(time.Hour + time.Second), nil, []string{gone, looks}},
		{"not seven hours later", started, late, []string{judge}, []string{gone, looks}},
		{"unless people let it within hours", all(missing("runIfWithin", 8*time.Hour), started), late, append(deploys, judge), []string{looks}},
		{"and then no longer", all(missing("runIfWithin", 6*time.Hour), started), late, []string{judge}, []string{gone, looks}},
		{"nor when a wave is to start that changes nobody any more", opened, late, nil, []string{gone}},
		{"but when people approve it then", all(opened, start("dogfood", late.Add(-30*time.Minute)), approve("dogfood", late.Add(-time.Hour))), late, deploys, []string{looks}},
		{"and start it", all(opened, approve("dogfood", late.Add(-time.Hour))), late, []string{"start dogfood"}, nil},
		{"no longer than an hour", all(opened, approve("dogfood", late.Add(-time.Hour-time.Second))), late, nil, []string{gone}},
		{"nor outside a window", all(mornings, approve("dogfood", late)), late, []string{judge}, []string{shifted, looks}},
		{"in its window it goes out", mornings, dogfoodAt.Add(2 * time.Hour), deploys, []string{looks}},
		{"seven hours late it waits for the next", mornings, late, []string{judge}, []string{shifted, looks}},
		{"however late people let it, outside a window", all(missing("runIfWithin", 8*time.Hour), mornings), late, []string{judge}, []string{shifted, looks}},
		{"which it is armed for", mornings, dogfoodAt.Add(21 * time.Hour), append(deploys, judge), []string{looks}},
		{"and may be pushed in", mornings, dogfoodAt.Add(26 * time.Hour), append(deploys, judge), []string{looks}},
		{"after which it is missed", mornings, dogfoodAt.Add(27 * time.Hour), []string{judge}, []string{"dogfood us/own: missed, and left to the next cycle: its window ended at 2026-11-19 10:00Z; its next time is 2026-11-26 07:00Z", looks}},
		{"a window of next week is after what was approved", thursdays, late, []string{judge}, []string{"dogfood us/own: missed, and left to the next cycle: its window ended at", looks}},
		{"a window that was moved since takes it along", all(started, installs(own, "13:00", "15:00", "Thu")), arm, nil,
			[]string{"dogfood us/own: its start, 2026-11-19 07:00Z, is in none of the tenant's windows now; its next time is 2026-11-19 11:00Z", "dogfood armed"}},
		{"three hours before that", all(started, installs(own, "13:00", "15:00", "Thu")), dogfoodAt.Add(time.Hour), deploys, []string{looks}},
		{"a start that a freeze holds moves behind it", all(mornings, freeze("all", dogfoodAt, dogfoodAt.Add(time.Hour))), dogfoodAt.Add(2 * time.Hour), deploys, []string{looks}},
		{"a frozen window is none", all(mornings, freeze("all", dogfoodAt.Add(20*time.Hour), dogfoodAt.Add(30*time.Hour))), late, []string{judge},
			[]string{"dogfood us/own: missed", looks}},
		{"fixes pass the freeze", all(security(tool), security(pad), mornings, freeze("nonSecurity", dogfoodAt.Add(20*time.Hour), dogfoodAt.Add(30*time.Hour))), late, []string{judge}, []string{shifted, looks}},
	})
}

// TestStepLateOnDSTWeekend has a wave on the Sunday on which Helsinki's clocks
// go back at 04:00: the window from 02:00 to 05:00 lasts four hours.
func TestStepLateOnDSTWeekend(t *testing.T) {
	opens := time.Date(2026, 10, 24, 23, 0, 0, 0, time.UTC)
	row := fleet.PlanRow{Tenant: own, Package: tool, To: "2.0", NotBefore: opens, Deadline: opens.Add(4 * time.Hour)}
	repo := baseRepo()
	wave := repo.Waves[0]
	nights := fleet.Window{On: []string{"Sun"}, From: "02:00", Until: "05:00", For: []string{"install"}}
	for _, c := range []struct {
		windows map[string]fleet.Window
		hours   float64
		due     bool
	}{
		{nil, 1, true}, {nil, 1.5, false}, {nil, 7, false},
		{map[string]fleet.Window{"n": nights}, 3.9, true}, {map[string]fleet.Window{"n": nights}, 4, false}, {map[string]fleet.Window{"n": nights}, 7, false},
	} {
		tenant(own, func(t *fleet.Tenant) { t.Windows = c.windows })(&world{repo: repo})
		now := opens.Add(time.Duration(c.hours * float64(time.Hour)))
		got := rollout.TimingOf(repo, w47, wave, row, rollout.Consent{Until: opens.Add(24 * time.Hour)}, now)
		if got.Due(now) != c.due || c.due && (!got.Opens.Equal(opens) || !got.Deadline.Equal(row.Deadline)) || !c.due && got.Late == "" {
			t.Errorf("%d windows, %.1f hours late: %+v", len(c.windows), c.hours, got)
		}
	}
}

// TestLateInALane goes out late on a tenant without windows, and says so: a fix
// has no time of day.
func TestLateInALane(t *testing.T) {
	row := fleet.PlanRow{Tenant: own, Package: tool, To: "2.0", NotBefore: dogfoodAt, Deadline: dogfoodAt.Add(4 * time.Hour)}
	consent := rollout.Consent{Until: dogfoodAt.Add(24 * time.Hour)}
	night := fleet.Window{On: []string{"Thu"}, From: "22:00", Until: "23:00", For: []string{"install"}} // 20:00 in UTC
	for _, c := range []struct {
		windows map[string]fleet.Window
		hours   int
		due     bool
		missed  bool
	}{
		{nil, 7, true, false}, {nil, 24, true, false}, {nil, 25, false, true}, {map[string]fleet.Window{"n": night}, 7, false, false}, {map[string]fleet.Window{"n": night}, 13, true, false},
	} {
		repo := baseRepo()
		tenant(own, func(t *fleet.Tenant) { t.Windows = c.windows })(&world{repo: repo})
		now := dogfoodAt.Add(time.Duration(c.hours) * time.Hour)
		got := rollout.TimingOf(repo, "2026-W47-cve-01", repo.Waves[0], row, consent, now)
		if got.Due(now) != c.due || got.Missed != c.missed || got.Late == "" {
			t.Errorf("%d windows, %d hours late: %+v", len(c.windows), c.hours, got)
		}
	}
}

// TestStepTellsOfManyLate names a few tenants and counts the rest.
func TestStepTellsOfManyLate(t *testing.T) {
	look := dogfoodAt.Add(28 * time.Hour)
	w := newWorld(func(w *world) {
		for _, id := range []fleet.TenantID{"nordic/carl", "nordic/dahl", "nordic/ek"} {
			w.repo.Tenants[id] = w.repo.Tenants[berg]
			tenant(id, func(t *fleet.Tenant) { t.ID = id })(w)
			inventory(detectAt, id)(w)
		}
	}, dogfooded, approve("everyone", look), beat("announce 2026-W47", announceAt), start("everyone", announceAt))
	actions, waits := w.step(t, deployAt.Add(7*time.Hour))
	if len(actions) != 0 || len(waits) != 2 || !strings.HasPrefix(waits[0], "everyone nordic/aalto, nordic/berg, nordic/carl, 2 more: missed") {
		t.Errorf("%q\n%q", actions, waits)
	}
}

// TestStepArmsForTheEast arms a wave of local times before the first of its
// tenants has that time.
func TestStepArmsForTheEast(t *testing.T) {
	world := func(zone string) fact {
		return all(func(w *world) {
			w.repo.Waves[0].Opens.Zone = "tenant"
			tenant(own, func(t *fleet.Tenant) { t.Zone = zone })(w)
		}, opened)
	}
	east := dogfoodAt.Add(-11 * time.Hour) // 09:00 in Auckland
	arm := east.Add(-3 * time.Hour)
	started := func(zone string) fact { return all(world(zone), start("dogfood", arm)) }
	try(t, []situation{
		{"not before", world("Pacific/Auckland"), arm.Add(-time.Second), nil, []string{"dogfood approved"}},
		{"three hours before it", world("Pacific/Auckland"), arm, []string{"start dogfood"}, nil},
		{"not where clocks are behind", world("America/New_York"), arm, nil, []string{"dogfood approved"}},
		{"and deploys", started("Pacific/Auckland"), arm, []string{"deploy dogfood us/own pad tool"}, []string{"dogfood armed"}},
		{"late on that tenant's clocks is late", started("Pacific/Auckland"), east.Add(2 * time.Hour), nil, []string{"dogfood us/own: missed", "dogfood armed"}},
	})
}
