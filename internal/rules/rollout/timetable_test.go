package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// latest is by when the tenant has installed what the first wave brings. What
// was read of its windows before changes nothing.
func latest(t *testing.T, w *world, id fleet.CycleID, security bool) (rollout.Install, error) {
	t.Helper()
	var first rollout.Install
	for i, reads := range []time.Duration{0, 60 * 24 * time.Hour} {
		installs, err := rollout.NewInstalls(w.repo, id, w.repo.Tenants[own], security, on(1, 0, 0), on(1, 0, 0).Add(reads))
		if err != nil {
			return first, err
		}
		got, err := installs.Of(w.repo.Waves[0], dogfoodAt)
		if i == 0 {
			first = got
		}
		if err != nil {
			return got, err
		}
		if got != first {
			t.Errorf("%+v, with windows read before %+v", first, got)
		}
	}
	return first, nil
}

// TestInstalls has the first wave, which opens on Thursday 19 November at
// 07:00 in UTC and looks for 28 hours.
func TestInstalls(t *testing.T) {
	mornings, nights := installs(own, "09:00", "12:00", "Thu", "Fri"), installs(own, "22:00", "04:00", "Sat")
	for _, c := range []struct {
		name     string
		facts    fact
		security bool
		want     time.Time // zero where it cannot at all
	}{
		{"without windows, by the last look", all(), false, on(20, 11, 0)},
		{"in its window", mornings, false, on(19, 10, 0)},
		{"in the next one", nights, false, on(22, 2, 0)},
		{"a window for reboots restricts nothing", all(mornings, tenant(own, func(t *fleet.Tenant) {
			t.Windows = map[string]fleet.Window{"w": {On: []string{"Sun"}, From: "01:00", Until: "02:00", For: []string{"reboot"}}}
		})), false, on(20, 11, 0)},
		{"behind a freeze, in the rest of the window", all(mornings, freeze("all", on(19, 0, 0), on(19, 9, 0))), false, on(19, 10, 0)},
		{"behind a freeze, in the next window", all(mornings, freeze("all", on(19, 0, 0), on(19, 10, 0))), false, on(20, 10, 0)},
		{"before a freeze that begins in the window", all(mornings, freeze("all", on(19, 9, 0), on(30, 0, 0))), false, on(19, 9, 0)},
		{"a freeze of other releases lets a fix through", all(mornings, freeze("nonSecurity", on(19, 0, 0), on(30, 0, 0))), true, on(19, 10, 0)},
		{"and nothing else", all(mornings, freeze("nonSecurity", on(19, 0, 0), on(24, 0, 0))), false, on(26, 10, 0)},
		{"without windows, the step after a freeze", freeze("all", on(19, 0, 0), on(20, 0, 0)), false, on(27, 11, 0)},
		{"a freeze that the cycle overrides is none", all(freeze("all", on(19, 0, 0), on(25, 0, 0)), func(w *world) {
			w.repo.Cycles[w47] = fleet.Cycle{Overrides: &fleet.Overrides{Freezes: []string{"winter"}}}
		}), false, on(20, 11, 0)},
		{"without windows, before a freeze begins", freeze("all", on(20, 0, 0), on(25, 0, 0)), false, on(20, 0, 0)},
		{"months of freeze", all(mornings, freeze("all", on(19, 0, 0), on(19, 0, 0).AddDate(0, 3, 0))), false, time.Date(2027, 2, 19, 10, 0, 0, 0, time.UTC)},
		{"shut on every day it opens", all(mornings, tenant(own, func(t *fleet.Tenant) {
			w := t.Windows["w"]
			w.Holidays = "shut"
			t.Windows = map[string]fleet.Window{"w": w}
			t.Holidays = &fleet.Holidays{Add: map[string]string{}}
			for day := on(1, 0, 0); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
				t.Holidays.Add[day.Format(time.DateOnly)] = "closed"
			}
		})), false, time.Time{}},
		{"each tenant's own time", func(w *world) {
			w.repo.Waves[0].Opens.Zone = "tenant"
			tenant(own, func(t *fleet.Tenant) { t.Zone = "America/New_York" })(w)
		}, false, on(20, 18, 0)},
	} {
		w := newWorld(c.facts)
		in, err := latest(t, w, w47, c.security)
		got := in.Until
		if c.want.IsZero() {
			if fleet.KindOf(err) != fleet.Refused {
				t.Errorf("%s: %s, %v", c.name, got, err)
			}
			continue
		}
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
		}
	}
	w := newWorld(freeze("all", on(19, 0, 0), on(20, 0, 0)))
	if got, err := latest(t, w, "2026-W47-cve-01", true); err != nil || !got.Until.Equal(on(21, 4, 0)) || got.Freeze != "winter" {
		t.Errorf("a lane goes on when a freeze ends: %+v, %v", got, err)
	}
	w = newWorld(tenant(own, func(t *fleet.Tenant) { t.Holidays = &fleet.Holidays{Country: "XX"} }))
	if _, err := latest(t, w, w47, false); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a calendar that cannot be read: %v", err)
	}
}

