package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// TestOneRequest checks that side by side lookups of one address share it.
func TestOneRequest(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		fmt.Fprint(w, `{"version": "1.2"}`)
	}))
	defer srv.Close()
	c := New(Config{Mirror: srv.URL})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if list, err := c.entries(t.Context(), fleet.Feed{HTTPJSON: &fleet.HTTPJSON{URL: "https://vendor.example/x", Path: "$.version"}}); err != nil || list[0].Version != "1.2" {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("%d requests", n.Load())
	}
}

func TestHoldOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&transport.StatusError{Status: 429}, fleet.HoldRateLimited},
		{&transport.StatusError{Status: 403, Header: http.Header{"X-Ratelimit-Remaining": {"0"}}}, fleet.HoldRateLimited},
		{&transport.StatusError{Status: 403}, fleet.HoldUnreachable},
		{&transport.StatusError{Status: 404}, fleet.HoldUnreachable},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), fleet.HoldTruncated},
		{&transport.GuardError{Address: "10.0.0.1"}, fleet.HoldNotAllowed},
		{&transport.RedirectError{Err: errors.New("no")}, fleet.HoldNotAllowed},
		{&transport.RedirectError{Err: holdf(fleet.HoldSigner, "own")}, fleet.HoldSigner},
		{&net.DNSError{IsNotFound: true}, fleet.HoldUnreachable},
		{context.DeadlineExceeded, fleet.HoldUnreachable},
	} {
		if h, ok := HoldOf(fmt.Errorf("wrapped: %w", tt.err)); !ok || h.Name != tt.want {
			t.Errorf("%v: %v, want %s", tt.err, h, tt.want)
		}
	}
	if _, ok := HoldOf(fmt.Errorf("x: %w", context.Canceled)); ok {
		t.Error("cancelled work is a hold")
	}
}

func TestWithin(t *testing.T) {
	judge := within([]string{"github.com", "vendor.example"})
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"https://vendor.example/a", "https://vendor.example/b", true},
		{"https://vendor.example/a", "https://elsewhere.example/b", false},
		{"https://vendor.example/a", "https://sub.vendor.example/b", false},
		{"https://github.com/a", "https://objects.githubusercontent.com/b", true},
		{"https://objects.githubusercontent.com/a", "https://release-assets.githubusercontent.com/b", true},
		{"https://vendor.example/a", "https://objects.githubusercontent.com/b", false},
		{"https://github.com/a", "https://raw.githubusercontent.com/b", false},
	} {
		from, _ := http.NewRequest("GET", tt.from, nil)
		to, _ := http.NewRequest("GET", tt.to, nil)
		if err := judge(from.URL, to.URL); (err == nil) != tt.ok {
			t.Errorf("%s to %s: %v", tt.from, tt.to, err)
		}
	}
}

// TestRedirectLeavesTheHosts goes through real redirects.
func TestRedirectLeavesTheHosts(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/vendor.example/moved" {
			http.Redirect(w, r, "https://elsewhere.example/file", http.StatusFound)
			return
		}
		fmt.Fprint(w, "bytes")
	}))
	defer srv.Close()
	c := New(Config{Mirror: srv.URL})
	d := fleet.Download{URL: "https://vendor.example/moved"}
	if _, err := c.Fetch(t.Context(), d, []string{"vendor.example"}); err == nil || !strings.Contains(err.Error(), "elsewhere.example is not one") {
		t.Errorf("error = %v", err)
	}
	body, err := c.Fetch(t.Context(), d, []string{"vendor.example", "elsewhere.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); err != nil || string(data) != "bytes" || body.Digest() != fleet.DigestOf([]byte("bytes")) || body.Size() != 5 {
		t.Errorf("%q, %v", data, err)
	}
}

