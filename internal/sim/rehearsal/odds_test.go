package rehearsal_test

import (
	"math"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// TestOdds holds the closed form against rehearsals with many seeds, for
// releases from good to bad.
func TestOdds(t *testing.T) {
	in := rehearsal.Invented(rehearsal.Size{Tenants: 6, Packages: 4, Devices: 600})
	m := rehearsal.Builtin()
	m.Failing = rehearsal.Failing{Releases: map[string]float64{"vendor01/app001@2.0": 0.06, "vendor02/app002@2.0": 0.09, "vendor03/app003@2.0": 0.3}}
	r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47})
	if err != nil {
		t.Fatal(err)
	}
	const runs = 300
	closed := r.ClosedForm(&m, w47)
	sampled, err := rehearsal.Sample(in, m, rehearsal.Options{Cycle: w47}, runs)
	if err != nil {
		t.Fatal(err)
	}
	if len(closed.Releases) != 4 || len(sampled.Releases) != 4 || closed.Method != rehearsal.Binomial || sampled.Method != rehearsal.Sampled || sampled.Runs != runs {
		t.Fatalf("%+v\n%+v", closed, sampled)
	}
	for i, c := range closed.Releases {
		s := sampled.Releases[i]
		// Four deviations of the sample: one test in some ten thousand fails by chance.
		if allowed := 4*math.Sqrt(c.Halt*(1-c.Halt)/runs) + 1e-9; math.Abs(c.Halt-s.Halt) > allowed {
			t.Errorf("%s breaks on %v: %v in closed form, %v of %d rehearsals", c.Package, c.Failing, c.Halt, s.Halt, runs)
		}
	}
	if good, bad := closed.Releases[0].Halt, closed.Releases[3].Halt; good != 0 || bad < 0.9999 {
		t.Errorf("a release that never breaks is halted with %v, one that breaks on 30 %% with %v", good, bad)
	}
	if middle := closed.Releases[1].Halt; middle < 0.05 || middle > 0.95 {
		t.Errorf("nothing is in between: %v", middle)
	}
}

// TestOddsInALane: a wave that is for lanes alone has no looks but the lane's.
func TestOddsInALane(t *testing.T) {
	const lane = fleet.CycleID("2026-W47-cve-01")
	in := rehearsal.Invented(rehearsal.Size{Tenants: 6, Packages: 1, Devices: 600})
	m := rehearsal.Builtin()
	m.Failing = rehearsal.Failing{Releases: map[string]float64{"vendor01/app001@2.0": 0.3}}
	repo, rec := in.Facts.Repo, in.Facts.Record
	wave := &repo.Waves[len(repo.Waves)-1]
	wave.LanesOnly, wave.Lanes = true, map[string]fleet.LaneWave{"cve": {Looks: wave.Gate.Looks}}
	wave.Gate.Looks = nil
	repo.Cycles[lane] = fleet.Cycle{Entries: map[fleet.PackageID]fleet.Entry{"vendor01/app001": {Release: "2.0"}}, Waves: []string{wave.Name}}
	plan := fleet.DigestOf([]byte("plan"))
	rec.PlanRows = map[fleet.Digest][]fleet.PlanRow{plan: {{Package: "vendor01/app001", Wave: wave.Name, Devices: 600}}}
	rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: lane, Wave: wave.Name, Plan: plan})
	r := rehearsal.Result{State: rehearsal.NewState(in)}
	if odds := r.ClosedForm(&m, lane); odds.Any < 0.9999 {
		t.Errorf("a release that breaks on 30 %% is halted with %v", odds.Any)
	}
}

// TestDevices looks at the devices of a model: shares are met, chance depends
// on everything that it should, and check-ins are regular.
func TestDevices(t *testing.T) {
	m := rehearsal.Builtin()
	m.Silent, m.Deferring, m.Failing.Others = 0.1, 0.3, 0.2
	other := m
	other.Seed++
	at := time.Date(2026, 11, 19, 7, 0, 0, 0, time.UTC)
	const n = 20_000
	var failed, off, deferred, sameSeed, sameVersion, sameWeek int
	for i := range n {
		d := m.Device("p/t", string(rune('a'+i%26))+time.Duration(i).String())
		e := other.Device("p/t", string(rune('a'+i%26))+time.Duration(i).String())
		fails := m.Fails(d, "a/b", "2.0")
		failed, off, deferred = failed+one(fails), off+one(m.Off(d, at)), deferred+one(m.Defers(d, "a/b", "2.0"))
		sameSeed += one(fails && other.Fails(e, "a/b", "2.0"))
		sameVersion += one(fails && m.Fails(d, "a/b", "2.1"))
		sameWeek += one(m.Off(d, at) && m.Off(d, at.AddDate(0, 0, 7)))
		c, ok := m.NextCheckIn(d, at)
		if next, more := m.NextCheckIn(d, c.Add(time.Second)); !ok || !more || c.Before(at) || m.Off(d, c) || !m.Off(d, next.Add(-time.Hour)) && next.Sub(c) != time.Hour {
			t.Fatalf("device %d checks in at %s and %s", i, c, next)
		}
	}
	for _, x := range []struct {
		what string
		got  int
		want float64
	}{
		{"fail", failed, 0.2}, {"are off", off, 0.1}, {"defer", deferred, 0.3}, {"fail under two seeds", sameSeed, 0.04},
		{"fail with two versions", sameVersion, 0.04}, {"are off in two weeks", sameWeek, 0.01},
	} {
		if got := float64(x.got) / n; math.Abs(got-x.want) > 4*math.Sqrt(x.want*(1-x.want)/n) {
			t.Errorf("%.4f of devices %s, want %.4f", got, x.what, x.want)
		}
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// TestLate lets every run begin up to seven hours late: the week still comes to
// its end, and no wave starts before it may.
func TestLate(t *testing.T) {
	m := rehearsal.Builtin()
	m.Runs.Late = fleet.Duration(7 * time.Hour)
	for seed := range int64(5) {
		m.Seed = seed
		r := rehearsed(t, m, rehearsal.Options{})
		for _, s := range r.State.Facts().Record.Starts {
			if s.At.Before(s.Opens.Add(-6 * time.Hour)) {
				t.Errorf("seed %d: wave %s starts at %s, and opens at %s", seed, s.Wave, s.At, s.Opens)
			}
		}
		if !r.Closed && r.Why == "" {
			t.Errorf("seed %d: not closed, and nothing says why", seed)
		}
	}
}
