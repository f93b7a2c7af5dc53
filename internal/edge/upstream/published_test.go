package upstream

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A vendor answers requests by "METHOD /host/path?query" and remembers them.
type vendor struct {
	answers map[string]func(http.ResponseWriter, *http.Request)
	mu      sync.Mutex
	asked   []string
}

// ServeHTTP answers 404 to what is not listed.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Method + " " + r.URL.RequestURI()
	v.mu.Lock()
	v.asked = append(v.asked, key)
	answer := v.answers[key]
	v.mu.Unlock()
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	answer(w, r)
}

func (v *vendor) start(t *testing.T, cache string) *Client {
	srv := httptest.NewServer(v)
	t.Cleanup(srv.Close)
	return New(Config{Mirror: srv.URL, CacheDir: cache})
}

// document serves bytes.
func document(data []byte) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

// fixture is a file that tests of the format's reader use.
func fixture(t testing.TB, name ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "format"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPublished asks each feed through a mirror, as detect does: for the newest
// version, its time, and where an installer is.
func TestPublished(t *testing.T) {
	shape := func(name string) func(http.ResponseWriter, *http.Request) {
		return document(fixture(t, "releases", "testdata", name))
	}
	omaha := fleet.Omaha{URL: "https://update.vendor.example/service/update2", App: "{11111111-2222-3333-4444-555555555555}", Platform: "win", Arch: "x64", OSVersion: "10.0.22631"}
	v := &vendor{answers: map[string]func(http.ResponseWriter, *http.Request){
		"GET /vendor.example/feed.atom":                               shape("news-atom.xml"),
		"GET /vendor.example/appcast.xml":                             shape("sparkle.xml"),
		"GET /sourceforge.net/projects/wingtip/rss?path=%2FWingtip+1": shape("sourceforge.xml"),
		"GET /dl.vendor.example/chat/latest.yml":                      shape("latest.yml"),
		"GET /dl.vendor.example/w/RELEASES":                           shape("RELEASES"),
		"GET /evergreen.example/app/Northwind":                        shape("evergreen.json"),
		"GET /formulae.brew.sh/api/cask/northwind-notes.json":         shape("cask.json"),
		"POST /update.vendor.example/service/update2": func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || !bytes.Contains(body, []byte(`appid="`+omaha.App+`"`)) || r.Header.Get("Content-Type") != "application/xml" {
				http.Error(w, "no request", http.StatusBadRequest)
				return
			}
			shape("omaha.xml")(w, r)
		},
		"GET /vendor.example/latest": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://cdn.elsewhere.example/app-9.4.msi?token=1", http.StatusFound)
		},
		"GET /vendor.example/saved": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Disposition", `attachment; filename="app-9.5.msi"`)
			w.(http.Flusher).Flush()
			<-r.Context().Done() // the body never comes, and nobody waits for it
		},
		"GET /vendor.example/setup.exe":   document(fixture(t, "pe", "testdata", "hello.exe")),
		"GET /vendor.example/package.msi": document(fixture(t, "msi", "testdata", "hello.msi")),
		"GET /vendor.example/Tool.pkg":    document(macPackage(t, `<pkg-info identifier="a.b" version="0"><bundle id="a.b" path="./Tool.app" CFBundleShortVersionString="24.9"/></pkg-info>`)),
	}}
	const dl = "https://dl.vendor.example/"
	for _, tt := range []struct {
		name      string
		feed      fleet.Feed
		in        fleet.Installer
		source    fleet.Source
		version   string
		published string
		url       string
		checked   int // bytes of the digest that the feed states
	}{
		{"news", fleet.Feed{News: &fleet.News{URL: "https://vendor.example/feed.atom", Field: "title"}, Match: `^Editor (?P<version>[0-9.]+)$`},
			fleet.Installer{Arch: "x64", Type: "msi"}, fleet.Source{Listed: true}, "8.7.2", "2026-11-17 22:41", dl + "editor-8.7.2-x64.msi", 0},
		{"sparkle", fleet.Feed{Sparkle: &fleet.Sparkle{URL: "https://vendor.example/appcast.xml", Version: "short"}},
			fleet.Installer{Type: "pkg"}, fleet.Source{Listed: true}, "1.4", "2026-11-16 07:00", dl + "Notes-1.4.pkg", 0},
		{"sparkle, both", fleet.Feed{Sparkle: &fleet.Sparkle{URL: "https://vendor.example/appcast.xml", Version: "both"}, Match: `^(?P<short>[0-9.]+),(?P<build>[0-9]+)$`, Version: "{short}.{build}"},
			fleet.Installer{}, fleet.Source{URL: dl + "Notes-{short}-{build}.pkg"}, "1.4.2031", "2026-11-16 07:00", dl + "Notes-1.4-2031.pkg", 0},
		{"sourceforge", fleet.Feed{SourceForge: &fleet.SourceForge{Project: "wingtip", Path: "/Wingtip 1"}, Match: `^/Wingtip/(?P<version>[0-9.]+)/`},
			fleet.Installer{}, fleet.Source{Asset: "wingtip{digits}-x64.msi"}, "24.09", "2026-11-17 18:31", "https://sourceforge.net/projects/wingtip/files/Wingtip/24.09/wingtip2409-x64.msi/download", 0},
		{"electron-builder", fleet.Feed{ElectronBuilder: &fleet.ElectronBuilder{URL: dl + "chat/latest.yml"}},
			fleet.Installer{Arch: "arm64", Type: "exe"}, fleet.Source{Listed: true}, "3.10", "2026-11-17 21:05", dl + "chat-3.10-arm64.exe", 512},
		{"squirrel", fleet.Feed{Squirrel: &fleet.Squirrel{URL: dl + "w/RELEASES", ID: "fabrikam"}},
			fleet.Installer{}, fleet.Source{Asset: "*-full.nupkg"}, "1.10.0", "", dl + "w/Fabrikam-1.10.0-full.nupkg?a=b", 0},
		{"omaha", fleet.Feed{Omaha: &omaha}, fleet.Installer{Arch: "x64", Type: "exe"}, fleet.Source{Listed: true}, "131.0.6778.86", "", dl + "release2/131.0.6778.86_installer.exe", 256},
		{"evergreen", fleet.Feed{Evergreen: &fleet.Evergreen{App: "Northwind", API: "https://evergreen.example/", Where: map[string]string{"Channel": "Stable"}}},
			fleet.Installer{Arch: "x64", Type: "msi", Scope: "machine"}, fleet.Source{Listed: true}, "131.0.3", "2026-11-17 00:00", dl + "131.0.3/northwind-x64.msi", 256},
		{"cask", fleet.Feed{Cask: &fleet.Cask{Token: "northwind-notes", API: "https://formulae.brew.sh"}, Match: `^(?P<version>[^,]+),(?P<build>.*)$`},
			fleet.Installer{Arch: "x64"}, fleet.Source{Listed: true}, "1.4", "", dl + "intel/Notes-1.4-2030.dmg", 256},
		{"location", fleet.Feed{HTTPHeader: &fleet.HTTPHeader{URL: "https://vendor.example/latest", Header: "Location"}, Match: `/app-(?P<version>[0-9.]+)\.msi`},
			fleet.Installer{}, fleet.Source{URL: dl + "app-{version}.msi"}, "9.4", "", dl + "app-9.4.msi", 0},
		{"saved under", fleet.Feed{HTTPHeader: &fleet.HTTPHeader{URL: "https://vendor.example/saved", Header: "Content-Disposition"}, Match: `app-(?P<version>[0-9.]+)\.msi`},
			fleet.Installer{}, fleet.Source{URL: dl + "app-{version}.msi"}, "9.5", "", dl + "app-9.5.msi", 0},
		{"pe", fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/setup.exe", Read: "pe"}},
			fleet.Installer{}, fleet.Source{URL: "https://vendor.example/setup.exe"}, "24.9.0.1", "", "https://vendor.example/setup.exe", 0},
		{"msi", fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/package.msi", Read: "msi"}},
			fleet.Installer{}, fleet.Source{URL: "https://vendor.example/package.msi"}, "24.9.0", "", "https://vendor.example/package.msi", 0},
		{"pkg", fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/Tool.pkg", Read: "pkg"}},
			fleet.Installer{}, fleet.Source{URL: "https://vendor.example/Tool.pkg"}, "24.9", "", "https://vendor.example/Tool.pkg", 0},
		{"static", fleet.Feed{Static: &fleet.Static{Version: "7.1", Published: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)}},
			fleet.Installer{}, fleet.Source{URL: dl + "x-{version}.msi"}, "7.1", "2026-11-01 08:00", dl + "x-7.1.msi", 0},
	} {
		tt.in.Source = &tt.source
		p := fleet.Package{Upstream: &fleet.Upstream{Scheme: "windows", From: tt.feed}, Installers: map[string]fleet.Installer{"it": tt.in}}
		found, err := v.start(t, "").Find(t.Context(), p, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		published := ""
		if !found.Published.IsZero() {
			published = found.Published.Format("2006-01-02 15:04")
		}
		at := found.Installers["it"]
		if found.Version != tt.version || published != tt.published || at.URL != tt.url {
			t.Errorf("%s: %q at %q from %s", tt.name, found.Version, published, at.URL)
		}
		if (tt.checked == 256) != at.Digest.Valid() || (tt.checked == 512) != (at.SHA512 != "") {
			t.Errorf("%s: SHA-256 %q, SHA-512 %q", tt.name, at.Digest, at.SHA512)
		}
		if name := FeedName(tt.feed); name == "" || name == "nothing" {
			t.Errorf("%s: has the name %q", tt.name, name)
		}
	}
	for _, asked := range v.asked {
		if strings.Contains(asked, "elsewhere.example") {
			t.Errorf("a redirect was followed whose target alone was wanted: %s", asked)
		}
	}
}

