package vendors

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

var morning = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

func day(n int) Shown { return Shown{At: morning.AddDate(0, 0, n)} }

// world publishes one product by each datasource: an old version long ago, and
// a new one two days before morning.
func world() Data {
	tool := func(v string) Content { return Installer("Tool", "Acme", v, 4000) }
	pack := func(v string) Content {
		return Content{Kind: KindDeb, Name: "tool", Version: v, Arch: "amd64", Files: map[string]string{"/usr/bin/tool": "#!/bin/sh\necho tool " + v + "\n"}}
	}
	return Data{
		Exploited: []Exploited{
			{Shown: day(-2), CVE: "CVE-2026-10001", Vendor: "Acme", Product: "Tool", Ransomware: true},
			{Shown: day(-400), CVE: "CVE-2025-10002", Vendor: "Umbrella", Product: "Mail Gateway"},
		},
		Scores: []Score{{Shown: day(-3), CVE: "CVE-2026-10001", Probability: 0.4321}, {Shown: day(-400), CVE: "CVE-2025-10002", Probability: 0.00043}},
		GitHub: []Repository{{Name: "acme/tool", Releases: []Release{
			{Shown: day(-30), Tag: "v1.9.0", Assets: map[string]Content{"tool-1.9.0-x64.exe": tool("1.9.0")}},
			{Shown: day(-2), Tag: "v1.10.0", Assets: map[string]Content{"tool-1.10.0-x64.exe": tool("1.10.0")}},
			{Shown: day(-1), Tag: "v2.0.0-rc.1", Prerelease: true},
			{Shown: day(-1), Tag: "nightly"},
			{Shown: day(-1), Tag: "v3.0.0", Draft: true},
		}}},
		NPM: []NPMPackage{{Name: "@acme/tool-win32-x64", Versions: []NPMVersion{
			{Shown: day(-30), Version: "1.9.0", Files: map[string]Content{"tool.exe": tool("1.9.0")}},
			{Shown: day(-2), Version: "1.10.0", Files: map[string]Content{"tool.exe": tool("1.10.0")}},
		}}},
		Debian: []DebRelease{
			{Shown: day(-30), Suite: "stable", Deb: pack("1:1.9.0-1")},
			{Shown: day(-2), Suite: "stable-security", Deb: pack("1:1.9.0-1+deb12u1")},
		},
		Modules: []Module{{Path: "acme.example/Tool", Versions: []ModuleVersion{{day(-30), "v1.9.0"}, {day(-2), "v1.10.0"}, {day(-1), "v1.11.0-rc.1"}}}},
		Pages: []Page{
			{Shown: day(-30), Host: "downloads.acme.example", Path: "/latest.json", Content: Text(`{"tool":{"version":1.90,"at":"2026-10-19"}}`)},
			{Shown: day(-2), Host: "downloads.acme.example", Path: "/latest.json", Content: Text(`{"tool":{"version":2.10,"at":"2026-11-16"}}`)},
			{Shown: day(-2), Host: "downloads.acme.example", Path: "/tool-2.10.exe", Content: tool("2.10")},
			{Shown: day(-2), Host: "downloads.acme.example", Path: "/Tool.pkg", Content: Content{Kind: KindPkg, Name: "Tool", Company: "Acme", Version: "2.10", Size: 4000}},
			{Shown: day(-2), Host: "downloads.acme.example", Path: "/appcast.xml", Content: Text(`<rss xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle" version="2.0"><channel><item>` +
				`<pubDate>Mon, 16 Nov 2026 06:00:00 +0000</pubDate><enclosure url="tool-2.10.exe" sparkle:version="2.10" length="4000" type="application/octet-stream"/></item></channel></rss>`)},
			{Shown: day(-2), Host: "downloads.acme.example", Path: "/latest.yml", Content: Text(fmt.Sprintf("version: 2.10\nfiles:\n  - url: tool-2.10.exe\n    sha512: %s\nreleaseDate: '2026-11-16T06:00:00.000Z'\n", sum512(tool("2.10").Bytes())))},
		},
	}
}

func sum512(data []byte) string {
	sum := sha512.Sum512(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// serve starts the vendors and gives the configuration that reaches them.
func serve(t *testing.T, data Data, clock fleet.Clock) (*Server, upstream.Config) {
	t.Helper()
	s, err := New(Options{Dir: t.TempDir(), Now: clock.Now, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, upstream.Config{
		NPMRegistry: srv.URL + "/npm", GoProxy: srv.URL + "/goproxy,direct", Mirror: srv.URL, Clock: clock,
		AptSources: []upstream.AptSource{
			{URI: srv.URL + "/debian", Suite: "stable", Components: []string{"main"}},
			{URI: srv.URL + "/debian/", Suite: "stable-security", Components: []string{"main"}},
		},
	}
}

// packages are the same product by each datasource.
func packages() map[string]fleet.Package {
	one := func(feed fleet.Feed, scheme string, source *fleet.Source) fleet.Package {
		p := fleet.Package{ID: "acme/tool", Kind: "application", Upstream: &fleet.Upstream{From: feed, Scheme: scheme}}
		if source != nil {
			p.Installers = map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64", Type: "exe", Source: source}}
		}
		return p
	}
	return map[string]fleet.Package{
		"github":           one(fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: "acme/tool", Tag: "v{version}"}}, "semver", &fleet.Source{Asset: "tool-{version}-x64.exe"}),
		"npm":              one(fleet.Feed{NPM: &fleet.NPM{Package: "@acme/tool-win32-x64"}}, "semver", &fleet.Source{PURL: "pkg:npm/@acme/tool-win32-x64@{version}", Member: "package/tool.exe"}),
		"apt":              one(fleet.Feed{Apt: &fleet.Apt{Package: "tool", Suite: "stable"}}, "deb", &fleet.Source{PURL: "pkg:deb/debian/tool@{version}?arch=amd64&distro=stable"}),
		"go":               one(fleet.Feed{GoProxy: &fleet.GoProxy{Module: "acme.example/Tool"}}, "semver", nil),
		"sparkle":          one(fleet.Feed{Sparkle: &fleet.Sparkle{URL: "https://downloads.acme.example/appcast.xml", Version: "build"}}, "windows", &fleet.Source{Listed: true}),
		"electron-builder": one(fleet.Feed{ElectronBuilder: &fleet.ElectronBuilder{URL: "https://downloads.acme.example/latest.yml"}}, "windows", &fleet.Source{Listed: true}),
		"installer":        one(fleet.Feed{InFile: &fleet.InFile{URL: "https://downloads.acme.example/tool-2.10.exe", Read: "pe"}}, "windows", &fleet.Source{URL: "https://downloads.acme.example/tool-2.10.exe"}),
		"installer, pkg":   one(fleet.Feed{InFile: &fleet.InFile{URL: "https://downloads.acme.example/Tool.pkg", Read: "pkg"}}, "windows", &fleet.Source{URL: "https://downloads.acme.example/Tool.pkg"}),
		"json":             one(fleet.Feed{HTTPJSON: &fleet.HTTPJSON{URL: "https://downloads.acme.example/latest.json", Path: "$.tool.version", Published: "$.tool.at"}}, "windows", &fleet.Source{URL: "https://downloads.acme.example/tool-{version}.exe"}),
	}
}

var hosts = []string{"github.com", "downloads.acme.example"}