// TestGuarded checks that addresses of package files do not reach this machine.
func TestGuarded(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	var guard *transport.GuardError
	if _, err := New(Config{}).Fetch(t.Context(), fleet.Download{URL: srv.URL}, []string{"127.0.0.1"}); !errors.As(err, &guard) {
		t.Errorf("error = %v, want GuardError", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	c := New(Config{})
	for _, d := range []fleet.Download{
		{}, {Upload: fleet.DigestOf(nil)}, {PURL: "pkg:cargo/x@1"}, {PURL: "pkg:npm/x"}, {PURL: "nonsense"}, {PURL: "pkg:deb/debian/x@1"},
	} {
		if _, err := c.Fetch(t.Context(), d, nil); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%+v: %v, want an error of kind invalid", d, err)
		}
	}
	for _, address := range []string{"http://vendor.example/x", "https://user@vendor.example/x", "https://vendor.example.evil.example/x", "https://evil.example/vendor.example", "file:///etc/passwd"} {
		if h, ok := HoldOf(errOfBody(c.Fetch(t.Context(), fleet.Download{URL: address}, []string{"vendor.example"}))); !ok || h.Name != fleet.HoldNotAllowed {
			t.Errorf("%s: %v", address, h)
		}
	}
}

func errOfBody(_ *Body, err error) error { return err }

// TestNPM goes through what registries differ in: a mirror that passes on
// addresses of the registry it mirrors, one without version documents, one that
// states no SHA-512.
func TestNPM(t *testing.T) {
	tarball := []byte("tarball")
	const integrity = "sha512-jTBw2Xb0pYhB4CYXEjRMqTMBM7fEcNd5EHXhAtnR3E5U5x2HVGr9fJD2iMjCvzXUcGzHqXbuJZ8CKZ2lCgPcbg=="
	answers := map[string]string{
		"/r/@x%2ftool/1.0.0":          `{"version":"1.0.0","dist":{"tarball":"https://origin.example/@x/tool/-/tool-1.0.0.tgz","integrity":"` + integrity + `"}}`,
		"/r/whole":                    `{"versions":{"1.0.0":{"dist":{"tarball":"https://origin.example/whole/-/whole-1.0.0.tgz","integrity":"` + integrity + `"}}}}`,
		"/r/old/1.0.0":                `{"dist":{"tarball":"https://origin.example/old/-/old-1.0.0.tgz","shasum":"` + sum[:40] + `"}}`,
		"/r/weak/1.0.0":               `{"dist":{"tarball":"https://origin.example/weak.tgz","integrity":"sha1-AAAA"}}`,
		"/r/none/1.0.0":               `{}`,
		"/r/page/1.0.0":               `<html>`,
		"/r/@x/tool/-/tool-1.0.0.tgz": string(tarball), "/r/whole/-/whole-1.0.0.tgz": string(tarball),
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.EscapedPath()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	}))
	defer srv.Close()
	c := New(Config{NPMRegistry: srv.URL + "/r/"})
	for purl, want := range map[string]string{
		"pkg:npm/%40x/tool@1.0.0": fleet.HoldChangedHash, "pkg:npm/whole@1.0.0": fleet.HoldChangedHash, // found, and the integrity is checked
		"pkg:npm/old@1.0.0": fleet.HoldNotAllowed, "pkg:npm/weak@1.0.0": fleet.HoldNotAllowed,
		"pkg:npm/none@1.0.0": fleet.HoldUnreachable, "pkg:npm/page@1.0.0": fleet.HoldUnreachable, "pkg:npm/absent@1.0.0": fleet.HoldUnreachable,
	} {
		body, err := c.Fetch(t.Context(), fleet.Download{PURL: purl}, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			body.Close()
		}
		if h, ok := HoldOf(err); err == nil || !ok || h.Name != want {
			t.Errorf("%s: %v, want %s", purl, err, want)
		}
	}
	if h, ok := HoldOf(errOfBody(New(Config{}).Fetch(t.Context(), fleet.Download{PURL: "pkg:npm/x@1"}, nil))); !ok || h.Name != fleet.HoldUnreachable {
		t.Errorf("without a registry: %v", h)
	}
}

// TestGoProxyList checks which errors lead to the next proxy (go.dev/ref/mod).
func TestGoProxyList(t *testing.T) {
	serve := func(status int, text string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	gone, broken, good := serve(410, ""), serve(500, ""), serve(200, "v1.0.0\n")
	for _, tt := range []struct {
		proxies string
		ok      bool
	}{
		{good, true}, {gone + "," + good, true}, {broken + "|" + good, true}, {broken + "," + good, false},
		{"direct," + good, true}, {"off", false}, {"", false}, {gone, false}, {gone + ",direct", false},
	} {
		body, err := New(Config{GoProxy: tt.proxies}).askProxies(t.Context(), "m/@v/list")
		if (err == nil) != tt.ok || tt.ok && string(body) != "v1.0.0\n" {
			t.Errorf("%s: %q, %v", tt.proxies, body, err)
		}
	}
}

// TestDisk checks that a cache in any state is either right or not there.
func TestDisk(t *testing.T) {
	d := disk(t.TempDir())
	a := &answer{Key: "https://a.example/x?y=1", ETag: `"1"`, Body: []byte{0, 1, 0xff}}
	if err := d.store(a); err != nil {
		t.Fatal(err)
	}
	if got := d.load(a.Key); got == nil || !bytes.Equal(got.Body, a.Body) || got.ETag != a.ETag {
		t.Errorf("loaded %+v", got)
	}
	if got := d.load("https://a.example/other"); got != nil {
		t.Errorf("an address that was never stored: %+v", got)
	}
	if err := os.WriteFile(d.path(a.Key), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := d.load(a.Key); got != nil {
		t.Errorf("a damaged file: %+v", got)
	}
	if disk("").load(a.Key) != nil {
		t.Error("no cache knows something")
	}
}

// TestTokenStaysWithGitHub checks that what stands in for a host is not given
// the credential that is meant for it.
func TestTokenStaysWithGitHub(t *testing.T) {
	var mirror, own http.Header
	serve := func(seen *http.Header) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*seen = r.Header.Clone()
			fmt.Fprint(w, `[{"tag_name": "1.0.0"}]`)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	p := fleet.Package{Upstream: &fleet.Upstream{Scheme: "semver", From: fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: "a/b"}}}}
	for _, c := range []Config{{Mirror: serve(&mirror), GitHubToken: "secret"}, {GitHubAPI: serve(&own), GitHubToken: "secret"}} {
		if found, err := New(c).Find(t.Context(), p, nil, nil); err != nil || found.Version != "1.0.0" {
			t.Fatalf("%q, %v", found.Version, err)
		}
	}
	if mirror.Get("Authorization") != "" || own.Get("Authorization") != "Bearer secret" {
		t.Errorf("the mirror got %q, the API %q", mirror.Get("Authorization"), own.Get("Authorization"))
	}
}