// TestPublishedHolds gives each feed answers that are none.
func TestPublishedHolds(t *testing.T) {
	page := document([]byte("<html><body>Sign in"))
	for name, feed := range map[string]fleet.Feed{
		"news":             {News: &fleet.News{URL: "https://vendor.example/x", Field: "title"}},
		"sparkle":          {Sparkle: &fleet.Sparkle{URL: "https://vendor.example/x", Version: "short"}},
		"electron-builder": {ElectronBuilder: &fleet.ElectronBuilder{URL: "https://vendor.example/x"}},
		"squirrel":         {Squirrel: &fleet.Squirrel{URL: "https://vendor.example/x", ID: "a"}},
		"omaha":            {Omaha: &fleet.Omaha{URL: "https://vendor.example/x", App: "a"}},
		"evergreen":        {Evergreen: &fleet.Evergreen{API: "https://vendor.example", App: "x"}},
		"cask":             {Cask: &fleet.Cask{API: "https://vendor.example", Token: "x"}},
		"sourceforge":      {SourceForge: &fleet.SourceForge{Project: "x", Path: "/"}},
		"header":           {HTTPHeader: &fleet.HTTPHeader{URL: "https://vendor.example/x", Header: "Location"}},
		"pe":               {InFile: &fleet.InFile{URL: "https://vendor.example/x", Read: "pe"}},
		"msi":              {InFile: &fleet.InFile{URL: "https://vendor.example/x", Read: "msi"}},
		"pkg":              {InFile: &fleet.InFile{URL: "https://vendor.example/x", Read: "pkg"}},
	} {
		want := fleet.HoldUnparsable
		if feed.InFile != nil {
			want = fleet.HoldNotInstaller
		}
		hosts := map[string]func(http.ResponseWriter, *http.Request){}
		away := map[string]func(http.ResponseWriter, *http.Request){}
		for _, key := range []string{"GET /vendor.example/x", "POST /vendor.example/x", "GET /vendor.example/app/x", "GET /vendor.example/api/cask/x.json", "GET /sourceforge.net/projects/x/rss?path=%2F"} {
			hosts[key] = page
			away[key] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
			}
		}
		check := func(what string, answers map[string]func(http.ResponseWriter, *http.Request), want string) {
			_, err := (&vendor{answers: answers}).start(t, "").entries(t.Context(), feed)
			if h, ok := HoldOf(err); err == nil || !ok || h.Name != want {
				t.Errorf("%s of %s: %v, want the hold %s", name, what, err, want)
			}
		}
		check("a page", hosts, want)
		check("nothing", nil, fleet.HoldUnreachable)
		if feed.HTTPHeader == nil {
			check("a redirect to another host", away, fleet.HoldNotAllowed)
		}
	}
	feed := fleet.Feed{HTTPHeader: &fleet.HTTPHeader{URL: "https://vendor.example/x", Header: "Last-Modified"}}
	if _, err := New(Config{}).entries(t.Context(), feed); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "installer") {
		t.Errorf("Last-Modified as a version: %v", err)
	}
}

