package vendors

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors/conformance"
)

func TestConformance(t *testing.T) {
	_, config := serve(t, world(), fleet.NewManualClock(morning))
	conformance.Upstream(t, config, packages(), hosts)
	conformance.Advisories(t, config, fleet.AdvisorySources{KEV: KEVAddress, EPSS: EPSSAddress}, "CVE-2026-10001")
}

// TestConformanceLive runs the suite on the sources that this machine's own
// package clients use.
func TestConformanceLive(t *testing.T) {
	if testing.Short() {
		t.Skip("asks real upstreams: left out by -short")
	}
	machine := upstream.Machine{Getenv: os.Getenv, Root: os.DirFS("/"), Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = os.TempDir()
		return cmd.Output()
	}}
	config := machine.Config(t.Context())
	live := map[string]fleet.Package{}
	for name, configured := range map[string]bool{"npm": config.NPMRegistry != "", "apt": len(config.AptSources) > 0, "go": config.GoProxy != ""} {
		if !configured {
			t.Logf("%s is not set up on this machine", name)
			continue
		}
		live[name] = packages()[name]
	}
	set := func(name string, feed fleet.Feed, purl string) {
		p, ok := live[name]
		if !ok {
			return
		}
		p.Upstream.From = feed
		if purl != "" {
			p.Installers["x64"].Source.PURL = purl
		}
	}
	set("npm", fleet.Feed{NPM: &fleet.NPM{Package: "@esbuild/win32-x64"}}, "pkg:npm/%40esbuild/win32-x64@{version}")
	set("apt", fleet.Feed{Apt: &fleet.Apt{Package: "jq", Suite: "bookworm"}}, "pkg:deb/debian/jq@{version}?arch=amd64&distro=bookworm")
	set("go", fleet.Feed{GoProxy: &fleet.GoProxy{Module: "honnef.co/go/tools"}}, "")
	conformance.Upstream(t, config, live, nil)
	conformance.Advisories(t, config, fleet.AdvisorySources{KEV: KEVAddress, EPSS: EPSSAddress}, "CVE-2021-44228")
}

// TestFound checks what each datasource reads.
func TestFound(t *testing.T) {
	_, config := serve(t, world(), fleet.NewManualClock(morning))
	published := morning.AddDate(0, 0, -2)
	for name, want := range map[string]struct {
		version   string
		published time.Time
		source    string
	}{
		"github": {"1.10.0", published, "https://github.com/acme/tool/releases/download/v1.10.0/tool-1.10.0-x64.exe"},
		"npm":    {"1.10.0", published, "pkg:npm/%40acme/tool-win32-x64@1.10.0"},
		"apt":    {"1:1.9.0-1+deb12u1", time.Time{}, "pkg:deb/debian/tool@1:1.9.0-1%2Bdeb12u1?arch=amd64&distro=stable"},
		"go":     {"1.10.0", published, ""},
		"json":   {"2.10", time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC), "https://downloads.acme.example/tool-2.10.exe"},

		"sparkle":          {"2.10", published, "https://downloads.acme.example/tool-2.10.exe"},
		"electron-builder": {"2.10", published, "https://downloads.acme.example/tool-2.10.exe"},
		"installer":        {"2.10.0.0", time.Time{}, "https://downloads.acme.example/tool-2.10.exe"},
		"installer, pkg":   {"2.10", time.Time{}, "https://downloads.acme.example/Tool.pkg"},
	} {
		found, err := upstream.New(config).Find(t.Context(), packages()[name], nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		at := found.Installers["x64"]
		if found.Version != want.version || !found.Published.Equal(want.published) || at.URL+at.PURL != want.source {
			t.Errorf("%s: %+v, want %+v", name, found, want)
		}
		if (name == "github" || name == "apt") && (!at.Digest.Valid() || at.Size == 0) {
			t.Errorf("%s: what the vendor states about the bytes is missing: %+v", name, at)
		}
	}
}

