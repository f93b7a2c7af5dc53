package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/proof"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// The windows and freezes of every zone and every change of clocks until 2032
// are in the tests of rules/calendar and rules/rollout; here whole weeks of
// rehearsals go over some of them.
func aboutTime() []invariant {
	ignoring := func(name string, unseen func(*fleet.Repository)) guard {
		return guard{name, func(w *world) { w.unseen = unseen }}
	}
	everyTenant := func(edit func(*fleet.Tenant)) func(*fleet.Repository) {
		return func(r *fleet.Repository) {
			for id := range r.Tenants {
				setTenant(r, id, edit)
			}
		}
	}
	return []invariant{
		{15, "no pin, hold, opt-out, freeze or window is violated by anything planned, over changes of clocks", withinBounds, []guard{
			ignoring("windows are not read", everyTenant(func(t *fleet.Tenant) { t.Windows = nil })),
			ignoring("clocks never change", everyTenant(func(t *fleet.Tenant) { t.Zone = winter(t.Zone) })),
			ignoring("freezes are not read", func(r *fleet.Repository) { clear(r.Freezes) }),
			ignoring("pins are not read", everyTenant(func(t *fleet.Tenant) { t.Policy.Pins = nil })),
			ignoring("opt-outs are not read", everyTenant(func(t *fleet.Tenant) { t.Policy.OptOuts = nil })),
			ignoring("holds are not read", func(r *fleet.Repository) { clear(r.Holds) }),
		}},
		{16, "deadlines are feasible or the check fails", feasible, []guard{
			{"the check proves nothing", func(w *world) { w.proves = func(*fleet.Repository, time.Time) []proof.Finding { return nil } }},
			{"the check does not know windows", func(w *world) {
				w.proves = func(r *fleet.Repository, now time.Time) []proof.Finding {
					r = cloned(r)
					everyTenant(func(t *fleet.Tenant) { t.Windows = nil })(r)
					return proof.Feasible(r, now)
				}
			}},
		}},
	}
}

// winter is a zone with the offset that another has in winter, all the year.
func winter(zone string) string {
	return map[string]string{"Europe/Helsinki": "Etc/GMT-2", "America/New_York": "Etc/GMT+5", "Australia/Lord_Howe": "Etc/GMT-11"}[zone]
}

// A bounded fleet has tenants in three zones with windows in the night of a
// change of clocks, one of them pinned, one opted out, and one release held.
func bounded(tuesday time.Time) Input {
	in := invented()
	repo, rec := cloned(in.Facts.Repo), *in.Facts.Record
	repo.Week.Steps = maps.Clone(repo.Week.Steps)
	repo.Week.Steps["announce"], repo.Week.Steps["deploy"] = fleet.WeekStep{On: "Fri", At: "17:00"}, fleet.WeekStep{On: "Sat", At: "12:00"}
	zones := []string{"Europe/Helsinki", "America/New_York", "Australia/Lord_Howe"}
	for n, id := range repo.TenantIDs() {
		setTenant(repo, id, func(t *fleet.Tenant) {
			t.Zone = zones[n%3]
			if t.Labels["role"] == "own" {
				return
			}
			t.Windows = map[string]fleet.Window{"night": {On: []string{"Sun"}, From: "00:30", Until: "05:30", For: []string{"install"}, DST: fleet.DSTRule{Gap: "later", Fold: "first"}}}
			later := tuesday.AddDate(0, 2, 0)
			switch n % 4 {
			case 1:
				t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{good: {Version: "1.*", Reason: "r", Expires: later}}
			case 2:
				t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{bad: {Reason: "r", Expires: later}}
			}
		})
	}
	saturday := tuesday.AddDate(0, 0, 4).Truncate(24 * time.Hour)
	if tuesday.Month() == time.October && tuesday.Day() == 20 {
		repo.Freezes["move"] = fleet.Freeze{From: saturday.Add(8 * time.Hour), Until: saturday.Add(23 * time.Hour), Scope: "all", Reason: "r"}
	}
	repo.Holds["held"] = fleet.Hold{Kind: "hold", Package: "vendor02/app002", Release: "2.0", Reason: "r"}
	rec.Inventory = slices.Clone(rec.Inventory)
	for i := range rec.Inventory {
		rec.Inventory[i].At, rec.Inventory[i].LastSeen = tuesday, tuesday.Format(time.DateOnly)
	}
	in.Now, in.Facts.Repo, in.Facts.Record = tuesday, repo, &rec
	in.Then = func(map[string]string) (*fleet.Record, error) { return &rec, nil }
	return in
}

