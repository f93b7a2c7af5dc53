package intunewin

import (
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// BenchmarkWrite packs an installer of 1 GiB and, side by side, has openssl
// encrypt and hash the same bytes. It prints openssl/packmill, whose bound is
// 0.8, and the memory taken above the start, whose bound is 64 MiB.
func BenchmarkWrite(b *testing.B) {
	const size = 1 << 30
	dir := b.TempDir()
	setup := filepath.Join(dir, "setup.exe")
	entry := benchInput(b, setup, size)
	openssl, lookErr := exec.LookPath("openssl")
	b.SetBytes(size)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		out, err := os.Create(filepath.Join(dir, "out.intunewin"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Write(b.Context(), out, Package{Name: "x", SetupFile: "setup.exe", Entries: []Entry{entry}}); err != nil {
			b.Fatal(err)
		}
		if err := out.Close(); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		if lookErr != nil {
			continue
		}
		start = time.Now()
		run(b, openssl, "enc", "-aes-256-cbc", "-K", "00", "-iv", "00", "-in", setup, "-out", filepath.Join(dir, "out.enc"))
		run(b, openssl, "dgst", "-sha256", setup)
		theirs += time.Since(start)
	}
	runtime.ReadMemStats(&after)
	// Sys counts what was ever taken from the system: it does not shrink.
	b.ReportMetric(float64(after.Sys-before.Sys)/(1<<20), "MiB-above-start(bound:64)")
	if lookErr == nil {
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "openssl-ratio(bound:0.8)")
	}
}

func benchInput(b *testing.B, path string, size int64) Entry {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s := NewScanner()
	if _, err := io.CopyN(io.MultiWriter(f, s), rand.Reader, size); err != nil {
		b.Fatal(err)
	}
	return s.Entry("setup.exe", func() (io.ReadCloser, error) { return os.Open(path) })
}

func run(b *testing.B, name string, args ...string) {
	b.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", name, err, out)
	}
}