// TestReleased checks what is told about bytes that git pins already.
func TestReleased(t *testing.T) {
	_, config := serve(t, world(), fleet.NewManualClock(morning))
	for _, name := range []string{"github", "apt"} {
		p := packages()[name]
		old := map[string]string{"github": "1.9.0", "apt": "1:1.9.0-1"}[name]
		p.Releases = map[string]fleet.Release{old: {Counter: 1}}
		found, err := upstream.New(config).Find(t.Context(), p, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if at := found.Released[old]["x64"]; !at.Digest.Valid() {
			t.Errorf("%s: nothing stated about %s: %+v", name, old, found.Released)
		}
	}
}

// TestFaults checks the name of the hold for each trouble a vendor can make.
func TestFaults(t *testing.T) {
	always := Shown{At: morning.AddDate(-1, 0, 0)}
	for _, tt := range []struct {
		name, feed string
		path, kind string
		find, get  string // hold of Find, hold of reading the installer
	}{
		{"limit", "github", "/api.github.com/", RateLimited, fleet.HoldRateLimited, ""},
		{"limit", "npm", "/npm/", RateLimited, fleet.HoldRateLimited, ""},
		{"down", "json", "/downloads.acme.example/", Unavailable, fleet.HoldUnreachable, ""},
		{"down", "go", "/goproxy/", Unavailable, fleet.HoldUnreachable, ""},
		{"page", "json", "/downloads.acme.example/latest", HTML, fleet.HoldUnparsable, ""},
		{"page", "npm", "/npm/", HTML, fleet.HoldUnreachable, ""},
		{"page", "github", "/api.github.com/", HTML, fleet.HoldUnreachable, ""},
		{"page", "apt", "/debian/dists", HTML, fleet.HoldUnreachable, ""},
		{"page", "go", "/goproxy/", HTML, fleet.HoldUnparsable, ""},
		{"cut", "github", "/objects.githubusercontent.com/", Truncated, "", fleet.HoldTruncated},
		{"cut", "npm", "/npm/@acme/tool-win32-x64/-/", Truncated, "", fleet.HoldTruncated},
		{"cut", "json", "/downloads.acme.example/tool", Truncated, "", fleet.HoldTruncated},
		{"other bytes", "apt", "/debian/pool/", HTML, "", fleet.HoldTruncated},
	} {
		t.Run(tt.name+"/"+tt.feed, func(t *testing.T) {
			data := world()
			data.Faults = []Fault{{Shown: always, Path: tt.path, Kind: tt.kind}}
			_, config := serve(t, data, fleet.NewManualClock(morning))
			c := upstream.New(config)
			found, err := c.Find(t.Context(), packages()[tt.feed], nil, nil)
			wantHold(t, "Find", err, tt.find)
			if tt.find != "" {
				return
			}
			at := found.Installers["x64"]
			body, err := c.Fetch(t.Context(), fleet.Download{URL: at.URL, PURL: at.PURL}, hosts)
			if err == nil {
				_, err = io.Copy(io.Discard, body)
				err = errors.Join(err, body.Close())
			}
			wantHold(t, "Fetch", err, tt.get)
		})
	}
}

func wantHold(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return
	}
	if h, ok := upstream.HoldOf(err); err == nil || !ok || h.Name != want {
		t.Fatalf("%s: %v, want the hold %s", what, err, want)
	}
}

// TestConditional checks that a second run asks for changes only, and that
// nothing is kept of a run that did not succeed.
func TestConditional(t *testing.T) {
	clock := fleet.NewManualClock(morning)
	s, config := serve(t, world(), clock)
	config.CacheDir = t.TempDir()
	run := func(keep bool) (sent, same int) {
		t.Helper()
		c := upstream.New(config)
		for name, p := range packages() {
			if found, err := c.Find(t.Context(), p, nil, nil); err != nil || found.Version == "" {
				t.Fatalf("%s: %+v, %v", name, found, err)
			}
		}
		if keep {
			if err := c.Keep(); err != nil {
				t.Fatal(err)
			}
		}
		sum := c.Summary()
		return sum.Requests, sum.NotModified
	}
	first, _ := run(false)
	if sent, same := run(true); sent != first || same != 0 {
		t.Errorf("after a run that kept nothing: %d requests, %d not modified", sent, same)
	}
	// The two indexes by hash are not even asked for.
	if sent, same := run(true); sent != first-2 || same != sent {
		t.Errorf("the third run: %d of %d requests not modified, %d in the first", same, sent, first)
	}
	if err := s.Change(func(d *Data) { d.GitHub[0].Releases[2].Prerelease, d.GitHub[0].Releases[2].Tag = false, "v2.0.0" }); err != nil {
		t.Fatal(err)
	}
	c := upstream.New(config)
	if found, err := c.Find(t.Context(), packages()["github"], nil, nil); err != nil && !strings.Contains(err.Error(), "no asset") || found.Version != "2.0.0" {
		t.Errorf("a change is not seen: %q, %v", found.Version, err)
	}
}

// TestTime checks that publications come, and go, by the clock.
func TestTime(t *testing.T) {
	clock := fleet.NewManualClock(morning)
	data := world()
	data.GitHub[0].Releases[1].Until = morning.Add(time.Hour)
	_, config := serve(t, data, clock)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{{morning.AddDate(0, 0, -3), "1.9.0"}, {morning, "1.10.0"}, {morning.Add(time.Hour), "1.9.0"}} {
		clock.Set(tt.at)
		if found, err := upstream.New(config).Find(t.Context(), packages()["github"], nil, nil); err != nil || found.Version != tt.want {
			t.Errorf("at %v: %q, %v; want %s", tt.at, found.Version, err, tt.want)
		}
	}
}