// withinBounds rehearses the weeks before changes of clocks. What tenants said
// is read by their own clocks, and not by package calendar.
func withinBounds(w *world) error {
	calls := 0
	for _, tuesday := range []time.Time{on(3, 24, 12, 0), on(3, 3, 12, 0), on(9, 29, 12, 0), on(10, 20, 12, 0), on(10, 27, 12, 0)} {
		in := bounded(tuesday)
		s := NewState(w.blind(in))
		if err := w.lives(s, Builtin(), tuesday.AddDate(0, 0, 9), time.Hour, nil); err != nil {
			return err
		}
		for _, c := range s.Calls {
			if c.Action != "assign" || c.Wave == "dogfood" {
				continue
			}
			calls++
			if why := violated(in.Facts.Repo, c); why != "" {
				return fmt.Errorf("%s on %s from %s until %s: %s", c.Package, c.Tenant, c.Opens, c.Deadline, why)
			}
		}
	}
	return enough(40, calls, "assignments")
}

// violated says what a change on a tenant breaks, "" for nothing.
func violated(repo *fleet.Repository, c Call) string {
	t, start := repo.Tenants[c.Tenant], later(c.Opens, c.Made)
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return err.Error()
	}
	for name, f := range repo.Freezes {
		if !start.Before(f.From) && start.Before(f.Until) {
			return "it starts in the freeze " + name
		}
	}
	if p, ok := t.Policy.Pins[c.Package]; ok && start.Before(p.Expires) {
		return "it is pinned to " + p.Version
	}
	if _, ok := t.Policy.OptOuts[c.Package]; ok {
		return "the tenant opted out"
	}
	for name, h := range repo.Holds {
		if h.Package == c.Package {
			return "it is held by " + name
		}
	}
	for _, window := range t.Windows {
		from, until := start.In(zone), c.Deadline.In(zone)
		begins := from.Format("15:04")
		if !slices.Contains(window.On, from.Format("Mon")) || begins < window.From || begins >= window.Until || until.Format("15:04") > window.Until || from.Format(time.DateOnly) != until.Format(time.DateOnly) {
			return fmt.Sprintf("its clocks show %s until %s, and its window is %v %s to %s", from.Format("Mon 15:04"), until.Format("Mon 15:04"), window.On, window.From, window.Until)
		}
	}
	return ""
}

// feasible promises fixes within some hours on tenants with some windows: where
// a plan comes later than that, the check of the repository has a finding.
func feasible(w *world) error {
	kept, found := 0, 0
	nights := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	for _, days := range [][]string{nil, nights, {"Sat"}} {
		for _, promise := range []float64{2, 8, 20, 30, 60, 250} {
			repo, rec := lane(days, promise)
			ready := on(11, 18, 9, 0)
			late, err := latest(repo, rec, ready)
			if err != nil {
				return err
			}
			findings := slices.DeleteFunc(w.proves(repo, ready), func(f proof.Finding) bool { return f.Warn })
			switch broken := late.Sub(ready) > time.Duration(promise*float64(time.Hour)); {
			case broken && len(findings) == 0:
				return fmt.Errorf("with windows on %v a fix of %s comes at %s, %v hours are promised, and the check finds nothing", days, ready, late, promise)
			case broken:
				found++
			case len(findings) == 0:
				kept++
			}
		}
	}
	if err := enough(5, kept, "promises that are kept"); err != nil {
		return err
	}
	return enough(5, found, "promises that are not")
}

// lane is a repository with a lane for fixes, and a fix to travel in it.
func lane(days []string, promise float64) (*fleet.Repository, *fleet.Record) {
	in := invented()
	repo := withLane(cloned(in.Facts.Repo))
	release(good, "2.0", 2, "security")(repo)
	for id := range repo.Tenants {
		setTenant(repo, id, func(t *fleet.Tenant) {
			if t.Policy.CriticalWithinHours = promise; days != nil && t.Labels["role"] != "own" {
				t.Windows = map[string]fleet.Window{"night": {On: days, From: "22:00", Until: "02:00", For: []string{"install"}}}
			}
		})
	}
	return repo, in.Facts.Record
}

// withLane lets fixes go to everybody eight hours after they are ready.
func withLane(repo *fleet.Repository) *fleet.Repository {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	for i, after := range []int{0, 8} {
		repo.Waves[i].Lanes = map[string]fleet.LaneWave{fleet.LaneSecurity: {After: hours(after), Soak: hours(4), Looks: []fleet.Duration{hours(4)}}}
	}
	return repo
}

// latest is the last deadline of a fix that is ready at an instant.
func latest(repo *fleet.Repository, rec *fleet.Record, ready time.Time) (time.Time, error) {
	fix := repo.Packages[good].Releases["2.0"]
	fix.Published = &ready
	release := repo.Packages[good]
	release.Releases = map[string]fleet.Release{"1.0": release.Releases["1.0"], "2.0": fix}
	repo.Packages[good] = release
	cycle := fleet.Cycle{CutOff: ready, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{good: {Release: "2.0", Artifact: artifactOf(good, "2.0")}}}
	plan, err := rollout.Plan(repo, rec, "2026-W47-cve-01", cycle, "everyone")
	out := ready
	for _, row := range plan.Rows {
		out = later(out, row.Deadline)
	}
	if err == nil {
		err = enough(11, len(plan.Rows), "rows")
	}
	return out, err
}
