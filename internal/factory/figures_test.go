//go:build unix

package factory_test

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/fleets"
	"github.com/packmill/packmill/internal/view"
)

// The figures to reach on two cores. testdata/bench/run runs every benchmark
// whose name begins with BenchmarkFigure and makes a table of what each reports
// as "s" (or another unit) beside the bound it reports as "bound-s".

// peak watches how much memory this process holds while something runs, in MiB:
// what the runtime has from the system and has not given back.
func peak() (stop func() float64) {
	var most atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.Store(max(most.Load(), m.Sys-m.HeapReleased))
	}
	look()
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				look()
			}
		}
	}()
	return func() float64 {
		close(done)
		<-ended
		look()
		return float64(most.Load()) / (1 << 20)
	}
}

// cpu is how much time of a processor this process has used, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// report gives the seconds of one round beside their bound. since is what cpu
// was before the first.
func report(b *testing.B, bound, since float64) {
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
	b.ReportMetric(bound, "bound-s")
	b.ReportMetric((cpu(b)-since)/float64(b.N), "cpu-s")
}

func fleetOf(b *testing.B, s fleets.Size) *fleets.Fleet {
	f, err := fleets.New(s)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	return f
}

// BenchmarkFigurePlan plans every wave of a cycle from inventories in memory,
// and says whom it reaches: digests, summaries, and the text of the pull
// request that opens the cycle.
func BenchmarkFigurePlan(b *testing.B) {
	for _, size := range []struct {
		fleets.Size
		bound, memory float64
	}{{fleets.S(), 2, 2048}, {fleets.M(), 10, 2048}, {fleets.L(), 90, 2048}} {
		b.Run(size.Name, func(b *testing.B) {
			f := fleetOf(b, size.Size)
			stop, since := peak(), cpu(b)
			for b.Loop() {
				openCycle(b, f)
			}
			report(b, size.bound, since)
			b.ReportMetric(stop(), "MiB")
			b.ReportMetric(size.memory, "bound-MiB")
		})
	}
}

func openCycle(b *testing.B, f *fleets.Fleet) {
	id := fleets.SecondCycle
	cycle := f.Repo.Cycles[id]
	records := map[string]fleet.PlanRecord{}
	var plans []fleet.Plan
	rows := 0
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(f.Repo, f.Record, id, cycle, gate)
		if err != nil {
			b.Fatal(err)
		}
		records[gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence, Summary: plan.Summary()}
		plans, rows = append(plans, plan), rows+len(plan.Rows)
	}
	text := view.CyclePull(f.Repo, id, cycle, plans)
	if want := f.Size.Tenants * f.Size.Packages * 15 / 100; rows < want || len(desired.PlanFile(id, records)) == 0 || text.Text == "" {
		b.Fatalf("%d rows, want at least %d", rows, want)
	}
}

// BenchmarkFigureStep asks what is due in a fleet where nothing is.
func BenchmarkFigureStep(b *testing.B) {
	for _, size := range []struct {
		fleets.Size
		bound float64
	}{{fleets.M(), 1}, {fleets.L(), 10}} {
		b.Run(size.Name, func(b *testing.B) {
			f := fleetOf(b, size.Size)
			facts, since := rollout.Facts{Repo: f.Repo, Record: f.Record}, cpu(b)
			for b.Loop() {
				if actions, _, err := rollout.Step(facts, f.Now); err != nil || len(actions) > 0 {
					b.Fatal(actions, err)
				}
			}
			report(b, size.bound, since)
		})
	}
}
