package factory_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/sim/vendors"
)

func TestDetect(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	look := m.run(t)
	var last string
	m.Progress = func(done, total int, what string) { last = fmt.Sprintf("%d/%d", done, total) }
	findings, err := m.Detect(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range findings {
		if i > 0 && findings[i-1].Package >= f.Package {
			t.Errorf("%s stands before %s", findings[i-1].Package, f.Package)
		}
	}
	for _, d := range differences(states(findings), map[fleet.PackageID]string{
		"acme/app-0000": "none", "acme/apt": "1.1.0-1 new", "acme/github": "1.1.0 new", "acme/go": "1.1.0 watch",
		"acme/json": "1.1.0 new", "acme/npm": "1.1.0 new", "acme/policy": "1 new",
	}) {
		t.Error(d)
	}
	if last != "7/7" {
		t.Errorf("progress ended at %s", last)
	}
	look.Packages = []fleet.PackageID{"acme/npm", "acme/npm"}
	if findings, err := m.Detect(t.Context(), look); err != nil || len(findings) != 1 {
		t.Errorf("one package asked for twice: %d findings, %v", len(findings), err)
	}
	look.Packages = []fleet.PackageID{"acme/nowhere"}
	if _, err := m.Detect(t.Context(), look); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a package that is not there: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	look.Packages = nil
	m.Upstream = upstream.New(m.config)
	if _, err := m.Detect(cancelled, look); err == nil {
		t.Error("a cancelled run succeeded")
	}
}

// TestDetectHolds checks the holds that feeds give, against releases in git.
func TestDetectHolds(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	bytesOf := func(v string) []byte { return vendors.Installer("Tool", "Acme", v, 4000).Bytes() }
	released := func(v string, data []byte) map[string]fleet.Release {
		return map[string]fleet.Release{v: {Counter: 1, Installers: map[string]fleet.Download{"x64": {
			URL: "https://downloads.example/tool-" + v + ".exe", SHA256: fleet.DigestOf(data), Size: int64(len(data)),
		}}}}
	}
	changed := func(path string) vendors.Fault { return vendors.Fault{Path: path, Kind: vendors.Changed} }
	for _, tt := range []struct {
		name  string
		id    fleet.PackageID
		edit  func(p *fleet.Package)
		fault vendors.Fault
		deep  bool
		want  string
	}{
		{"equal", "acme/json", func(p *fleet.Package) { p.Releases = released("1.1.0", bytesOf("1.1.0")) }, vendors.Fault{}, false, "1.1.0 equal"},
		{"equal, bytes compared", "acme/json", func(p *fleet.Package) { p.Releases = released("1.1.0", bytesOf("1.1.0")) }, vendors.Fault{}, true, "1.1.0 equal"},
		{"other bytes, not looked at", "acme/json", func(p *fleet.Package) { p.Releases = released("1.1.0", bytesOf("1.1.0")) }, changed("/downloads.example/tool"), false, "1.1.0 equal"},
		{"other bytes", "acme/json", func(p *fleet.Package) { p.Releases = released("1.1.0", bytesOf("1.1.0")) }, changed("/downloads.example/tool"), true, "1.1.0 held changed-hash"},
		{"other bytes by the vendor's own word", "acme/github", func(p *fleet.Package) { p.Releases = released("1.0.0", bytesOf("1.0.0")) }, changed("/github.com/acme/tool/releases/download/v1.0.0"), false, "1.1.0 held changed-hash"},
		{"other bytes in the index", "acme/apt", func(p *fleet.Package) { p.Releases = released("1.1.0-1", []byte("other")) }, vendors.Fault{}, false, "1.1.0-1 held changed-hash"},
		{"backwards", "acme/npm", func(p *fleet.Package) { p.Releases = released("1.2.0", bytesOf("1.2.0")) }, vendors.Fault{}, false, "1.1.0 held backwards"},
		{"disagree", "acme/npm", func(p *fleet.Package) {
			p.Upstream.Agree = []fleet.Feed{{HTTPJSON: &fleet.HTTPJSON{URL: "https://downloads.example/latest-1.0.0", Path: "$.version"}}}
		}, vendors.Fault{}, false, "1.1.0 held disagree"},
		{"agree", "acme/npm", func(p *fleet.Package) {
			p.Upstream.Agree = []fleet.Feed{{GitHubReleases: &fleet.GitHubReleases{Repository: "acme/tool", Tag: "v{version}"}}}
		}, vendors.Fault{}, false, "1.1.0 new"},
		{"too young", "acme/npm", func(p *fleet.Package) { p.Upstream.MinimumReleaseAge.Default = fleet.Duration(200 * time.Hour) }, vendors.Fault{}, false, "1.1.0 held too-young"},
		{"rate limit", "acme/github", nil, vendors.Fault{Path: "/api.github.com/", Kind: vendors.RateLimited}, false, "held rate-limited"},
		{"down", "acme/npm", nil, vendors.Fault{Path: "/npm/", Kind: vendors.Unavailable}, false, "held unreachable"},
		{"a page for people", "acme/json", nil, vendors.Fault{Path: "/downloads.example/latest", Kind: vendors.HTML}, false, "held unparsable"},
		{"asset missing, but nothing new", "acme/github", func(p *fleet.Package) {
			p.Releases = released("1.1.0", bytesOf("1.1.0"))
			in := p.Installers["x64"]
			in.Source = &fleet.Source{Asset: "renamed.exe"}
			p.Installers = map[string]fleet.Installer{"x64": in}
		}, vendors.Fault{}, false, "1.1.0 equal"},
		{"ignored leads to an older one", "acme/github", func(p *fleet.Package) { p.Upstream.Ignore = []string{"1.1.*"} }, vendors.Fault{}, false, "1.0.0 new"},
		{"ignored in a suite", "acme/apt", func(p *fleet.Package) { p.Upstream.Ignore = []string{"1.1.*"} }, vendors.Fault{}, false, "held not-allowed"},
		{"numbers begun anew", "acme/npm", func(p *fleet.Package) { p.Releases, p.Upstream.Epoch = released("2024.3.0", bytesOf("1.0.0")), 1 }, vendors.Fault{}, false, "1.1.0 new"},
		{"stated size out of proportion", "acme/github", func(p *fleet.Package) { p.Releases = released("1.0.9", bytesOf("1.0.9")[:9]) }, vendors.Fault{}, false, "1.1.0 held size"},
		{"allowed leads to an older line", "acme/github", func(p *fleet.Package) { p.Upstream.Allowed = "1.0.*" }, vendors.Fault{}, false, "1.0.0 new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Shown = shown(-100)
			if err := m.vendors.Change(func(d *vendors.Data) { d.Faults = []vendors.Fault{tt.fault} }); err != nil {
				t.Fatal(err)
			}
			look := m.run(t)
			look.Packages, look.Bytes = []fleet.PackageID{tt.id}, tt.deep
			if tt.edit != nil {
				p := look.Repo.Packages[tt.id]
				u := *p.Upstream
				p.Upstream = &u
				tt.edit(&p)
				look.Repo.Packages[tt.id] = p
			}
			findings, err := m.Detect(t.Context(), look)
			if err != nil {
				t.Fatal(err)
			}
			if got := states(findings)[tt.id]; got != tt.want {
				t.Errorf("%s (%s), want %s", got, findings[0].Why, tt.want)
			}
		})
	}
}