// TestFreezeScope is about what a freeze stops, and when.
func TestFreezeScope(t *testing.T) {
	from, until := on(19, 7, 0), on(20, 7, 0)
	w := newWorld(freeze("nonSecurity", from, until), func(w *world) {
		w.repo.Freezes["audit"] = fleet.Freeze{Scope: "all", From: until.Add(time.Hour), Until: until.Add(2 * time.Hour)}
	})
	for _, c := range []struct {
		at       time.Time
		security bool
		want     string
	}{
		{from.Add(-time.Nanosecond), false, ""}, {from, false, "winter"}, {from, true, ""}, {until.Add(-time.Nanosecond), false, "winter"}, {until, false, ""},
		{until.Add(time.Hour), false, "audit"}, {until.Add(time.Hour), true, "audit"}, {until.Add(2 * time.Hour), true, ""},
	} {
		if got := w.repo.Frozen(c.at, c.security); got != c.want {
			t.Errorf("at %s, a fix %v: %q, want %q", c.at, c.security, got, c.want)
		}
	}
}

// TestSoonest: what is no part of a wave waits for the tenant's window too.
func TestSoonest(t *testing.T) {
	mondays := map[string]fleet.Window{
		"w": {On: []string{"Mon"}, From: "22:00", Until: "02:00", For: []string{"install"}},
		"r": {On: []string{"Tue"}, From: "12:00", Until: "13:00", For: []string{"reboot"}},
	}
	for _, c := range []struct {
		name    string
		windows map[string]fleet.Window
		now     time.Time
		want    time.Time // zero for at once
	}{
		{"no windows", nil, deployAt, time.Time{}},
		{"windows for reboots alone", map[string]fleet.Window{"r": mondays["r"]}, deployAt, time.Time{}},
		{"before it", mondays, deployAt, on(23, 20, 0)}, // Helsinki is two hours ahead
		{"in it", mondays, on(23, 21, 0), time.Time{}},
		{"after midnight in it", mondays, on(23, 23, 59), time.Time{}},
		{"at its end", mondays, on(24, 0, 0), on(30, 20, 0)},
	} {
		got, err := rollout.Soonest(baseRepo().Week, fleet.Tenant{ID: own, Zone: "Europe/Helsinki", Windows: c.windows}, c.now)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	never := fleet.Tenant{ID: own, Zone: "Europe/Helsinki", Windows: map[string]fleet.Window{"w": {From: "22:00", Until: "23:00", For: []string{"install"}}}}
	if _, err := rollout.Soonest(baseRepo().Week, never, deployAt); fleet.KindOf(err) != fleet.Stalled {
		t.Errorf("a window that never opens: %v", err)
	}
}
