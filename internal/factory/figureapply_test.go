//go:build unix

package factory_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// BenchmarkFigureApply assigns a wave of releases to 500 tenants of a service
// that takes 50 ms to answer and throttles as published: 100 writes and 1,000
// requests in 20 s, by application and tenant. Twenty of them take forty
// packages, the others four. Evidence is written to a clone of a repository on
// this machine, signed and pushed, within the time.
//
// The bound is one and a half times what the requests that were made allow no
// client to be faster than, in the tenant that it holds longest: a window of the
// throttle for each full one before the last request, or the latency of its
// requests one after another. Contents here are some KiB: what is measured are
// calls. The service and its 500 tenants run on the same two cores.
func BenchmarkFigureApply(b *testing.B) {
	const latency = 50 * time.Millisecond
	for name, s := range map[string]scale{
		"500": {tenants: 500, packages: 4, large: 20, largePackages: 40},
		"60":  {tenants: 60, packages: 4, large: 3, largePackages: 40},
	} {
		b.Run(name, func(b *testing.B) {
			s.devices, s.real, s.latency = 4, true, latency
			s.change = func(o *graph.Options) { o.Limit = graph.Published() }
			w := newScaleWorld(b, s)
			w.dial() // what the world itself asked counts for nobody
			actions := w.actions(rollout.Deploy, theCycle, theWave)
			served := w.served.Load()
			runtime.GC()
			stop, since := peak(), cpu(b)
			begun := time.Now()
			for b.Loop() {
				made, again, err := w.carry(b.Context(), actions)
				if made != len(actions) || len(again) > 0 || err != nil {
					b.Fatalf("made %d of %d, %d again: %v", made, len(actions), len(again), err)
				}
			}
			took := time.Since(begun)
			memory := stop()
			var bound, throttled time.Duration
			var requests, lost, later int64
			for _, c := range w.counts {
				writes, all := c.writes.Load(), c.reads.Load()+c.writes.Load()
				throttle := time.Duration(max((writes-1)/100, (all-1)/1000)) * 20 * time.Second
				throttled = max(throttled, throttle)
				bound = max(bound, throttle, time.Duration(all+c.blobs.Load())*latency)
				requests, lost, later = requests+all+c.blobs.Load(), lost+c.lost.Load(), later+c.later.Load()
			}
			if sent := w.served.Load() - served; sent != requests || lost > 0 {
				b.Fatalf("%d requests were sent and %d answered, %d without an answer", requests, sent, lost)
			}
			report(b, 1.5*bound.Seconds(), since)
			b.ReportMetric(bound.Seconds(), "least-s")
			b.ReportMetric(throttled.Seconds(), "throttle-s")
			b.ReportMetric(took.Seconds()/bound.Seconds(), "ratio")
			b.ReportMetric(float64(requests)/1000, "k-requests")
			b.ReportMetric(float64(later), "refused-429")
			b.ReportMetric(memory, "MiB")
			b.ReportMetric(512, "bound-MiB")
		})
	}
}
