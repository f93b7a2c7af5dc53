//go:build unix

package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/sim/fleets"
)

// BenchmarkFigureReconcile asks packmill, as a process of its own, what is due
// in a fleet where nothing is, from git alone: main is read and checked, every
// batch of evidence verified and decoded, the plan of the wave that may open
// next recomputed. Nothing is kept from one call to the next.
func BenchmarkFigureReconcile(b *testing.B) {
	for _, size := range []struct {
		fleets.Size
		bound float64
	}{{fleets.S(), 2}, {fleets.M(), 10}} {
		dir := fleetOnDisk(b, size.Size)
		for name, args := range map[string][]string{"run": {"run", "--yes=false"}, "status": {"cycle", "status"}} {
			b.Run(size.Name+"/"+name, func(b *testing.B) {
				var most, cpu float64
				for b.Loop() {
					rss, used := reconcile(b, dir, args)
					most, cpu = max(most, rss), cpu+used.Seconds()
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
				b.ReportMetric(size.bound, "bound-s")
				b.ReportMetric(cpu/float64(b.N), "cpu-s")
				b.ReportMetric(most, "MiB")
				b.ReportMetric(2048, "bound-MiB")
			})
		}
	}
}

// fleetOnDisk is the repository of a fleet. They take a minute to make, so they
// are kept where PACKMILL_FLEETS says.
func fleetOnDisk(b *testing.B, size fleets.Size) string {
	dir := os.Getenv("PACKMILL_FLEETS")
	if dir == "" {
		dir = b.TempDir()
	}
	kept := filepath.Join(dir, size.Name+".git")
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	made := filepath.Join(b.TempDir(), size.Name+".git")
	if _, err := fleets.Write(b.Context(), made, size); err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.CopyFS(kept, os.DirFS(made)); err != nil {
		b.Fatal(err)
	}
	return kept
}

// reconcile calls packmill and gives the most memory any of its processes held,
// in MiB, and the time they all took of a processor.
func reconcile(b *testing.B, dir string, args []string) (float64, time.Duration) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Args = append([]string{programName, "--repo", dir, "--now", fleets.Soaking().Format(time.RFC3339)}, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.TempDir()}
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil {
		b.Fatal(err, told.String())
	}
	if args[0] == "run" && !strings.Contains(out.String(), "nothing is due") || !strings.Contains(out.String(), string(fleets.SecondCycle)) {
		b.Fatal(out.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		b.Fatal("no usage of the process")
	}
	return float64(usage.Maxrss) / 1024, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
