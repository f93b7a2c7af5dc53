package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func jsonAt(address string) fleet.Package {
	return fleet.Package{Upstream: &fleet.Upstream{Scheme: "windows", From: fleet.Feed{HTTPJSON: &fleet.HTTPJSON{URL: address, Path: "$.version"}}}}
}

// TestStalledHost: three hosts do not answer, and many packages ask them. Those
// of another host are done while the first still wait, and none of the hosts has
// more requests than it may.
func TestStalledHost(t *testing.T) {
	const each = 4 * perHost
	var stalled atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	c := New(Config{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "good.example" {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"version": "1.2"}`)), Request: req}, nil
		}
		stalled.Add(1)
		<-req.Context().Done()
		return nil, req.Context().Err()
	})})
	var waiting sync.WaitGroup
	for i := range 3 * each {
		waiting.Go(func() {
			if _, err := c.Find(ctx, jsonAt(fmt.Sprintf("https://stalled%d.example/%d", i%3, i)), nil, nil); err == nil {
				t.Error("a host that does not answer told a version")
			}
		})
	}
	for i := range 200 {
		if found, err := c.Find(t.Context(), jsonAt(fmt.Sprintf("https://good.example/%d", i)), nil, nil); err != nil || found.Version != "1.2" {
			t.Errorf("%q, %v", found.Version, err)
		}
	}
	if n := stalled.Load(); n > 3*perHost {
		t.Errorf("%d requests to three hosts side by side", n)
	}
	cancel()
	waiting.Wait()
}

// TestSummary checks what a run says it asked for, and that the quota told is the
// least that GitHub told, in whatever order its answers come.
func TestSummary(t *testing.T) {
	left := map[string]string{"/api.github.com/repos/a/b/releases": "41", "/api.github.com/repos/a/c/releases": "40", "/api.github.com/repos/a/d/releases": "43"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, ok := left[r.URL.Path]; ok {
			w.Header().Set("X-GitHub-Request-Id", "1")
			w.Header().Set("X-RateLimit-Limit", "60")
			w.Header().Set("X-RateLimit-Remaining", n)
		} else {
			w.Header().Set("X-RateLimit-Limit", "10") // another server's
			w.Header().Set("X-RateLimit-Remaining", "1")
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, `[{"tag_name": "1.0"}]`)
	}))
	defer srv.Close()
	config := Config{Mirror: srv.URL, CacheDir: t.TempDir()}
	run := func() Summary {
		c := New(config)
		for _, repo := range []string{"a/b", "a/c", "a/d"} {
			if _, err := c.Agree(t.Context(), fleet.Package{Upstream: &fleet.Upstream{Scheme: "windows"}}, fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: repo}}, ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Agree(t.Context(), fleet.Package{Upstream: &fleet.Upstream{Scheme: "windows"}}, fleet.Feed{HTTPJSON: &fleet.HTTPJSON{URL: "https://v.example/x", Path: "$[0].tag_name"}}, ""); err != nil {
			t.Fatal(err)
		}
		if err := c.Keep(); err != nil {
			t.Fatal(err)
		}
		return c.Summary()
	}
	if got, want := run(), (Summary{Requests: 4, Bytes: 4 * 21, GitHubLeft: 40, GitHubLimit: 60}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := run(), (Summary{Requests: 4, NotModified: 4, GitHubLeft: 40, GitHubLimit: 60}); got != want {
		t.Errorf("the second run: %+v, want %+v", got, want)
	}
}

// TestGitTagsOfGit asks git's own server.
func TestGitTagsOfGit(t *testing.T) {
	path, err := exec.Command("git", "--exec-path").Output()
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	if _, statErr := os.Stat(backend); err != nil || statErr != nil {
		t.Skipf("no git server here: %v, %v", err, statErr)
	}
	root := t.TempDir()
	repo := filepath.Join(root, "acme", "tool.git")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", root, "-c", "user.name=a", "-c", "user.email=a@vendor.example"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q", "w")
	git("-C", "w", "commit", "-q", "--allow-empty", "-m", "x")
	git("-C", "w", "tag", "v1.0.0")
	git("-C", "w", "tag", "-a", "-m", "x", "v1.1.0")
	git("-C", "w", "tag", "nightly")
	git("clone", "-q", "--bare", "w", repo)
	handler := &cgi.Handler{Path: backend, Root: "/github.com", Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"}}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	c := New(Config{Mirror: srv.URL})
	p := fleet.Package{Upstream: &fleet.Upstream{Scheme: "semver", From: fleet.Feed{GitHubTags: &fleet.GitHubTags{Repository: "acme/tool", Tag: "v{version}"}}}}
	found, err := c.Find(t.Context(), p, nil, nil)
	if err != nil || found.Version != "1.1.0" || !found.Published.IsZero() {
		t.Errorf("%q at %v, %v", found.Version, found.Published, err)
	}
	if sum := c.Summary(); sum.Requests != 1 || sum.GitHubLimit != 0 {
		t.Errorf("%+v", sum)
	}
	p.Upstream.From.GitHubTags.Repository = "acme/absent"
	if _, err := c.Find(t.Context(), p, nil, nil); err == nil {
		t.Error("a repository that is not there has tags")
	}
}

// TestRefusedHost: a host that wants to be left alone for an hour is, and only
// that host.
func TestRefusedHost(t *testing.T) {
	var asked atomic.Int32
	c := New(Config{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"version": "1.2"}`)), Request: req}
		if req.URL.Host == "tired.example" {
			asked.Add(1)
			resp.StatusCode = http.StatusTooManyRequests
			resp.Header.Set("Retry-After", "3600")
		}
		return resp, nil
	})})
	for i := range 10 {
		_, err := c.Find(t.Context(), jsonAt(fmt.Sprintf("https://tired.example/%d", i)), nil, nil)
		if h, ok := HoldOf(err); !ok || h.Name != fleet.HoldRateLimited {
			t.Errorf("%v, want %s", err, fleet.HoldRateLimited)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if _, err := c.Find(t.Context(), jsonAt("https://fresh.example/1"), nil, nil); err != nil {
		t.Error(err)
	}
}
