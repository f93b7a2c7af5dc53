package rehearsal_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// bound is what a rehearsal at the middle size may take on two cores.
const bound = 15 * time.Second

// BenchmarkFigureSimulate rehearses a whole week of 500 tenants, 100 packages and
// 50,000 devices, from before the cut-off to the closing, and finds the
// probability to halt. It prints seconds a rehearsal beside the bound.
func BenchmarkFigureSimulate(b *testing.B) {
	in := rehearsal.Invented(rehearsal.Size{Tenants: 500, Packages: 100, Devices: 50_000})
	m := rehearsal.Builtin()
	m.Failing.Releases = map[string]float64{"vendor01/app001@2.0": 0.2}
	for b.Loop() {
		r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47})
		if err != nil {
			b.Fatal(err)
		}
		if !r.Closed {
			b.Fatalf("the cycle is not closed: %s", r.Why)
		}
		if odds := r.ClosedForm(&m, w47); odds.Any < 0.99 {
			b.Fatalf("a release that breaks on a fifth of devices is halted with %v", odds.Any)
		}
		if n := len(r.Timeline(w47)); n != 500 {
			b.Fatalf("%d legs", n)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
	b.ReportMetric(bound.Seconds(), "bound-s")
}
