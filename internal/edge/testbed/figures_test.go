//go:build unix

package testbed

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// measure runs and reports seconds beside their bound.
func measure(b *testing.B, bound float64, run func()) {
	b.Helper()
	begin := time.Now()
	run()
	b.ReportMetric(time.Since(begin).Seconds(), "s")
	b.ReportMetric(bound, "bound-s")
}

// used is the seconds of a processor that children took and their own children
// did that were waited for: nearly all of a Linux cell, and little of Wine.
func used() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// mustPass fails the figure of a cell that did not do its work.
func mustPass(b *testing.B, steps []fleet.TestStep, err error) {
	if err != nil {
		b.Error(err)
	}
	wantSteps(b, steps, "install:passed", "detect:passed", "gone:passed", "upgrade:passed", "rollback:passed")
}

// debLife is the spec of a .deb with a release before.
func debLife(b *testing.B) Spec {
	candidate := func(version string) Candidate {
		return debFixture{version: version, program: "#!/bin/sh\necho " + version + "\n", contents: settled(b, version)}.candidate(b)
	}
	previous := candidate("1.0.0")
	return debSpec(candidate("1.1.0"), &previous)
}

// BenchmarkFigureLinuxCell takes a .deb through its whole life, on two devices,
// over a base that is there.
func BenchmarkFigureLinuxCell(b *testing.B) {
	cell, spec := chrootCell(b), debLife(b)
	for b.Loop() {
		before := used()
		measure(b, 5, func() {
			steps, err := cell.Run(b.Context(), spec)
			mustPass(b, steps, err)
		})
		b.ReportMetric(used()-before, "cpu-s")
	}
}

// BenchmarkFigureWineMSICell takes an MSI through its whole life, with upgrade,
// refused downgrade and the way back, over a base that is there.
func BenchmarkFigureWineMSICell(b *testing.B) {
	cell := wineCell(b)
	previous := msi(b, "1.0.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F01}")
	spec := windowsSpec(fleet.Installer{Type: "msi", Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}}}, msi(b, "1.1.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F02}"), &previous)
	for b.Loop() {
		measure(b, 15, func() {
			steps, err := cell.Run(b.Context(), spec)
			mustPass(b, steps, err)
		})
	}
}

// BenchmarkFigureEightCells runs eight Linux cells at once. They may take no
// longer than one after the other: they share processors and nothing else.
func BenchmarkFigureEightCells(b *testing.B) {
	cell, spec := chrootCell(b), debLife(b)
	for b.Loop() {
		begin := time.Now()
		steps, err := cell.Run(b.Context(), spec)
		mustPass(b, steps, err)
		one := time.Since(begin).Seconds()
		measure(b, 8*one, func() {
			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					steps, err := cell.Run(b.Context(), spec)
					mustPass(b, steps, err)
				})
			}
			wait.Wait()
		})
		b.ReportMetric(one, "one-s")
	}
}
