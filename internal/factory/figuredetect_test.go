//go:build unix

package factory_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// A crowd is vendors that have a document each for many packages, and take a
// while to answer.
type crowd struct {
	packages, hosts int
	size            int // bytes of a document
	latency         time.Duration
}

// serve answers at any address, with a validator.
func (c crowd) serve(b *testing.B) string {
	// Text that packs no better than a vendor's own does.
	random := rand.New(rand.NewPCG(1, 2))
	var notes strings.Builder
	for notes.Len() < c.size {
		fmt.Fprintf(&notes, "fixed %x in part %d. ", random.Uint64(), random.IntN(50))
	}
	text := notes.String()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(c.latency)
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		for _, part := range []string{`{"version": "1.0", "at": "`, r.URL.Path, `", "notes": "`, text, `"}`} {
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}))
	b.Cleanup(web.Close)
	return web.URL
}

func (c crowd) repository() *fleet.Repository {
	repo := &fleet.Repository{Packages: map[fleet.PackageID]fleet.Package{}}
	for i := range c.packages {
		id := fleet.PackageID(fmt.Sprintf("acme/p%d", i))
		feed := fleet.HTTPJSON{URL: fmt.Sprintf("https://v%d.example/%d", i%c.hosts, i), Path: "$.version"}
		repo.Packages[id] = fleet.Package{ID: id, Upstream: &fleet.Upstream{Scheme: "windows", From: fleet.Feed{HTTPJSON: &feed}}}
	}
	return repo
}

// look asks for all packages once and keeps what was learned.
func (c crowd) look(b *testing.B, config upstream.Config, repo *fleet.Repository) upstream.Summary {
	client := upstream.New(config)
	f := &factory.Factory{Clock: config.Clock, Upstream: client}
	findings, err := f.Detect(b.Context(), factory.Look{Repo: repo})
	if err != nil || len(findings) != c.packages {
		b.Fatalf("%d findings, %v", len(findings), err)
	}
	for _, found := range findings {
		if found.State != fleet.StateNew {
			b.Fatalf("%s: %s (%s)", found.Package, found.State, found.Why)
		}
	}
	if err := client.Keep(); err != nil {
		b.Fatal(err)
	}
	return client.Summary()
}

// plain is how long the same addresses take a client that does nothing with the
// answers, as many side by side: what this machine has to give at the moment.
func (c crowd) plain(b *testing.B, base string) float64 {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	begun := time.Now()
	work, workers := make(chan int), sync.WaitGroup{}
	for range 64 {
		workers.Go(func() {
			for i := range work {
				resp, err := client.Get(fmt.Sprintf("%s/%d", base, i))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range c.packages {
		work <- i
	}
	close(work)
	workers.Wait()
	return time.Since(begun).Seconds()
}

// BenchmarkFigureDetect looks at packages with an address each at 100 ms latency.
// 500 of one host are bound by what that host is asked at once: addresses ×
// latency ÷ 64; plain-s is what that takes here and now. A second look has validators, and is told that nothing changed.
// Memory grows by each answer, packed, which is kept until the end of the run.
func BenchmarkFigureDetect(b *testing.B) {
	const latency = 100 * time.Millisecond
	for _, size := range []struct {
		name string
		crowd
		bound, memory float64 // seconds and MiB
	}{
		{"500", crowd{500, 1, 2 << 10, latency}, 1.3 * 500 / 64 * latency.Seconds(), 128},
		{"4000", crowd{4000, 400, 40 << 10, latency}, 60, 320},
	} {
		repo := size.repository()
		web := size.serve(b)
		config := upstream.Config{Mirror: web, Clock: fleet.NewManualClock(detectTime)}
		b.Run(size.name, func(b *testing.B) {
			runtime.GC()
			stop, since := peak(), cpu(b)
			for b.Loop() {
				config.CacheDir = b.TempDir()
				size.look(b, config, repo)
			}
			report(b, size.bound, since)
			b.ReportMetric(stop(), "MiB")
			b.ReportMetric(size.memory, "bound-MiB")
			b.ReportMetric(size.plain(b, web), "plain-s")
		})
		b.Run(size.name+"/again", func(b *testing.B) {
			config.CacheDir = b.TempDir()
			first := size.look(b, config, repo)
			runtime.GC()
			stop, since := peak(), cpu(b)
			var again upstream.Summary
			for b.Loop() {
				again = size.look(b, config, repo)
			}
			if again.NotModified != size.packages {
				b.Fatalf("%+v", again)
			}
			report(b, size.bound, since)
			b.ReportMetric(float64(again.Bytes)/1024, "KiB")
			b.ReportMetric(float64(first.Bytes)/1024/3, "bound-KiB")
			b.ReportMetric(stop(), "MiB")
			b.ReportMetric(size.memory, "bound-MiB")
		})
	}
}
