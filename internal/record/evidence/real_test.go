package evidence_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

var author = fleet.Identity{Name: "packmill", Email: "packmill@operator.example"}

func clock() fleet.Clock {
	return fleet.NewManualClock(time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC))
}

func beat(n int) []fleet.Heartbeat {
	return []fleet.Heartbeat{{Command: fmt.Sprintf("run %d", n), Main: "m"}}
}

func repo(t testing.TB, made *gitrepo.Repo, err error) *gitrepo.Repo {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func initBare(t testing.TB, dir string) *gitrepo.Repo {
	t.Helper()
	r, err := gitrepo.Init(dir, true)
	return repo(t, r, err)
}

func cloneOf(t testing.TB, url string) *gitrepo.Repo {
	t.Helper()
	r, err := gitrepo.Clone(t.Context(), url, filepath.Join(t.TempDir(), "clone"), gitrepo.Auth{})
	return repo(t, r, err)
}

func run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestRealRepository appends through two clones of one remote at once, and
// audits a plain clone that git itself made, before and after git packs it.
func TestRealRepository(t *testing.T) {
	dir := t.TempDir()
	initBare(t, dir)
	key := evidence.NewTestKey(t)
	const writers, each = 2, 6
	var wg sync.WaitGroup
	for n := range writers {
		l := evidence.Open(cloneOf(t, dir), key, key, clock(), author)
		wg.Go(func() {
			for i := range each {
				if err := l.Append(t.Context(), evidence.Control, evidence.HeartbeatDir, beat(n*each+i)); err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	run(t, dir, "fsck", "--strict")
	if got := strings.Count(run(t, dir, "log", "--oneline", evidence.Control), "\n"); got != writers*each {
		t.Errorf("%d commits of %d batches", got, writers*each)
	}
	if got := run(t, dir, "log", "--format=%s|%an|%ad", "--date=iso", "-1", evidence.Control); got != "Record heartbeat|packmill|2026-11-18 06:00:00 +0000\n" {
		t.Errorf("git shows the commit as %q", got)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	run(t, dir, "clone", "-q", "--no-local", dir, plain)
	var whole *fleet.Record
	for range 2 {
		opened, err := gitrepo.Open(plain)
		l := evidence.Open(repo(t, opened, err), nil, key, clock(), fleet.Identity{})
		r, err := l.Read(t.Context())
		if err != nil || len(r.Heartbeats) != writers*each {
			t.Fatalf("read %+v, %v", r, err)
		}
		if found, err := l.Verify(t.Context(), r.Heads); err != nil || len(found) > 0 {
			t.Fatalf("found %v, %v", found, err)
		}
		whole = r
		run(t, plain, "gc", "-q", "--aggressive")
	}
	corruptPack(t, plain, key, whole)
}

// corruptPack flips bytes all over the pack that holds the ledger. What is not
// found must have changed nothing: a size or a padding bit of git's container,
// which is for git fsck to find, and no evidence.
func corruptPack(t *testing.T, plain string, key evidence.TestKey, want *fleet.Record) {
	packs, err := filepath.Glob(filepath.Join(plain, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	data, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(packs[0], 0o644); err != nil {
		t.Fatal(err)
	}
	found, tried := 0, 0
	for at := 12; at < len(data)-20; at += 149 { // between header and checksum
		tried++
		altered := append([]byte(nil), data...)
		altered[at] ^= 0x10
		if err := os.WriteFile(packs[0], altered, 0o644); err != nil {
			t.Fatal(err)
		}
		opened, err := gitrepo.Open(plain)
		l := evidence.Open(repo(t, opened, err), nil, key, clock(), fleet.Identity{})
		if list, err := l.Verify(t.Context()); err != nil || len(list) > 0 {
			found++
			continue
		}
		if got, err := l.Read(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("byte %d of the pack is altered unseen: %v", at, err)
		}
	}
	if found < tried*3/4 {
		t.Errorf("only %d of %d altered bytes were found", found, tried)
	}
}

// TestCrashBeforePush runs again after a run that wrote its objects and died.
func TestCrashBeforePush(t *testing.T) {
	dir := t.TempDir()
	initBare(t, dir)
	key := evidence.NewTestKey(t)
	clone := cloneOf(t, dir)
	l := evidence.Open(clone, key, key, clock(), author)
	for range 2 {
		if err := l.Append(t.Context(), evidence.Control, evidence.HeartbeatDir, beat(1)); err != nil {
			t.Fatal(err)
		}
	}
	// As if the push had not happened: the remote forgets.
	run(t, dir, "update-ref", "-d", "refs/heads/"+evidence.Control)
	run(t, clone.Dir(), "update-ref", "-d", "refs/remotes/origin/"+evidence.Control)
	if err := l.Append(t.Context(), evidence.Control, evidence.HeartbeatDir, beat(1)); err != nil {
		t.Fatal(err)
	}
	if here, there := run(t, clone.Dir(), "rev-parse", evidence.Control), run(t, dir, "rev-parse", evidence.Control); here != there {
		t.Errorf("the remote stands at %s, the clone at %s", there, here)
	}
}

// BenchmarkAppend appends to a ledger of 1,000 batches; the ratio to an empty
// one says what the length costs.
func BenchmarkAppend(b *testing.B) {
	key := evidence.NewTestKey(b)
	took := map[int]time.Duration{}
	for _, before := range []int{0, 1000} {
		l := evidence.Open(initBare(b, b.TempDir()), key, key, clock(), author)
		fill(b, l, before)
		b.Run(fmt.Sprintf("after-%d", before), func(b *testing.B) {
			n := 0
			for b.Loop() {
				n++
				if err := l.Append(b.Context(), evidence.Control, evidence.HeartbeatDir, beat(1_000_000+b.N*1000+n)); err != nil {
					b.Fatal(err)
				}
			}
			took[before] = b.Elapsed() / time.Duration(b.N)
			if took[0] > 0 {
				b.ReportMetric(float64(took[before])/float64(took[0]), "x-of-empty")
			}
		})
	}
}

// BenchmarkRead reads 2,000 rows in 1,000 batches with nothing in memory.
func BenchmarkRead(b *testing.B) {
	key := evidence.NewTestKey(b)
	dir := b.TempDir()
	fill(b, evidence.Open(initBare(b, dir), key, key, clock(), author), 1000)
	for _, what := range []string{"read", "verify"} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				opened, err := gitrepo.Open(dir)
				l := evidence.Open(repo(b, opened, err), nil, key, clock(), fleet.Identity{})
				if what == "read" {
					r, err := l.Read(b.Context())
					if err != nil || len(r.Heartbeats) != 2000 {
						b.Fatal(len(r.Heartbeats), err)
					}
				} else if found, err := l.Verify(b.Context()); err != nil || len(found) > 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}

func fill(b *testing.B, l *evidence.Ledger, batches int) {
	for n := range batches {
		if err := l.Append(b.Context(), evidence.Control, evidence.HeartbeatDir, append(beat(2*n), beat(2*n+1)...)); err != nil {
			b.Fatal(err)
		}
	}
}
