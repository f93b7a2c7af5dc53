package rehearsal

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// repeatable plans and judges the same facts again and again: as read on
// machines in other time zones, with rows and maps in other orders. Releases
// were published, and are deferred, across a change of clocks.
func repeatable(w *world) error {
	at := on(10, 27, 12, 0)
	zones := []*time.Location{time.UTC, time.FixedZone("", 3*3600)}
	for _, name := range []string{"Europe/Helsinki", "America/New_York", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return err
		}
		zones = append(zones, zone)
	}
	r := rand.New(rand.NewPCG(11, 11))
	plans, verdicts := map[string]fleet.Digest{}, map[fleet.Digest]string{}
	for n := range 20 {
		repo, rec, counts := readIn(zones[n%len(zones)], r, at)
		cycle := rollout.NewCycle(repo, rec, "2026-W44", at.In(zones[n%len(zones)]), nil)
		for _, name := range cycle.Waves {
			plan, err := w.plan(repo, rec, "2026-W44", cycle, name)
			if err != nil {
				return err
			}
			if err := enough(1, len(plan.Rows), "rows of a plan"); err != nil {
				return err
			}
			if before, ok := plans[name]; ok && before != plan.Digest() {
				return fmt.Errorf("the plan of %s is another one where it is %s", name, at.In(zones[n%len(zones)]))
			}
			plans[name] = plan.Digest()
		}
		v := w.decide(gate.Inputs{Cycle: "2026-W44", Wave: "everyone", Package: good, Gate: repo.Waves[1].Gate, Look: repo.Waves[1].Gate.Looks[0], Counts: counts, Limits: limits(counts), From: map[string]string{"main": "c", "evidence/control": "h"}})
		said := fmt.Sprint(v.Decision, v.Lower, v.Upper, v.Rule, v.Counts)
		if before, ok := verdicts[v.InputsDigest]; len(verdicts) > 0 && (!ok || before != said) {
			return fmt.Errorf("the verdict is %s, and was another one", said)
		}
		verdicts[v.InputsDigest] = said
	}
	return nil
}

func limits(counts map[fleet.TenantID]fleet.Counts) map[fleet.TenantID]float64 {
	out := map[fleet.TenantID]float64{}
	for t := range counts {
		out[t] = 5
	}
	return out
}

// readIn are the same facts as a machine in a zone reads them, with rows in
// some order. A time with an offset is in the machine's own zone where that has
// this offset then: so does package time parse.
func readIn(zone *time.Location, r *rand.Rand, at time.Time) (*fleet.Repository, *fleet.Record, map[fleet.TenantID]fleet.Counts) {
	in := invented()
	repo, rec := cloned(in.Facts.Repo), *in.Facts.Record
	published := on(10, 13, 22, 30).In(zone)
	for id, p := range repo.Packages {
		p.Releases = map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor", Published: &published}}
		repo.Packages[id] = p
	}
	for id := range repo.Tenants {
		setTenant(repo, id, func(t *fleet.Tenant) {
			t.Policy.NonSecurityDeferDays, t.Policy.NonSecurityWithinDays = 12, 5
			if id == "partner02/tenant0002" {
				t.Policy.NonSecurityDeferDays = 60
			}
		})
	}
	for _, id := range repo.PackageIDs() {
		rec.Builds = append(rec.Builds, fleet.Built{Package: id, Version: "2.0", Artifact: artifactOf(id, "2.0"), At: at.Add(-time.Hour).In(zone)})
		rec.Tests = append(rec.Tests, fleet.Tested{Package: id, Version: "2.0", Artifact: artifactOf(id, "2.0"), Cell: "c", Installer: "x64", Result: "passed", At: at.In(zone)})
	}
	rec.Inventory = slices.Clone(rec.Inventory)
	counts := map[fleet.TenantID]fleet.Counts{}
	for i := range rec.Inventory {
		row := &rec.Inventory[i]
		row.At, row.LastSeen = at.Add(-24*time.Hour).In(zone), "2026-10-26"
		c := counts[row.Tenant]
		c.Succeeded++
		counts[row.Tenant] = c
	}
	counts["partner05/tenant0005"] = fleet.Counts{Succeeded: 10, Failed: 9}
	r.Shuffle(len(rec.Inventory), func(a, b int) { rec.Inventory[a], rec.Inventory[b] = rec.Inventory[b], rec.Inventory[a] })
	r.Shuffle(len(rec.Builds), func(a, b int) { rec.Builds[a], rec.Builds[b] = rec.Builds[b], rec.Builds[a] })
	return repo, &rec, maps.Clone(counts)
}

func unsorted(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, cycle fleet.Cycle, gate string) (fleet.Plan, error) {
	plan, err := rollout.Plan(repo, rec, id, cycle, gate)
	rows := map[rollout.Slot]fleet.PlanRow{}
	for _, row := range plan.Rows {
		rows[rollout.Slot{Tenant: row.Tenant, Package: row.Package}] = row
	}
	plan.Rows = slices.Collect(maps.Values(rows))
	return plan, err
}

func zoned(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, cycle fleet.Cycle, gate string) (fleet.Plan, error) {
	plan, err := rollout.Plan(repo, rec, id, cycle, gate)
	for i := range plan.Rows {
		plan.Rows[i].Deadline = plan.Rows[i].Deadline.In(rec.Builds[0].At.Location())
	}
	return plan, err
}