// TestInFileOnce checks that an installer is downloaded once for each change, and
// that the cache holds its version alone.
func TestInFileOnce(t *testing.T) {
	data, tag := fixture(t, "pe", "testdata", "hello.exe"), `"1"`
	sent, broken := 0, false
	v := &vendor{answers: map[string]func(http.ResponseWriter, *http.Request){"GET /vendor.example/setup.exe": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent++
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if broken {
			_, _ = w.Write(data[:len(data)/2])
			return
		}
		_, _ = w.Write(data)
	}}}
	cache, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	feed := fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/setup.exe", Read: "pe"}}
	look := func() (string, error) {
		c := v.start(t, cache)
		list, err := c.entries(t.Context(), feed)
		if err != nil {
			return "", err
		}
		return list[0].Version, c.Keep()
	}
	for range 3 {
		if got, err := look(); err != nil || got != "24.9.0.1" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if sent != 1 {
		t.Errorf("the installer was sent %d times", sent)
	}
	tag = `"2"`
	if _, err := look(); err != nil || sent != 2 {
		t.Errorf("after a change it was sent %d times, %v", sent, err)
	}
	files, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache holds %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Size() > 300 {
		t.Errorf("the cache holds %d bytes, %v", info.Size(), err)
	}
	tag, broken = `"3"`, true
	_, err = look()
	if h, ok := HoldOf(err); !ok || h.Name != fleet.HoldTruncated {
		t.Errorf("a download that broke off: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("installers are left behind: %v, %v", left, err)
	}
	// The same address as a document is another question.
	if list, err := v.start(t, cache).entries(t.Context(), fleet.Feed{HTTPHeader: &fleet.HTTPHeader{URL: "https://vendor.example/setup.exe", Header: "X-None"}}); err == nil {
		t.Errorf("a header that is not sent: %v", list)
	}
}

// TestQueriesAreApart checks that the same address asked another way is not
// answered from what was kept of the first.
func TestQueriesAreApart(t *testing.T) {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("ETag", `"1"`)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	}))
	defer srv.Close()
	c := New(Config{CacheDir: t.TempDir()})
	ask := func(method, body string) string {
		data, err := c.get(t.Context(), query{url: srv.URL, method: method, body: []byte(body), client: c.configured})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for range 2 {
		if a, b, c := ask("", ""), ask("POST", "x"), ask("POST", "y"); a != "GET " || b != "POST x" || c != "POST y" {
			t.Errorf("%q, %q, %q", a, b, c)
		}
	}
	if n != 3 || len(c.kept) != 3 {
		t.Errorf("%d requests, %d kept", n, len(c.kept))
	}
}