// TestDetectHistory gives the look what earlier looks saw.
func TestDetectHistory(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/npm"}
	for _, tt := range []struct {
		seen []fleet.Detection
		want string
	}{
		{nil, "1.1.0 new"},
		{[]fleet.Detection{{Package: "acme/npm", Found: "1.1.0", At: detectTime.AddDate(0, 0, -9)}, {Package: "acme/github", Found: "1.2.0", At: detectTime.AddDate(0, 0, -2)}}, "1.1.0 new"},
		{[]fleet.Detection{{Package: "acme/npm", Found: "1.1.0", At: detectTime.AddDate(0, 0, -9)}, {Package: "acme/npm", Found: "1.2.0", At: detectTime.AddDate(0, 0, -2)}}, "1.1.0 held flapping"},
	} {
		look.Seen = factory.Seen(tt.seen)
		findings, err := m.Detect(t.Context(), look)
		if err != nil || states(findings)["acme/npm"] != tt.want {
			t.Errorf("%v (%s), %v, want %s", states(findings), findings[0].Why, err, tt.want)
		}
	}
}

func TestSeen(t *testing.T) {
	seen := factory.Seen([]fleet.Detection{
		{Package: "a/b", Found: "1.0", At: detectTime.Add(time.Hour)}, {Package: "a/c", Found: "1.0", At: detectTime}, {Package: "a/b", At: detectTime}, {Package: "a/b", Found: "1.1", At: detectTime},
	})
	want := []bump.Sighting{{Version: "1.0", At: detectTime.Add(time.Hour)}, {Version: "1.1", At: detectTime}}
	if got := seen("a/b"); !slices.Equal(got, want) {
		t.Errorf("seen %v, want %v", got, want)
	}
	if got := seen("a/d"); len(got) != 0 {
		t.Errorf("what nobody saw: %v", got)
	}
}