func firstOnly(in gate.Inputs) fleet.Verdict {
	for _, c := range in.Counts {
		v := gate.Decide(in)
		v.Counts = c
		return v
	}
	return gate.Decide(in)
}

// partitioned is a week of three waves. Devices arrive while it runs.
func partitioned(w *world) error {
	in := threeWaves(invented())
	first := map[string][]fleet.Membership{}
	r, err := w.week(in, Builtin(), func(s *State, c Change) error {
		for _, start := range s.facts.Record.Starts {
			is := w.frozen(s.Facts(), start)
			if was, known := first[start.Wave]; known && !reflect.DeepEqual(was, is) {
				return fmt.Errorf("after %s at %s other devices are in wave %s than when it started", c.Kind, c.At, start.Wave)
			}
			first[start.Wave] = is
		}
		if c.Kind == Started {
			arrive(s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := enough(3, len(first), "waves"); err != nil {
		return err
	}
	return w.onceEach(r.State.facts.Repo, rollout.LatestInventory(r.State.facts.Record, time.Time{}), r.State.Now)
}

// threeWaves puts a wave of ten percent before the last.
func threeWaves(in Input) Input {
	repo := cloned(in.Facts.Repo)
	repo.Week.Steps = maps.Clone(repo.Week.Steps)
	repo.Week.Steps["pilot"] = fleet.WeekStep{On: "Fri", At: "16:00"}
	ten := 10.0
	pilot := repo.Waves[0]
	pilot.Name, pilot.Order, pilot.Select, pilot.Opens = "pilot", 2, fleet.Select{Percent: &ten}, fleet.Opens{Step: "pilot", Zone: "operator"}
	pilot.Arm, pilot.Gate.Looks, pilot.Gate.MinReports = fleet.Duration(time.Hour), []fleet.Duration{fleet.Duration(8 * time.Hour)}, 5
	everyone := repo.Waves[1]
	everyone.Order = 3
	repo.Waves = []fleet.Wave{repo.Waves[0], pilot, everyone}
	in.Facts.Repo = repo
	return in
}

// arrive lets every tenant have one device more, as an inventory tells.
func arrive(s *State) {
	rows := s.facts.Record.Inventory
	latest := rollout.LatestInventory(s.facts.Record, time.Time{})
	for _, t := range slices.Sorted(maps.Keys(latest)) {
		for _, row := range latest[t] {
			row.At = s.Now
			rows = append(rows, row)
		}
		fresh := latest[t][0]
		fresh.At, fresh.Device = s.Now, fmt.Sprintf("fffff%d%s", len(s.facts.Record.Starts), fresh.Device)
		rows = append(rows, fresh)
	}
	s.facts.Record.Inventory = rows
}

// onceEach puts all devices into waves: each into exactly one, and those of a
// percentage are among those of a higher one.
func (w *world) onceEach(repo *fleet.Repository, devices map[fleet.TenantID][]fleet.InventoryRow, at time.Time) error {
	seen := 0
	for _, id := range repo.TenantIDs() {
		in := map[string]int{}
		for _, m := range w.assign(repo.Waves, repo.Tenants[id], devices[id], string(week47), at) {
			for _, d := range m.Devices {
				in[d.Device]++
			}
		}
		for _, d := range devices[id] {
			if seen++; in[d.Device] != 1 {
				return fmt.Errorf("device %s of %s is in %d waves", d.Device, id, in[d.Device])
			}
		}
		below := map[string]bool{}
		for _, percent := range []float64{5, 10, 40, 90} {
			wave := fleet.Wave{Name: "w", Select: fleet.Select{Percent: &percent}}
			now := map[string]bool{}
			for _, d := range w.assign([]fleet.Wave{wave}, repo.Tenants[id], devices[id], string(week47), at)["w"].Devices {
				now[d.Device] = true
			}
			for d := range below {
				if !now[d] {
					return fmt.Errorf("device %s of %s is among fewer percent, and not among %v", d, id, percent)
				}
			}
			below = now
		}
	}
	return enough(1200, seen, "devices")
}

func eachAlone(waves []fleet.Wave, t fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]rollout.Members {
	out := map[string]rollout.Members{}
	for _, w := range waves {
		maps.Copy(out, rollout.Assign([]fleet.Wave{w}, t, devices, salt, at))
	}
	return out
}

func otherSalt(waves []fleet.Wave, t fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]rollout.Members {
	if p := waves[0].Select.Percent; p != nil {
		salt += fmt.Sprint(*p)
	}
	return rollout.Assign(waves, t, devices, salt, at)
}

func newestMembers(f rollout.Facts, s fleet.WaveStart) []fleet.Membership {
	var out []fleet.Membership
	members, err := rollout.MembersOf(f.Repo, f.Record, s.Cycle, f.Repo.Cycles[s.Cycle], s.Wave)
	if err != nil {
		return nil
	}
	latest := rollout.LatestInventory(f.Record, time.Time{})
	for t := range members {
		m := fleet.Membership{Cycle: s.Cycle, Wave: s.Wave, Tenant: t}
		for _, d := range rollout.Assign(f.Repo.Waves, f.Repo.Tenants[t], latest[t], string(s.Cycle), s.At)[s.Wave].Devices {
			m.Devices = append(m.Devices, d.Device)
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b fleet.Membership) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return out
}