// TestStatedSHA512 downloads what a feed states a SHA-512 of.
func TestStatedSHA512(t *testing.T) {
	sum := sha512.Sum512([]byte("installer bytes"))
	yml := "version: 1.0.0\nfiles: [{url: app.exe, sha512: " + base64.StdEncoding.EncodeToString(sum[:]) + "}]\n"
	for bytes, want := range map[string]string{"installer bytes": "", "other bytes": fleet.HoldChangedHash} {
		v := &vendor{answers: map[string]func(http.ResponseWriter, *http.Request){
			"GET /dl.vendor.example/latest.yml": document([]byte(yml)), "GET /dl.vendor.example/app.exe": document([]byte(bytes)),
		}}
		c := v.start(t, "")
		p := fleet.Package{
			Upstream:   &fleet.Upstream{Scheme: "semver", From: fleet.Feed{ElectronBuilder: &fleet.ElectronBuilder{URL: "https://dl.vendor.example/latest.yml"}}},
			Installers: map[string]fleet.Installer{"x64": {Arch: "x64", Type: "exe", Source: &fleet.Source{Listed: true}}},
		}
		found, err := c.Find(t.Context(), p, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := found.Installers["x64"]
		body, err := c.Fetch(t.Context(), fleet.Download{URL: at.URL, SHA512: at.SHA512}, []string{"dl.vendor.example"})
		if err == nil {
			_, err = io.Copy(io.Discard, body)
		}
		if h, _ := HoldOf(err); (err == nil) != (want == "") || err != nil && h.Name != want {
			t.Errorf("%s: %v, want %q", bytes, err, want)
		}
	}
	if _, err := New(Config{}).Fetch(t.Context(), fleet.Download{URL: "https://vendor.example/x", SHA512: "12"}, []string{"vendor.example"}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("half a SHA-512: %v", err)
	}
}

// TestStallingVendor checks that a vendor who sends a few bytes and then nothing
// costs a feed its limit, and not the run.
func TestStallingVendor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Transport: stalling{}})
		for name, feed := range map[string]fleet.Feed{
			"a document": {News: &fleet.News{URL: "https://vendor.example/x", Field: "title"}},
			"a post":     {Omaha: &fleet.Omaha{URL: "https://vendor.example/y", App: "a"}},
		} {
			begin := time.Now()
			_, err := c.entries(t.Context(), feed)
			if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldUnreachable {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(begin); took > sourceLimit {
				t.Errorf("%s took %s", name, took)
			}
		}
		begin := time.Now()
		if _, err := c.entries(t.Context(), fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/z", Read: "pe"}}); err == nil {
			t.Error("a stalled installer is read")
		}
		if took := time.Since(begin); took > installerLimit {
			t.Errorf("an installer took %s", took)
		}
	})
}

// stalling answers with the beginning of a body whose rest never comes.
type stalling struct{}

// RoundTrip is the transport's.
func (stalling) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: -1, Request: req, Body: &stalled{ctx: req.Context(), closed: make(chan struct{})}}, nil
}

type stalled struct {
	ctx    context.Context
	sent   bool
	once   sync.Once
	closed chan struct{}
}

// Read gives one byte, then waits to be closed.
func (s *stalled) Read(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		p[0] = '<'
		return 1, nil
	}
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-s.closed:
		return 0, errors.New("closed")
	}
}

// Close ends the wait.
func (s *stalled) Close() error { s.once.Do(func() { close(s.closed) }); return nil }
